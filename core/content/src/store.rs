//! Content stores: immutable blobs, addressed by their digest.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, Error, Result};

use crate::provider::{Origin, Provider};

/// Immutable blobs, addressed by their digest.
///
/// - A blob is visible, complete and verified, or it is not there.
/// - A nil error means that the content is stored under its digest, not that this call stored it.
/// - Any number of threads and, for a store on disk, processes may write the same blob at once.
pub trait ContentStore: Provider {
    /// What is known of a blob; `None` if it is not there.
    ///
    /// # Errors
    /// Those of the medium.
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>>;

    /// The blob that an encoder made of the layer with `diff_id`, if it is there.
    ///
    /// Only what a writer said it [made](Made) counts, never a blob that came from elsewhere: what a
    /// store holds must not decide what an image consists of.
    ///
    /// # Errors
    /// Those of the medium.
    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>>;

    /// Starts to write a blob, which appears on [`BlobWriter::commit`].
    ///
    /// With `expected`, bytes that an earlier writer of that blob left behind are kept: continue from
    /// [`BlobWriter::offset`]. What `expected` says is checked on commit.
    ///
    /// # Errors
    /// Those of the medium.
    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>>;

    /// Adds to what is known of a blob that is there.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a blob that is not there.
    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()>;

    /// Returns a view of the store that holds what is found or written through it.
    ///
    /// - What [`info`](Self::info) and [`made`](Self::made) find through the view, and what is committed or updated
    ///   through it, is not collected before the view is dropped, nor is anything that it refers to. Opening a
    ///   blob holds nothing.
    /// - Nothing else is held: not what was found before, and not what is found through the store itself or through
    ///   another view.
    /// - In everything else a view is the store. It outlives the value that it was taken from, and a view of a view
    ///   holds what goes through it alone.
    ///
    /// A store that collects nothing, or cannot be written to, returns itself.
    ///
    /// # Errors
    /// Those of the medium.
    fn lease(&self) -> Result<Arc<dyn ContentStore>>;

    /// Returns the directory on this machine in which the store keeps everything; `None` for a store without one.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// Returns whether nothing can be written to it: then everything that changes it fails with
    /// [`Denied`](longshore_oci::ErrorKind::Denied).
    fn is_read_only(&self) -> bool {
        false
    }
}

/// A blob on its way into a store. Dropping it discards what was written.
pub trait BlobWriter: Write + Send {
    /// How many bytes are there: 0 for a new blob, more when an earlier attempt is continued.
    fn offset(&self) -> u64;

    /// Leaves the bytes for a later [`ContentStore::ingest`] of the same blob instead of discarding
    /// them. A store may discard them all the same.
    ///
    /// # Errors
    /// Those of the medium.
    fn suspend(self: Box<Self>) -> Result<()>;

    /// Makes the blob visible under its digest. If it is there already nothing is written, but `meta`
    /// is merged into what is known of it.
    ///
    /// # Errors
    /// [`Corrupt`](longshore_oci::ErrorKind::Corrupt) if it is not what was expected; nothing is visible then.
    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo>;
}

/// What is known of a blob in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What was said about it, by all who wrote it.
    pub meta: BlobMeta,
}

/// What a writer says about a blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobMeta {
    /// Blobs that must live as long as it does: what a manifest lists.
    pub references: Vec<Digest>,
    /// For a layer, the digest of its uncompressed tar stream.
    pub diff_id: Option<Digest>,
    /// For a layer that was made here, what made it. Two levels may give the same bytes.
    pub made: Vec<Made>,
    /// Repositories that have it, for mounts between repositories.
    pub origins: Vec<Origin>,
}

impl BlobInfo {
    /// A blob of which its store knows this.
    pub fn new(digest: Digest, size: u64, meta: BlobMeta) -> Self {
        Self { digest, size, meta }
    }
}

impl BlobMeta {
    /// Sets the blobs that must live as long as it does.
    #[must_use]
    pub fn with_references(self, references: Vec<Digest>) -> Self {
        Self { references, ..self }
    }

    /// Sets the digest of the uncompressed tar stream of a layer.
    #[must_use]
    pub fn with_diff_id(self, diff_id: Option<Digest>) -> Self {
        Self { diff_id, ..self }
    }

    /// Sets what made a layer.
    #[must_use]
    pub fn with_made(self, made: Vec<Made>) -> Self {
        Self { made, ..self }
    }

    /// Sets the repositories that have it.
    #[must_use]
    pub fn with_origins(self, origins: Vec<Origin>) -> Self {
        Self { origins, ..self }
    }

    /// Adds what `other` says and this does not.
    pub fn merge(&mut self, other: Self) {
        extend(&mut self.references, other.references);
        extend(&mut self.made, other.made);
        extend(&mut self.origins, other.origins);
        self.diff_id = other.diff_id.or_else(|| self.diff_id.take());
    }
}

impl BlobMeta {
    /// Whether `encoder` made it of the layer with `diff_id`.
    pub fn is_made(&self, diff_id: &Digest, encoder: &str) -> bool {
        self.diff_id.as_ref() == Some(diff_id) && self.made.iter().any(|made| made.encoder == encoder)
    }
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// What made a layer of its uncompressed tar stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Made {
    /// The encoder, its version and its parameters: all that decides the bytes, as in
    /// `Encoding::encoder` of longshore-core.
    pub encoder: String,
    /// The newest time of the files in it, in seconds since 1970; `None` if it has no files.
    pub newest: Option<i64>,
}

/// Fails if a blob is not what its writer expected.
pub(crate) fn check_expected(expected: Option<&Descriptor>, digest: &Digest, size: u64) -> Result<()> {
    match expected {
        Some(expected) if expected.size != size => {
            Err(Error::corrupt(format!("blob {} has {size} bytes, expected {}", expected.digest, expected.size)))
        }
        Some(expected) if expected.digest != *digest => {
            Err(Error::corrupt(format!("blob {} has the digest {digest}", expected.digest)))
        }
        _ => Ok(()),
    }
}
