//! Headers in the dialects of many writers.

use longshore_core::archive::{Entry, EntryKind};

use crate::blocks::{
    BLOCK, GID, Header, LINK, MAGIC, MAJOR, MINOR, MODE, MTIME, NAME, PREFIX, SIZE, UID, archive, file, pax,
};
use crate::{entries, error};

/// What [`Header::new`] is read as.
fn plain(kind: EntryKind, path: &str) -> Entry {
    Entry { uid: 1000, gid: 100, mtime: 0o14000000000, ..Entry::new(path, kind, 0o640) }
}

fn plain_file(path: &str) -> Entry {
    plain(EntryKind::File, path)
}

/// Reads `block` as the first entry of an archive of two.
fn check(what: &str, block: Vec<u8>, expected: &Entry) {
    let found = entries(&archive(&[block, file("next", b"")]), what);
    assert_eq!(found, [expected.clone(), plain_file("next")], "{what}");
}

#[test]
fn the_prefix_of_ustar_counts_whatever_its_version_is() {
    for version in ["00", "\0\0", "  ", "0\0", " \0", "\x000", "01", "zz"] {
        let block = Header::new(b'0', "lib/a.class").with(MAGIC, format!("ustar\0{version}"));
        check(version, block.with(PREFIX, "org/example").block(), &plain_file("org/example/lib/a.class"));
    }
    let (prefix, name) = ("p".repeat(155), "n".repeat(100));
    let block = Header::new(b'0', &name).with(PREFIX, &prefix).block();
    check("full fields", block, &plain_file(&format!("{prefix}/{name}")));
    let block = Header::new(b'5', "").with(PREFIX, "only/prefix").block();
    check("no name", block, &plain(EntryKind::Directory, "only/prefix"));
}

#[test]
fn what_is_no_prefix_is_not_read_as_one() {
    let old = Header::new(b'0', "a").with(MAGIC, "").with(PREFIX, "garbage");
    check("v7", old.clone().block(), &plain_file("a"));
    check("an unknown magic", old.clone().with(MAGIC, "pstar\x0000").block(), &plain_file("a"));
    let gnu = Header::new(b'0', "a").with(MAGIC, "ustar  \0");
    // Access and change time, as `tar --incremental` writes them.
    let times = gnu.clone().with(PREFIX, "13650415236\x0013650415237\0");
    check("old GNU with times", times.block(), &plain_file("a"));
    let star = Header::new(b'0', "a").with(508..512, "tar\0").with(PREFIX, "p");
    let star = star.with(476..500, "13650415236 13650415237 ");
    check("star with times", star.clone().block(), &plain_file("p/a"));

    let prefix = gnu.with(PREFIX, "some/prefix").block();
    assert!(error(&archive(&[prefix]), "old GNU").message().contains("malformed `prefix`"));
    let full = star.with(345..476, "p".repeat(131)).block();
    assert!(error(&archive(&[full]), "star").message().contains("malformed `prefix`"));
}

#[test]
fn numbers_in_the_forms_of_many_writers() {
    let header = || Header::new(b'0', "a");
    let zero = |entry: Entry| Entry { uid: 0, gid: 0, ..entry };
    let cases: [(&str, Header, Entry); 10] = [
        ("owners that are empty", header().with(UID, "").with(GID, ""), zero(plain_file("a"))),
        ("owners of spaces", header().with(UID, "        ").with(GID, " "), zero(plain_file("a"))),
        (
            "all fields empty",
            header().with(MODE, "").with(UID, "").with(GID, "").with(SIZE, "").with(MTIME, ""),
            Entry { mtime: 0, ..Entry::file("a", 0, 0) },
        ),
        (
            "leading spaces",
            header().with(UID, "   17 \0").with(MODE, "    755 "),
            Entry { uid: 0o17, mode: 0o755, ..plain_file("a") },
        ),
        (
            "no terminator",
            header().with(UID, "00001234").with(MTIME, "000000000017"),
            Entry { uid: 0o1234, mtime: 0o17, ..plain_file("a") },
        ),
        ("few digits", header().with(GID, "7").with(MTIME, "1 "), Entry { gid: 7, mtime: 1, ..plain_file("a") }),
        ("type bits in the mode", header().with(MODE, "0104755\0"), Entry { mode: 0o4755, ..plain_file("a") }),
        (
            "an owner in base 256",
            header().with(UID, b"\x80\0\0\0\x7f\xff\xff\xff"),
            Entry { uid: 0x7fff_ffff, ..plain_file("a") },
        ),
        (
            "a time in base 256",
            header().with(MTIME, b"\x80\0\0\0\0\0\0\x01\0\0\0\x02"),
            Entry { mtime: (1 << 32) + 2, ..plain_file("a") },
        ),
        (
            "a time before 1970",
            header().with(MTIME, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x9c"),
            Entry { mtime: -100, ..plain_file("a") },
        ),
    ];
    for (what, header, expected) in cases {
        check(what, header.block(), &expected);
    }
    let content = vec![b'c'; 700];
    for (what, size) in [("base 256", &b"\x80\0\0\0\0\0\0\0\0\0\x02\xbc"[..]), ("spaces", b"       1274 ")] {
        let block = Header::new(b'0', "a").with(SIZE, size).block();
        let bytes = archive(&[block, content.clone(), vec![0; 324], file("next", b"")]);
        assert_eq!(crate::read(&bytes).unwrap()[0].1, content, "{what}");
    }
}

#[test]
fn checksums_in_the_forms_of_many_writers() {
    let header = || Header::new(b'0', b"na\xefve-\xff");
    let expected = Entry { path: b"na\xefve-\xff".to_vec(), ..plain_file("") };
    check("unsigned", header().block(), &expected);
    check("signed", header().signed_block(), &expected);
    for (what, form) in [
        ("with a space first", (|sum| format!("{sum:06o} \0")) as fn(i64) -> String),
        ("padded with spaces", |sum| format!("{sum:6o}\0 ")),
        ("seven digits", |sum| format!("{sum:07o}\0")),
        ("eight digits", |sum| format!("{sum:08o}")),
        ("no padding", |sum| format!("{sum:o}")),
    ] {
        check(what, header().block_with(form), &expected);
    }
    for (what, form) in [
        ("one more", (|sum| format!("{:06o}\0 ", sum + 1)) as fn(i64) -> String),
        ("decimal", |sum| format!("{sum:06}\0 ")),
        ("none", |_| String::new()),
    ] {
        let message = error(&archive(&[header().block_with(form)]), what).message().to_owned();
        assert_eq!(message, "not a tar archive: the header at byte 0 has a wrong checksum", "{what}");
    }
}

#[test]
fn kinds_in_the_dialects_that_have_them() {
    let old = |name: &str| Header::new(0, name).with(MAGIC, "");
    check("a v7 file", old("a").block(), &plain_file("a"));
    check("a v7 directory", old("d/").block(), &plain(EntryKind::Directory, "d"));
    check("a contiguous file", Header::new(b'7', "a").block(), &plain_file("a"));
    check("a directory with a quota", Header::new(b'5', "d//").size(5000).block(), &plain(EntryKind::Directory, "d"));
    let link = Entry { link: b"a/b".to_vec(), ..plain(EntryKind::HardLink, "h") };
    check("a hard link with the size of its file", Header::new(b'1', "h").with(LINK, "a/b").size(5000).block(), &link);
    let device = |magic: &str| {
        let header = Header::new(b'3', "tty").with(MAGIC, magic).with(MAJOR, "0000004\0");
        header.with(MINOR, "    100\0").block()
    };
    let expected = Entry { device: (4, 64), ..plain(EntryKind::CharDevice, "tty") };
    check("a device of ustar", device("ustar\x0000"), &expected);
    check("a device of old GNU", device("ustar  \0"), &expected);
    let empty = Header::new(b'4', "sda").with(MAJOR, "").with(MINOR, "").block();
    check("a device without numbers", empty, &plain(EntryKind::BlockDevice, "sda"));
    // Files have no device numbers, so theirs are not read.
    check("a file with other bytes there", Header::new(b'0', "a").with(MAJOR, "garbage!").block(), &plain_file("a"));
}

#[test]
fn names_that_fill_their_fields() {
    let (name, link) = ("n".repeat(100), "l".repeat(100));
    let block = Header::new(b'2', &name).with(LINK, &link).block();
    check("100 bytes", block, &Entry { link: link.into_bytes(), ..plain(EntryKind::Symlink, &name) });
    let block = Header::new(b'0', "a\0behind the name").block();
    assert_eq!(block[NAME.start..NAME.start + 2], *b"a\0");
    check("bytes after a NUL", block, &plain_file("a"));
}

#[test]
fn records_of_pax_headers() {
    let records: [(&str, &[u8], Entry); 8] = [
        ("path", b"dir/\xff\xfe", Entry { path: b"dir/\xff\xfe".to_vec(), ..plain_file("") }),
        ("uid", b"4294967297", Entry { uid: (1 << 32) + 1, ..plain_file("a") }),
        ("gid", b"007", Entry { gid: 7, ..plain_file("a") }),
        ("mtime", b"-11.125", Entry { mtime: -12, ..plain_file("a") }),
        ("mtime", b"-0.9", Entry { mtime: -1, ..plain_file("a") }),
        ("mtime", b"12.999", Entry { mtime: 12, ..plain_file("a") }),
        (
            "SCHILY.xattr.user.k",
            b"\0\n=\xff",
            Entry { xattrs: [(b"user.k".to_vec(), b"\0\n=\xff".to_vec())].into(), ..plain_file("a") },
        ),
        ("LIBARCHIVE.creationtime", b"1", plain_file("a")),
    ];
    for (key, value, expected) in records {
        let block = [pax(&[(key, value)]), Header::new(b'0', "a").block()].concat();
        check(key, block, &expected);
    }
    let block = [pax(&[("size", b"513")]), Header::new(b'0', "a").size(9 * BLOCK).block()].concat();
    let bytes = archive(&[block, vec![b'x'; 2 * BLOCK], file("next", b"")]);
    assert_eq!(entries(&bytes, "a size").iter().map(|entry| entry.size).collect::<Vec<_>>(), [513, 0]);
}
