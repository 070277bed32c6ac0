//! Providers: sources of the bytes of blobs.

use std::fmt;
use std::io::Read;

use longshore_oci::{Digest, Error, ErrorKind, ImageName, Result};

/// A source of the bytes of blobs: a store, a registry, an archive.
///
/// - The bytes are unverified: the reader checks them, with [`read`](crate::read), [`copy`](crate::copy) or
///   [`Verified`](crate::Verified).
/// - It may be called from many threads concurrently.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Opens a blob at byte `from`, with a single request; a reader that fails half-way is reopened at its
    /// position.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a missing blob.
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>>;

    /// Returns the blob, an uncompressed tar archive, with arbitrary bytes in place of file contents, if that
    /// is quicker to read. It has the same length, and cannot be verified.
    ///
    /// # Errors
    /// Those of opening it. `None` is not an error.
    fn outline(&self, digest: &Digest) -> Result<Option<Box<dyn Read + Send + '_>>> {
        let _ = digest;
        Ok(None)
    }

    /// Returns repositories known to have the blob: another repository of the same registry can mount it.
    ///
    /// # Errors
    /// I/O errors.
    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        let _ = digest;
        Ok(Vec::new())
    }
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
    /// Returns the repository of images with this name.
    pub fn of(name: &ImageName) -> Self {
        Self { registry: name.registry().to_owned(), repository: name.repository().to_owned() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// Returns the error for a missing blob.
pub fn not_found(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the store"))
}
