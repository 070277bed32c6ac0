//! docs/interop.md: the verdicts as a table.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::check::{ALL, Check, Verdict};
use super::fixture::{COMPRESSIONS, exported};
use super::peers::missing;

const HEAD: &str = "\
<!-- Written by `LONGSHORE_BLESS=1 sh testdata/test.sh`. Do not edit. -->

# Interoperability

Readers of other projects are given one image in each compression, as `type=oci` writes it: an archive, and a
directory with `tar=false`. The image is a Debian tree and a layer of special files over it: hard links, symbolic links,
a fifo, a device, a setuid file, a file with a capability, names that are long or not ASCII.

The same tree has the same paths, types, modes, owners, sizes, contents, link targets, hard links, device numbers,
capabilities, and times to the second. Of containerd the times of directories are compared in the Debian tree alone: its
`native` snapshotter does not keep them where it copies that tree for the layer over it.

";

/// Checks that the page says what the readers do, or writes it where `LONGSHORE_BLESS` is set. Other versions of them
/// than those on the page are as good as missing.
pub(crate) fn is_current() {
    if exported().is_none() {
        return;
    }
    // All are asked, so that all that are missing are named.
    let verdicts: Vec<_> = ALL.iter().map(|check| check.verdicts()).collect();
    let rows = ALL.iter().zip(verdicts).map(|(check, verdicts)| Some(row(check, verdicts?)));
    let Some(rows) = rows.collect::<Option<Vec<String>>>() else { return };
    let page = format!("{HEAD}{}{}", header(), rows.concat());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        fs::write(&path, page).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let mut readers = ALL.iter().map(|check| reader(check));
    if let Some(other) = readers.find(|reader| !found.contains(&format!("| {reader} |"))) {
        missing(&format!("docs/interop.md is not about {other}: set LONGSHORE_BLESS=1 to write it"));
        return;
    }
    assert!(found == page, "docs/interop.md is not what the readers do: set LONGSHORE_BLESS=1 to write it\n{page}");
}

fn header() -> String {
    format!("| reader | of | what it did | {} |\n|---|---|---|---|---|---|\n", COMPRESSIONS.join(" | "))
}

fn row(check: &Check, verdicts: &[Verdict; 3]) -> String {
    let mut row = format!("| {} | {} | {} |", reader(check), check.artifact, check.asked);
    for verdict in verdicts {
        match verdict {
            Verdict::Reads => row.push_str(" reads |"),
            Verdict::Refuses(words) => write!(row, " refuses: `{words}` |").unwrap(),
            Verdict::Unasked => row.push_str(" – |"),
        }
    }
    row.push('\n');
    row
}

fn reader(check: &Check) -> String {
    format!("{} {}", check.peers[0].name, check.peers[0].version().unwrap_or_default())
}
