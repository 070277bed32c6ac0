//! Archives are taken apart as dockerd does.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use base64::prelude::{BASE64_STANDARD, Engine};
use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::oci::Digest;
use longshore_testkit::docker::{odd_tars, split};
use longshore_testkit::sample::{self, TarOptions};
use serde_json::Value;

use super::{decoded, entries, join, name, tars};

#[test]
fn what_was_split_can_be_joined() {
    for (what, tar) in tars() {
        let split = split(&tar);
        let mut files = split.files.iter();
        let joined = join(&entries(&split.gzip()), |name| {
            let file = files.next().unwrap();
            assert_eq!(file.name, name, "{what}");
            file.content.clone()
        });
        assert!(joined == tar, "{what}: {} bytes, of {}", joined.len(), tar.len());
        assert_eq!(files.next(), None, "{what}");
    }
}

/// Names, sizes and the number of other bytes, in order.
fn outline(entries: &[Value]) -> Vec<(String, u64)> {
    let outline = entries.iter().map(|entry| match entry["type"].as_u64().unwrap() {
        2 => ("-".to_owned(), decoded(&entry["payload"]).len() as u64),
        _ => (name(entry).escape_ascii().to_string(), entry.get("size").map_or(0, |size| size.as_u64().unwrap())),
    });
    outline.collect()
}

fn outline_of_gnu<'a>(gnu: &'a str, gnu_link: &'a str) -> Vec<(&'a str, u64)> {
    vec![
        ("-", 512),
        ("gnu/", 0),
        ("-", 512 + 512 + 512),
        (gnu, 700),
        ("-", 324 + 512 + 512 + 512),
        ("gnu/link", 0),
        ("-", 2 * (512 + 512) + 512),
        (gnu_link, 0),
        ("-", 512),
        ("gnu/short", 512),
        ("-", 1024),
    ]
}

/// Outlines by name of the archive. Long names are those of its entries.
fn outlines<'a>(gnu: &'a str, gnu_link: &'a str, pax: &'a str) -> [(&'static str, Vec<(&'a str, u64)>); 7] {
    [
        ("no files", vec![("-", 1024)]),
        ("names and links of GNU", outline_of_gnu(gnu, gnu_link)),
        (
            "headers from before POSIX",
            vec![("-", 512), ("old/", 0), ("-", 512), ("old/file", 100), ("-", 924), ("old/spaces", 100), ("-", 1436)],
        ),
        (
            "PAX headers",
            vec![
                ("-", 512),
                ("pax/", 0),
                ("-", 1536),
                (pax, 300),
                ("-", 212 + 1536),
                ("pax/size", 1500),
                ("-", 36 + 1536),
                ("pax/latin-\\xe9\\xff", 20),
                ("-", 492 + 1536),
                ("pax/again", 0),
                ("-", 1536),
                ("pax/kept", 30),
                ("-", 482 + 1024),
            ],
        ),
        (
            "a global PAX header",
            vec![("-", 512 + 44), ("pax_global_header", 0), ("-", 468 + 512), ("global", 40), ("-", 472 + 1024)],
        ),
        ("numbers in base 256", vec![("-", 512), ("wide", 1001), ("-", 23 + 1024)]),
        (
            "megabytes of empty blocks",
            vec![
                ("-", 512),
                ("some/", 0),
                ("-", 512),
                ("some/file", 1000),
                ("-", 24 + 512),
                ("some/empty", 0),
                ("-", 1024),
                ("-", 1 << 20),
                ("-", 1 << 20),
                ("-", 4998 * 512 - (2 << 20)),
            ],
        ),
    ]
}

#[test]
fn headers_say_what_files_are_called_and_how_large_they_are() {
    let gnu = format!("gnu/{}", "n".repeat(250));
    let gnu_link = format!("gnu/{}", "k".repeat(200));
    let pax = format!("pax/{}/größe-文書", "d".repeat(120)).as_bytes().escape_ascii().to_string();
    let tars: BTreeMap<_, _> = odd_tars(2).into_iter().collect();
    for (what, expected) in outlines(&gnu, &gnu_link, &pax) {
        let mut found = outline(&entries(&split(&tars[what]).gzip()));
        assert_eq!(found.pop(), Some(("-".to_owned(), 0)), "{what}");
        let expected: Vec<_> = expected.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
        assert_eq!(found, expected, "{what}");
    }
}

/// Of what dockerd 20.10.24 wrote when it had loaded these. Those that are missing have so much behind
/// their end that its pieces depend on how it was read.
#[test]
fn lists_are_those_of_dockerd() {
    let odd = odd_tars(7).into_iter().filter(|(what, _)| !what.starts_with("megabytes") && !what.starts_with("junk"));
    let sample =
        |seed, whiteouts, devices| sample::tar_bytes(seed, TarOptions { whiteouts, devices, ..TarOptions::default() });
    let samples =
        [("base", sample(0, false, false)), ("devices", sample(1, false, true)), ("whiteouts", sample(9, true, false))];
    let found: Vec<_> = odd.chain(samples).map(|(what, tar)| (what, Digest::of(&split(&tar).json()))).collect();
    let found: Vec<_> = found.iter().map(|(what, digest)| (*what, digest.short())).collect();
    assert_eq!(
        found,
        [
            ("no bytes", "7260d819bd81"),
            ("no files", "1048af7effd9"),
            ("names and links of GNU", "06a432264727"),
            ("headers from before POSIX", "e0918e9db419"),
            ("PAX headers", "24b070d19d37"),
            ("a global PAX header", "306e113bc4d9"),
            ("names that are not UTF-8", "098935674f4d"),
            ("names that JSON escapes", "5be26dcde588"),
            ("names from here and from the root", "5b092d55806d"),
            ("files below links to directories", "48983b05c11f"),
            ("numbers in base 256", "25f7f08a17c2"),
            ("one empty block at the end", "1ff4d9c46a64"),
            ("no empty blocks at the end", "7b36d675b02f"),
            ("no padding at the end", "4a1d211d5738"),
            ("empty blocks up to a record", "4b3624b17cb1"),
            ("base", "2321745602fc"),
            ("devices", "549456faf408"),
            ("whiteouts", "8bbee6d517ea"),
        ]
    );
}

#[test]
fn entries_have_the_fields_of_tar_split() {
    let mut writer = Writer::new(Vec::new());
    writer.append(&Entry::new("d", EntryKind::Directory, 0o755), &mut &b""[..]).unwrap();
    writer.append(&Entry::file("d/<file>", 0o644, 9), &mut &b"123456789"[..]).unwrap();
    let tar = writer.finish().unwrap();
    let (first, second) = (BASE64_STANDARD.encode(&tar[..512]), BASE64_STANDARD.encode(&tar[512..1024]));
    let end = BASE64_STANDARD.encode([0; 503 + 1024]);
    let expected = [
        format!(r#"{{"type":2,"payload":"{first}","position":0}}"#),
        r#"{"type":1,"name":"d/","payload":null,"position":1}"#.to_owned(),
        format!(r#"{{"type":2,"payload":"{second}","position":2}}"#),
        r#"{"type":1,"name":"d/\u003cfile\u003e","size":9,"payload":"uQlWx3WkEAE=","position":3}"#.to_owned(),
        format!(r#"{{"type":2,"payload":"{end}","position":4}}"#),
        r#"{"type":2,"payload":"","position":5}"#.to_owned(),
    ];
    assert_eq!(String::from_utf8(split(&tar).json()).unwrap(), expected.map(|line| line + "\n").concat());

    let latin = &odd_tars(1).into_iter().find(|(what, _)| *what == "names that are not UTF-8").unwrap().1;
    let json = String::from_utf8(split(latin).json()).unwrap();
    assert!(json.contains(r#"{"type":1,"name_raw":"cmF3L/8=","size":60,"payload":""#), "{json}");
}

#[test]
fn what_is_no_archive_panics() {
    let tar = sample::tar_bytes(1, TarOptions::default());
    let mut changed = tar.clone();
    changed[1] ^= 1;
    let holed = [&tar[..512], &[0; 512], &tar[512..]].concat();
    let cases: [(&[u8], &str); 4] = [
        (&changed, "no header at byte 0"),
        (&tar[..700], "the archive ends inside of a block, at byte 700"),
        (&tar[..tar.len() - 20_000], "bytes of data at byte"),
        (&holed, "an empty block and then another one, at byte 1536"),
    ];
    for (tar, expected) in cases {
        let panic = catch_unwind(|| split(tar)).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}
