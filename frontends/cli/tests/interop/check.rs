//! The checks: which reader is given what. Each is a row of docs/interop.md.

use std::sync::OnceLock;

use super::fixture::{Exported, exported};
use super::peers::{CONTAINERD, CTR, GZIP, OCI_IMAGE_TOOL, Peer, SKOPEO, TAR, UMOCI, ZSTD};
use super::readers;

/// What a reader made of one compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was right in all that the check asks.
    Reads,
    /// It stopped, with these words.
    Refuses(&'static str),
    /// It is not made for that.
    Unasked,
}

/// A reader and an artifact.
#[derive(Debug)]
pub(crate) struct Check {
    /// The reader, then the programs that it needs.
    pub(crate) peers: &'static [&'static Peer],
    pub(crate) artifact: &'static str,
    /// What runs, and what must come of it.
    pub(crate) asked: &'static str,
    ask: fn(&Exported) -> [Verdict; 3],
    verdicts: OnceLock<[Verdict; 3]>,
}

impl Check {
    const fn new(
        peers: &'static [&'static Peer],
        artifact: &'static str,
        asked: &'static str,
        ask: fn(&Exported) -> [Verdict; 3],
    ) -> Self {
        Self { peers, artifact, asked, ask, verdicts: OnceLock::new() }
    }

    /// The verdict on each compression, asked once; nothing where a reader or the tree is missing.
    pub(crate) fn verdicts(&self) -> Option<&[Verdict; 3]> {
        if !self.peers.iter().all(|peer| peer.is_ready()) {
            return None;
        }
        exported().map(|exported| self.verdicts.get_or_init(|| (self.ask)(exported)))
    }

    /// Asks, and fails if anything is wrong. What a reader is known to refuse is only recorded.
    pub(crate) fn holds(&self) {
        if let Some(verdicts) = self.verdicts() {
            assert!(verdicts.contains(&Verdict::Reads), "{} reads nothing: {verdicts:?}", self.peers[0].name);
        }
    }
}

pub(crate) static ALL: [&Check; 11] = [
    &SKOPEO_INSPECTS_LAYOUTS,
    &SKOPEO_INSPECTS_ARCHIVES,
    &SKOPEO_COPIES_LAYOUTS,
    &SKOPEO_COPIES_ARCHIVES,
    &UMOCI_UNPACKS_LAYOUTS,
    &CONTAINERD_IMPORTS_ARCHIVES,
    &OCI_IMAGE_TOOL_VALIDATES_LAYOUTS,
    &GZIP_TESTS_LAYERS,
    &ZSTD_TESTS_LAYERS,
    &TAR_LISTS_LAYERS,
    &TAR_LISTS_ARCHIVES,
];

pub(crate) static SKOPEO_INSPECTS_LAYOUTS: Check = Check::new(
    &[&SKOPEO],
    "directory",
    "`skopeo inspect oci:` gives the digest that `--metadata-file` gives",
    readers::skopeo_inspects_layouts,
);

pub(crate) static SKOPEO_INSPECTS_ARCHIVES: Check = Check::new(
    &[&SKOPEO],
    "archive",
    "`skopeo inspect oci-archive:` gives the digest that `--metadata-file` gives",
    readers::skopeo_inspects_archives,
);

pub(crate) static SKOPEO_COPIES_LAYOUTS: Check = Check::new(
    &[&SKOPEO],
    "directory",
    "`skopeo copy oci: dir:` copies every blob as it is",
    readers::skopeo_copies_layouts,
);

pub(crate) static SKOPEO_COPIES_ARCHIVES: Check = Check::new(
    &[&SKOPEO],
    "archive",
    "`skopeo copy oci-archive: dir:` copies every blob as it is",
    readers::skopeo_copies_archives,
);

pub(crate) static UMOCI_UNPACKS_LAYOUTS: Check =
    Check::new(&[&UMOCI], "directory", "`umoci unpack` makes the same tree", readers::umoci_unpacks_layouts);

pub(crate) static CONTAINERD_IMPORTS_ARCHIVES: Check = Check::new(
    &[&CONTAINERD, &CTR],
    "archive",
    "`ctr images import` gives the same digest and makes the same tree",
    readers::containerd_imports_archives,
);

pub(crate) static OCI_IMAGE_TOOL_VALIDATES_LAYOUTS: Check = Check::new(
    &[&OCI_IMAGE_TOOL],
    "directory",
    "`oci-image-tool validate --type image` succeeds",
    readers::oci_image_tool_validates_layouts,
);

pub(crate) static GZIP_TESTS_LAYERS: Check =
    Check::new(&[&GZIP], "layers", "`gzip -t` succeeds", readers::gzip_tests_layers);

pub(crate) static ZSTD_TESTS_LAYERS: Check =
    Check::new(&[&ZSTD], "layers", "`zstd -t` succeeds", readers::zstd_tests_layers);

pub(crate) static TAR_LISTS_LAYERS: Check = Check::new(
    &[&TAR, &GZIP, &ZSTD],
    "layers",
    "`tar -t` lists each file of the source once, `tar -tv` as many",
    readers::tar_lists_layers,
);

pub(crate) static TAR_LISTS_ARCHIVES: Check =
    Check::new(&[&TAR], "archive", "`tar -t` lists the files of the directory", readers::tar_lists_archives);
