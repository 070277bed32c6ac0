//! The graph of an image: its documents and their references, with each document read once.

mod documents;
mod entries;
mod platform;
mod visit;
mod walk;

use longshore_content::{Provider, Work};
use longshore_oci::Descriptor;

pub use entries::{GraphEntries, GraphEntry};
pub(super) use entries::{REFERENCE_DIGEST, REFERENCE_TYPE};
pub use platform::best_platform;
pub use walk::{GraphBlob, GraphBlobs};

use crate::result::Existing;
use documents::Documents;

/// Limits of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLimits {
    /// Nesting depth of indexes.
    pub depth: usize,
    /// Blobs of all kinds.
    pub blobs: usize,
    /// Bytes of all manifests, indexes and configurations, which are kept in memory.
    pub bytes: u64,
}

impl GraphLimits {
    /// Sets the nesting depth of indexes.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the number of blobs of all kinds.
    #[must_use]
    pub fn with_blobs(mut self, blobs: usize) -> Self {
        self.blobs = blobs;
        self
    }

    /// Sets the bytes of all manifests, indexes and configurations.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

impl Default for GraphLimits {
    /// Returns limits far beyond any real image, but still quick to reach.
    fn default() -> Self {
        Self { depth: 16, blobs: 100_000, bytes: 256 << 20 }
    }
}

/// The graph below the root of an image.
///
/// Nothing is read until a method needs it. Then each digest is visited once, however often it is listed, and each
/// document is read from the provider once, verified, and kept parsed as long as the graph lives. An index may
/// list missing manifests, as written by tools that copy one platform of several, but not only missing ones.
///
/// ```
/// use longshore_core::content::{MemoryStore, Work};
/// use longshore_core::image::Graph;
/// use longshore_core::oci::{ImageConfig, Manifest, MediaType, Platform, json};
///
/// let store = MemoryStore::default();
/// let platform = Platform::new("linux", "amd64", None);
/// let config = store.put(MediaType::CONFIG, &ImageConfig::new(&platform).to_bytes()?);
/// let manifest = Manifest::new(config.clone(), Vec::new());
/// let root = store.put(MediaType::MANIFEST, &json::indented(&manifest)?);
///
/// let work = Work::default();
/// let graph = Graph::at(&root, &store, &work);
/// assert_eq!(graph.platform(&platform)?.digest, root.digest);
/// assert_eq!(graph.walk()?.blobs[0].descriptor, config);
/// # Ok::<(), longshore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Graph<'a> {
    root: &'a Descriptor,
    /// Manifests about the image, which [`walk`](Self::walk) visits too.
    referrers: &'a [Descriptor],
    documents: Documents<'a>,
    limits: GraphLimits,
    work: &'a Work,
}

impl<'a> Graph<'a> {
    /// Creates the graph of an image and its referrers.
    pub fn of(existing: &'a Existing, work: &'a Work) -> Self {
        Self { referrers: &existing.referrers, ..Self::at(&existing.root, existing.provider.as_ref(), work) }
    }

    /// Creates the graph below `root`, with all blobs from `provider`.
    pub fn at(root: &'a Descriptor, provider: &'a dyn Provider, work: &'a Work) -> Self {
        let limits = GraphLimits::default();
        Self { root, referrers: &[], documents: Documents::new(provider, limits.bytes), limits, work }
    }

    /// Returns the same graph with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: GraphLimits) -> Self {
        self.limits = limits;
        self.documents.limit(limits.bytes);
        self
    }

    /// Returns the root of the image.
    pub fn root(&self) -> &Descriptor {
        self.root
    }
}
