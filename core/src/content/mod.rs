//! Blobs: who has them, and where they are kept.
//!
//! Contracts first; [`DirectoryStore`] and [`MemoryStore`] are the implementations that need nothing
//! but a disk or memory. `longshore_testkit::conformance::content_store` proves every line of them.

mod ahead;
mod directory;
mod files;
mod images;
mod live;
mod memory;
mod verify;

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};

pub use ahead::read_ahead;
pub use directory::DirectoryStore;
pub(crate) use files::sync_directory;
pub use files::{Amount, BlobFiles, Durability, IngestFile};
pub use images::{ImageStore, StoredImage, check_name};
pub use live::LiveFile;
pub use memory::MemoryStore;
pub(crate) use verify::Hashing;
pub use verify::{Verified, copy, copy_to_writer, read};

use crate::error::{Error, ErrorKind, Result};
use crate::oci::{Descriptor, Digest, ImageName};

/// Who can give the bytes of blobs: a store, a registry, an archive.
///
/// - The bytes are as they are found: whoever reads checks them, with [`read`], [`copy`] or [`Verified`].
/// - It may be called from many threads at once.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Opens a blob at byte `from`. One request; a reader that fails half-way is opened again from
    /// where it was.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a blob that is not there.
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>>;

    /// The blob as an open file, where it is one: the kernel can copy it without our reading it.
    ///
    /// # Errors
    /// Those of opening it. `None` is not an error.
    fn local_file(&self, digest: &Digest) -> Result<Option<File>> {
        let _ = digest;
        Ok(None)
    }

    /// The blob, which is an uncompressed tar archive, with anything in place of the content of files, where that
    /// is quicker to read. It is as long, and cannot be checked.
    ///
    /// # Errors
    /// Those of opening it. `None` is not an error.
    fn outline(&self, digest: &Digest) -> Result<Option<Box<dyn Read + Send + '_>>> {
        let _ = digest;
        Ok(None)
    }

    /// Repositories that are known to have the blob: another one of the same registry can mount it.
    ///
    /// # Errors
    /// Those of the medium.
    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        let _ = digest;
        Ok(Vec::new())
    }
}

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
    /// [`NotFound`](crate::ErrorKind::NotFound) for a blob that is not there.
    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()>;

    /// Keeps every blob that is written or found from now on, until the lease is dropped.
    ///
    /// # Errors
    /// Those of the medium.
    fn lease(&self) -> Result<Lease>;
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
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if it is not what was expected; nothing is visible then.
    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo>;
}

/// What is known of a blob in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl BlobMeta {
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
    /// [`Encoding::encoder`](crate::compression::Encoding::encoder).
    pub encoder: String,
    /// The newest time of the files in it, in seconds since 1970; `None` if it has no files.
    pub newest: Option<i64>,
}

/// A repository that a blob was fetched from or pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Host and port of the registry.
    pub registry: String,
    /// The path in it.
    pub repository: String,
}

impl Origin {
    /// Where images of this name are.
    pub fn of(name: &ImageName) -> Self {
        Self { registry: name.registry().to_owned(), repository: name.repository().to_owned() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// Keeps blobs from being collected until it is dropped.
#[must_use = "blobs may be collected once this is dropped"]
pub struct Lease(#[expect(dead_code, reason = "held for what its drop does")] Box<dyn Any + Send + Sync>);

impl Lease {
    /// A lease that ends when `guard` is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// The error for a blob that is not there.
pub fn not_found(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the store"))
}

/// Fails if a blob is not what its writer expected.
fn check_expected(expected: Option<&Descriptor>, digest: &Digest, size: u64) -> Result<()> {
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
