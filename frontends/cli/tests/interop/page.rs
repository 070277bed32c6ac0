//! docs/interop.md: the verdicts as tables.

use std::fs;
use std::path::Path;

use super::check::{OF_DEBIAN, Row};
use super::fixture::COMPRESSIONS;
use super::matrix::OF_SEEDED;
use super::peers::missing;
use super::round_trips::OF_OTHERS;

/// A table, and what is said before it.
struct Table {
    text: &'static str,
    columns: [&'static str; 6],
    rows: &'static [&'static dyn Row],
}

static TABLES: [Table; 3] = [
    Table {
        text: DEBIAN,
        columns: ["reader", "of", "what it did", COMPRESSIONS[0], COMPRESSIONS[1], COMPRESSIONS[2]],
        rows: &OF_DEBIAN,
    },
    Table {
        text: SEEDED,
        columns: ["reader", "of", "what it did, and what is right", "one image", "two platforms", "three images"],
        rows: &OF_SEEDED,
    },
    Table {
        text: OTHERS,
        columns: ["tool", "wrote", "is the same", "one image", "two platforms", "three images"],
        rows: &OF_OTHERS,
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

const SEEDED: &str = "
## Every form of an image

Small images of two layers, in four forms: the archive and the directory of `type=oci`, and the tarball of
`type=docker` in both formats. Each is written in every compression, `format=legacy` uncompressed, with one image,
with an image for two platforms (readers of a single platform take their machine's), and with three images with
different names and tags. Digests, image IDs, layers and names are those of `--metadata-file`; a tree is compared as
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

/// Checks that the page says what the tools do, or writes it where `LONGSHORE_BLESS` is set. Other versions of them than
/// those on the page are as good as missing.
pub(crate) fn is_current() {
    // All are asked, so that all that are missing are named.
    let tables: Vec<Option<String>> = TABLES.iter().map(Table::written).collect();
    let Some(tables) = tables.into_iter().collect::<Option<Vec<String>>>() else { return };
    let page = tables.concat();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop.md");
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        fs::write(&path, page).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let mut peers = TABLES.iter().flat_map(|table| table.rows).map(|row| row.peer());
    if let Some(other) = peers.find(|peer| !found.contains(&format!("| {peer} |"))) {
        missing(&format!("docs/interop.md is not about {other}: set LONGSHORE_BLESS=1 to write it"));
        return;
    }
    assert!(found == page, "docs/interop.md is not what the tools do: set LONGSHORE_BLESS=1 to write it\n{page}");
}

impl Table {
    /// Nothing where a row cannot be written.
    fn written(&self) -> Option<String> {
        let rows: Vec<Option<String>> = self.rows.iter().map(|row| row.row()).collect();
        let rows = rows.into_iter().collect::<Option<Vec<String>>>()?;
        Some(format!("{}| {} |\n{}\n{}", self.text, self.columns.join(" | "), "|---".repeat(6) + "|", rows.concat()))
    }
}
