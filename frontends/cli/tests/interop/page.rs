//! docs/interop.md: the verdicts as tables.

use std::fs;
use std::path::Path;

use super::check::{OF_DEBIAN, Row};
use super::fixture::COMPRESSIONS;
use super::matrix::OF_SEEDED;
use super::of_today;
use super::peers::missing;
use super::round_trips::{self, OF_OTHERS};

/// A table, and what is said before it.
struct Table {
    text: &'static str,
    columns: [&'static str; 6],
    rows: fn() -> Vec<&'static dyn Row>,
    is_of_today: bool,
}

static TABLES: [Table; 6] = [
    Table {
        text: DEBIAN,
        columns: ["reader", "of", "what it did", COMPRESSIONS[0], COMPRESSIONS[1], COMPRESSIONS[2]],
        rows: || OF_DEBIAN.to_vec(),
        is_of_today: false,
    },
    Table {
        text: TODAY,
        columns: ["reader", "of", "what it did", COMPRESSIONS[0], COMPRESSIONS[1], COMPRESSIONS[2]],
        rows: of_today::of_debian,
        is_of_today: true,
    },
    Table {
        text: SEEDED,
        columns: ["reader", "of", "what it did, and what is right", "one image", "two platforms", "three images"],
        rows: || OF_SEEDED.to_vec(),
        is_of_today: false,
    },
    Table {
        text: TODAY,
        columns: ["reader", "of", "what it did, and what is right", "one image", "two platforms", "three images"],
        rows: of_today::of_seeded,
        is_of_today: true,
    },
    Table {
        text: OTHERS,
        columns: ["tool", "wrote", "is the same", "one image", "two platforms", "three images"],
        rows: || OF_OTHERS.to_vec(),
        is_of_today: false,
    },
    Table {
        text: TODAY,
        columns: ["tool", "wrote", "is the same", "one image", "two platforms", "three images"],
        rows: round_trips::of_today,
        is_of_today: true,
    },
];

const DEBIAN: &str = "\
<!-- Written by `LONGSHORE_BLESS=1 sh testdata/test.sh`. Do not edit. -->

# Interoperability

Third-party tools read what `longshore export` writes, and write what it reads.

## A Debian tree

Readers get one image in each compression, as written by `type=oci`: an archive, and a directory with `tar=false`. The
image is a Debian tree with a layer of special files on top: hard links, symbolic links, a fifo, a device, a
setuid file, a file with a capability, long and non-ASCII names.

The same tree has the same paths, types, modes, owners, sizes, contents, link targets, hard links, device numbers,
capabilities, and times to the second. For containerd, directory times are compared only in the Debian tree: its
`native` snapshotter does not keep them when it copies that tree for the layer on top.

";

/// The heading of each table of today's peers.
const TODAY: &str = "
### Today's versions, from Debian's testing suite

";

const SEEDED: &str = "
## Every form of an image

Small images of two layers, in four forms: the archive and the directory of `type=oci`, and the tarball of
`type=docker` in both formats. Each is written in every compression, `format=legacy` uncompressed, with one image,
with an image for two platforms that has an SBOM, provenance and annotations (readers of a single platform take their
machine's), and with three images with different names and tags. Digests, image IDs, layers and names are those of `--metadata-file`; a tree is compared as
above, without the times of directories.

";

const OTHERS: &str = "
## What other tools wrote

Images that went through other tools, exported again with `longshore export oci:…`, `oci-archive:…` or
`docker-archive:…`, and again through the image store: `longshore import`, `verify`, `export image:…`. Archives are read
from a file and from standard input. podman writes its own manifest for an archive, and umoci one with an
additional layer: the digest is that manifest's. Docker's tarballs have no manifest to keep. skopeo writes one
image per tarball, podman one per archive, and umoci does not support multi-platform images.

";

/// Checks that the page says what the tools do, or writes it where `LONGSHORE_BLESS` is set. Other versions of Debian
/// 12's than those on the page are as good as missing; those of today move, and must do the same.
pub(crate) fn is_current() {
    // All are asked, so that all that are missing are named.
    let (today, tables): (Vec<_>, Vec<_>) = TABLES.iter().map(|table| (table, table.written())).partition(is_of_today);
    let has_today = today.iter().all(|(_, table)| table.is_some());
    if tables.iter().any(|(_, table)| table.is_none()) {
        return;
    }
    let written = TABLES.iter().filter(|table| has_today || !table.is_of_today).filter_map(Table::written);
    let page = written.collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        assert!(has_today, "docs/interop.md cannot be written without the peers of today");
        fs::write(&path, page).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let mut peers = tables.iter().flat_map(|(table, _)| (table.rows)()).map(Row::peer);
    if let Some(other) = peers.find(|peer| !found.contains(&format!("| {peer} |"))) {
        missing(&format!("docs/interop.md is not about {other}: set LONGSHORE_BLESS=1 to write it"));
        return;
    }
    let found = comparable(&found, has_today);
    assert!(
        found == comparable(&page, has_today),
        "docs/interop.md is not what the tools do: set LONGSHORE_BLESS=1 to write it\n{page}"
    );
}

fn is_of_today((table, _): &(&Table, Option<String>)) -> bool {
    table.is_of_today
}

/// A page without the versions of today's peers, or without these.
fn comparable(page: &str, has_today: bool) -> String {
    let mut is_of_today = false;
    let mut lines = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            is_of_today = TODAY.contains(line);
        }
        match line.split_once(" |") {
            Some((peer, rest)) if is_of_today => {
                let name = peer.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
                lines.push(format!("{name}|{rest}"));
            }
            _ => lines.push(line.to_owned()),
        }
        if is_of_today && !has_today {
            lines.pop();
        }
    }
    // Where a heading was, there is one empty line more.
    lines.join("\n").replace("\n\n\n", "\n\n")
}

impl Table {
    /// Nothing where a row cannot be written.
    fn written(&self) -> Option<String> {
        let rows: Vec<Option<String>> = (self.rows)().iter().map(|row| row.row()).collect();
        let rows = rows.into_iter().collect::<Option<Vec<String>>>()?;
        Some(format!("{}| {} |\n{}\n{}", self.text, self.columns.join(" | "), "|---".repeat(6) + "|", rows.concat()))
    }
}

#[test]
fn versions_of_today_are_not_compared_and_may_be_missing() {
    let page = |today: &str| format!("# A\n\n| a 1.0 | x |\n{today}\n## B\n\n| b 1.0 | y |\n");
    let table = |version: &str| format!("{TODAY}| c {version} | z |\n");
    let compared = |today: &str, has_today: bool| comparable(&page(today), has_today);
    assert_eq!(compared(&table("1.0"), true), compared(&table("2.10.3"), true));
    assert_ne!(compared(&table("1.0"), true), compared("", true));
    assert_eq!(compared(&table("1.0"), false), compared("", false));
    assert_ne!(compared(&table("1.0"), true), compared(&table("1.0").replace('z', "w"), true));
    assert_ne!(page("").replace("a 1.0", "a 1.1"), comparable(&page(""), true));
}
