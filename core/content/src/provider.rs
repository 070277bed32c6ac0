//! Providers: who can give the bytes of blobs.

use std::fmt;
use std::io::Read;

use longshore_oci::{Digest, Error, ErrorKind, ImageName, Result};

/// Who can give the bytes of blobs: a store, a registry, an archive.
///
/// - The bytes are as they are found: whoever reads checks them, with [`read`](crate::read), [`copy`](crate::copy) or
///   [`Verified`](crate::Verified).
/// - It may be called from many threads at once.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Opens a blob at byte `from`. One request; a reader that fails half-way is opened again from
    /// where it was.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a blob that is not there.
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>>;

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

/// The error for a blob that is not there.
pub fn not_found(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the store"))
}
