//! The same archives given to GNU tar and to Python's `tarfile`.
//!
//! An archive that is read here is read alike by each peer that reads it. One with at most one oddity is
//! read here if both peers read it alike, but for the exceptions below, and refused if both refuse it.
//! Where the peers disagree with each other, it is refused, or only the peer that refuses it disagrees.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use longshore_testkit::seeds;

use crate::listing::{Listing, gnu_line, line, same};
use crate::mutations::{Case, Random, case};
use crate::read;

const SEED: u64 = 20_240_229;
/// Of each seed.
const CASES: usize = 1000;

/// What is refused here although both peers read it alike: words of the error, and why.
const STRICTER: [(&str, &str); 13] = [
    ("for the same entry", "of several extension headers Go takes the last, or none"),
    ("has an entry after an empty block", "Go refuses it, and readers that ignore empty blocks find more entries"),
    ("is empty", "Go takes the name of the header"),
    ("is a sparse file", "Python takes the map of the file for content"),
    ("is of the type", "an image layer has no such entries"),
    ("with a `size`", "with more entries after it, GNU tar would skip some of them"),
    ("malformed `prefix`", "Go reads a prefix, and so does Python, which is corrected for this comparison"),
    ("malformed `mode`: a negative number", "only times can be negative"),
    ("malformed `record`", "Go refuses what is no record, the peers ignore the rest of the header"),
    ("name ends in a slash", "GNU tar lists a contiguous file, and makes a directory"),
    ("\\t", "Go refuses a tab in a number"),
    ("`+1", "a sign is of base 64 to GNU tar, and of octal digits to Python, even where it does not matter"),
    ("`\\x00", "a number after a NUL is one to GNU tar, and none to Python, even where it does not matter"),
];

/// Says that the peers are not asked, past the harness, which hides the output of tests that pass.
///
/// # Panics
/// Where peers are required.
fn missing(what: &str) {
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{what}");
    let _ = writeln!(io::stderr(), "skipped: {what}");
}

fn has(program: &str, expected: &str) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(expected))
}

/// What `tarfile` lists of all archives, read by one process.
fn python(cases: &[Case], place: &Path) -> Vec<Listing> {
    let frame = |case: &Case| [&u32::try_from(case.bytes.len()).unwrap().to_be_bytes(), &case.bytes[..]].concat();
    let input = place.join("cases");
    fs::write(&input, cases.iter().flat_map(frame).collect::<Vec<_>>()).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("peers.py")]).stdin(fs::File::open(input).unwrap()).stderr(Stdio::inherit());
    let output = python.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn gnu(case: &Case, place: &Path) -> Listing {
    let path = place.join("case.tar");
    fs::write(&path, &case.bytes).unwrap();
    let mut tar = Command::new("tar");
    tar.args([
        "--list",
        "--verbose",
        "--numeric-owner",
        "--full-time",
        "--absolute-names",
        "--quoting-style=escape",
        "--quote-chars= ",
    ]);
    let output = tar.arg("--file").arg(path).env("LC_ALL", "C").env("TZ", "UTC").output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8(output.stdout).unwrap().lines().map(gnu_line).collect())
}

fn ours(case: &Case) -> Listing {
    let entries = read(&case.bytes).map_err(|error| error.message().to_owned())?;
    Ok(entries.iter().map(|(entry, _)| line(entry)).collect())
}

/// Why an archive breaks the rule at the top of this file; `None` if it does not.
fn broken(ours: &Listing, gnu: &Listing, python: &Listing, mutations: usize) -> Option<&'static str> {
    match (ours, gnu, python) {
        (Ok(ours), Ok(gnu), Ok(python)) if !same(ours, gnu) && !same(ours, python) => Some("neither peer reads it so"),
        (Ok(ours), Ok(gnu), _) if !same(ours, gnu) => Some("GNU tar reads it otherwise"),
        (Ok(ours), _, Ok(python)) if !same(ours, python) => Some("Python reads it otherwise"),
        (Err(error), Ok(gnu), Ok(python)) if mutations < 2 && same(gnu, python) => {
            let is_stricter = STRICTER.iter().any(|(words, _)| error.contains(words));
            (!is_stricter).then_some("both peers read it")
        }
        (Ok(_), Err(_), Err(_)) if mutations < 2 => Some("no peer reads it"),
        _ => None,
    }
}

#[test]
fn archives_are_read_as_peers_read_them() {
    if !has("tar", "GNU tar") || !has("python3", "Python") {
        return missing("GNU tar and python3 are needed to compare how archives are read");
    }
    let place = tempfile::tempdir().unwrap();
    let (mut tried, mut all_read, mut refused, mut failures) = (0, 0, 0, Vec::new());
    for seed in seeds(SEED) {
        let mut random = Random::new(seed);
        let cases: Vec<Case> = (0..CASES).map(|_| case(&mut random)).collect();
        let python = python(&cases, place.path());
        assert_eq!(python.len(), cases.len());
        for (at, (case, python)) in cases.iter().zip(&python).enumerate() {
            let (ours, gnu) = (ours(case), gnu(case, place.path()));
            tried += 1;
            all_read += usize::from(ours.is_ok() && gnu.is_ok() && python.is_ok());
            refused += usize::from(ours.is_err());
            if let Some(why) = broken(&ours, &gnu, python, case.mutations) {
                failures.push(format!(
                    "archive {at} of seed {seed}: {why}\n  ours {ours:?}\n  gnu {gnu:?}\n  python {python:?}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures[..failures.len().min(60)].join("\n"));
    assert!(all_read > tried / 10 && refused > tried / 10, "{all_read} of {tried} are read by all, {refused} refused");
}
