//! Content stores: immutable blobs, addressed by their digest.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, Error, Result};

use crate::provider::{Origin, Provider};

/// Immutable blobs, addressed by their digest.
///
/// - A blob is visible, complete and verified, or it does not exist.
/// - `Ok` means that the content is stored under its digest, not that this call stored it.
/// - Any number of threads and, for a store on disk, processes may write the same blob concurrently.
pub trait ContentStore: Provider {
    /// Returns the size and metadata of a blob; `None` if it does not exist.
    ///
    /// # Errors
    /// I/O errors.
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>>;

    /// Returns the blob built by an encoder from the layer with `diff_id`, if it exists.
    ///
    /// Only blobs that a writer declared as [made](Made) count, never foreign blobs: the contents of a store
    /// must not decide the contents of an image.
    ///
    /// # Errors
    /// I/O errors.
    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>>;

    /// Starts writing a blob, which becomes visible on [`BlobWriter::commit`].
    ///
    /// With `expected`, bytes left by an earlier writer of that blob are kept: continue from
    /// [`BlobWriter::offset`]. `expected` is checked on commit.
    ///
    /// # Errors
    /// [`Unsupported`](longshore_oci::ErrorKind::Unsupported) for a digest of an algorithm that the store does not have,
    /// other than SHA-256; I/O errors.
    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>>;

    /// Adds to the metadata of an existing blob.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a missing blob.
    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()>;

    /// Returns a view of the store that holds (protects from collection) content found or written through it.
    ///
    /// - What [`info`](Self::info) and [`made`](Self::made) find through the view, and what is committed or updated
    ///   through it, is not collected before the view is dropped, nor is anything that it refers to. Opening a
    ///   blob holds nothing.
    /// - Nothing else is held: not what was found before, and not what is found through the store itself or through
    ///   another view.
    /// - In everything else a view is the store. It outlives the value that it was taken from, and a view of a view
    ///   holds what goes through it alone.
    ///
    /// A store without garbage collection, or one that cannot be written to, returns itself.
    ///
    /// # Errors
    /// I/O errors.
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

/// A blob being written to a store. Dropping it discards the written bytes.
pub trait BlobWriter: Write + Send {
    /// Returns the number of bytes present: 0 for a new blob, more when an earlier attempt is continued.
    fn offset(&self) -> u64;

    /// Keeps the bytes for a later [`ContentStore::ingest`] of the same blob instead of discarding them. A
    /// store may still discard them.
    ///
    /// # Errors
    /// I/O errors.
    fn suspend(self: Box<Self>) -> Result<()>;

    /// Makes the blob visible under its digest. If it already exists nothing is written, but `meta` is merged
    /// into its metadata.
    ///
    /// # Errors
    /// [`Corrupt`](longshore_oci::ErrorKind::Corrupt) if it differs from the expected blob; then nothing is visible.
    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo>;
}

/// A blob in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The merged metadata of all its writers.
    pub meta: BlobMeta,
}

/// Metadata of a blob, given by its writer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobMeta {
    /// Blobs that must be kept as long as this one, such as those listed by a manifest.
    pub references: Vec<Digest>,
    /// For a layer, the digest of its uncompressed tar stream.
    pub diff_id: Option<Digest>,
    /// For a layer built here, the encoders that built it. Two levels may give the same bytes.
    pub made: Vec<Made>,
    /// Repositories that have it, for cross-repository mounts.
    pub origins: Vec<Origin>,
}

impl BlobInfo {
    /// Creates a blob with its metadata.
    pub fn new(digest: Digest, size: u64, meta: BlobMeta) -> Self {
        Self { digest, size, meta }
    }
}

impl BlobMeta {
    /// Sets the blobs that must be kept as long as this one.
    #[must_use]
    pub fn with_references(self, references: Vec<Digest>) -> Self {
        Self { references, ..self }
    }

    /// Sets the digest of the uncompressed tar stream of a layer.
    #[must_use]
    pub fn with_diff_id(self, diff_id: Option<Digest>) -> Self {
        Self { diff_id, ..self }
    }

    /// Sets the encoders that built a layer.
    #[must_use]
    pub fn with_made(self, made: Vec<Made>) -> Self {
        Self { made, ..self }
    }

    /// Sets the repositories that have it.
    #[must_use]
    pub fn with_origins(self, origins: Vec<Origin>) -> Self {
        Self { origins, ..self }
    }

    /// Adds everything from `other` that is missing here.
    pub fn merge(&mut self, other: Self) {
        extend(&mut self.references, other.references);
        extend(&mut self.made, other.made);
        extend(&mut self.origins, other.origins);
        self.diff_id = other.diff_id.or_else(|| self.diff_id.take());
    }
}

impl BlobMeta {
    /// Returns whether `encoder` built it from the layer with `diff_id`.
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

/// The encoder that built a layer from its uncompressed tar stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Made {
    /// The encoder, its version and its parameters: everything that determines the bytes, as in
    /// `Encoding::encoder` of longshore-core.
    pub encoder: String,
    /// The newest modification time of its files, in seconds since 1970; `None` if it has no files.
    pub newest: Option<i64>,
}

/// Fails if a blob differs from the one that its writer expected.
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
