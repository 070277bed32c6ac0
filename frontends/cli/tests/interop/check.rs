//! What a check is, and the checks of the Debian image. Each is a row of docs/interop.md.

use std::sync::OnceLock;

use super::fixture::{Exported, exported};
use super::peers::{CONTAINERD, CTR, GZIP, OCI_IMAGE_TOOL, Peer, SKOPEO, TAR, UMOCI, ZSTD};
use super::readers;

/// What came of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The reader was right in all that the check asks.
    Reads,
    /// It was, and its copy has this key besides.
    Adds(&'static str),
    /// The reader stopped, with these words.
    Refuses(&'static str),
    /// What the peer wrote is, for us, what it must be.
    Returns,
    /// It is not made for that.
    Unasked,
}

impl Verdict {
    /// Of a reader that may be known to refuse with these words; anything else that fails, fails the test.
    pub(crate) fn of(outcome: Result<(), String>, known: Option<&'static str>, what: &str) -> Self {
        match (outcome, known) {
            (Ok(()), _) => Self::Reads,
            (Err(stderr), Some(words)) if stderr.contains(words) => Self::Refuses(words),
            (Err(stderr), _) => panic!("cannot read {what}:\n{stderr}"),
        }
    }
}

/// What is in a cell of the page.
pub(crate) trait Cell: std::fmt::Debug + Copy + Send + Sync + 'static {
    fn is_good(&self) -> bool;
    fn text(&self) -> String;
}

impl Cell for Verdict {
    fn is_good(&self) -> bool {
        matches!(self, Self::Reads | Self::Adds(_) | Self::Returns)
    }

    fn text(&self) -> String {
        match self {
            Self::Reads => "reads".to_owned(),
            Self::Adds(key) => format!("reads, and adds `{key}`"),
            Self::Refuses(words) => format!("refuses: `{words}`"),
            Self::Returns => "comes back".to_owned(),
            Self::Unasked => "–".to_owned(),
        }
    }
}

/// What the checks of a table are about, made once for all of them; nothing where it cannot be made.
pub(crate) trait Given: Sync + 'static {
    fn given() -> Option<&'static Self>;
}

impl Given for Exported {
    fn given() -> Option<&'static Self> {
        exported()
    }
}

/// A peer and an artifact: a row with three columns.
#[derive(Debug)]
pub(crate) struct Check<G: Given, C: Cell> {
    /// The peer, then the other programs that are needed.
    peers: &'static [&'static Peer],
    artifact: &'static str,
    /// What runs, and what must come of it.
    asked: &'static str,
    ask: fn(&G, &'static Peer) -> [C; 3],
    cells: OnceLock<[C; 3]>,
}

impl<G: Given, C: Cell> Check<G, C> {
    pub(crate) const fn new(
        peers: &'static [&'static Peer],
        artifact: &'static str,
        asked: &'static str,
        ask: fn(&G, &'static Peer) -> [C; 3],
    ) -> Self {
        Self { peers, artifact, asked, ask, cells: OnceLock::new() }
    }

    /// Asked once; nothing where a peer or what it is given is missing.
    fn cells(&self) -> Option<&[C; 3]> {
        if !self.peers.iter().all(|peer| peer.is_ready()) {
            return None;
        }
        G::given().map(|given| self.cells.get_or_init(|| (self.ask)(given, self.peers[0])))
    }

    /// Asks, and fails if anything is wrong. What a reader is known to refuse is only recorded.
    pub(crate) fn runs(&self) {
        let _ = self.cells();
    }

    /// The same, and something must be good.
    pub(crate) fn holds(&self) {
        if let Some(cells) = self.cells() {
            assert!(cells.iter().any(Cell::is_good), "{} reads nothing: {cells:?}", self.peers[0].name);
        }
    }
}

/// A check for the page.
pub(crate) trait Row: Sync {
    /// The peer and its version.
    fn peer(&self) -> String;
    /// Whether it is about this peer.
    fn is_of(&self, peer: &Peer) -> bool;
    /// The row; nothing where something is missing.
    fn row(&self) -> Option<String>;
}

impl<G: Given, C: Cell> Row for Check<G, C> {
    fn peer(&self) -> String {
        format!("{} {}", self.peers[0].name, self.peers[0].version().unwrap_or_default())
    }

    fn is_of(&self, peer: &Peer) -> bool {
        self.peers[0].name == peer.name && self.peers[0].generation == peer.generation
    }

    fn row(&self) -> Option<String> {
        let cells = self.cells()?.map(|cell| cell.text()).join(" | ");
        Some(format!("| {} | {} | {} | {cells} |\n", self.peer(), self.artifact, self.asked))
    }
}

/// A check of what readers make of the Debian image in each compression.
type OfDebian = Check<Exported, Verdict>;

pub(crate) static OF_DEBIAN: [&dyn Row; 11] = [
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

pub(crate) static SKOPEO_INSPECTS_LAYOUTS: OfDebian = OfDebian::new(
    &[&SKOPEO],
    "directory",
    "`skopeo inspect oci:` gives the digest that `--metadata-file` gives",
    readers::skopeo_inspects_layouts,
);

pub(crate) static SKOPEO_INSPECTS_ARCHIVES: OfDebian = OfDebian::new(
    &[&SKOPEO],
    "archive",
    "`skopeo inspect oci-archive:` gives the digest that `--metadata-file` gives",
    readers::skopeo_inspects_archives,
);

pub(crate) static SKOPEO_COPIES_LAYOUTS: OfDebian = OfDebian::new(
    &[&SKOPEO],
    "directory",
    "`skopeo copy oci: dir:` copies every blob as it is",
    readers::skopeo_copies_layouts,
);

pub(crate) static SKOPEO_COPIES_ARCHIVES: OfDebian = OfDebian::new(
    &[&SKOPEO],
    "archive",
    "`skopeo copy oci-archive: dir:` copies every blob as it is",
    readers::skopeo_copies_archives,
);

pub(crate) static UMOCI_UNPACKS_LAYOUTS: OfDebian =
    OfDebian::new(&[&UMOCI], "directory", "`umoci unpack` makes the same tree", readers::umoci_unpacks_layouts);

pub(crate) static CONTAINERD_IMPORTS_ARCHIVES: OfDebian = OfDebian::new(
    &[&CONTAINERD, &CTR],
    "archive",
    "`ctr images import` gives the same digest and makes the same tree",
    readers::containerd_imports_archives,
);

pub(crate) static OCI_IMAGE_TOOL_VALIDATES_LAYOUTS: OfDebian = OfDebian::new(
    &[&OCI_IMAGE_TOOL],
    "directory",
    "`oci-image-tool validate --type image` succeeds",
    readers::oci_image_tool_validates_layouts,
);

pub(crate) static GZIP_TESTS_LAYERS: OfDebian =
    OfDebian::new(&[&GZIP], "layers", "`gzip -t` succeeds", readers::gzip_tests_layers);

pub(crate) static ZSTD_TESTS_LAYERS: OfDebian =
    OfDebian::new(&[&ZSTD], "layers", "`zstd -t` succeeds", readers::zstd_tests_layers);

pub(crate) static TAR_LISTS_LAYERS: OfDebian = OfDebian::new(
    &[&TAR, &GZIP, &ZSTD],
    "layers",
    "`tar -t` lists each file of the source once, `tar -tv` as many",
    readers::tar_lists_layers,
);

pub(crate) static TAR_LISTS_ARCHIVES: OfDebian =
    OfDebian::new(&[&TAR], "archive", "`tar -t` lists the files of the directory", readers::tar_lists_archives);
