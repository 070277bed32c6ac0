//! A content store for one run.

use std::path::Path;

use longshore_oci::Result;

use crate::directory::DirectoryStore;
use crate::files::Durability;
use crate::scratch::ScratchDirectory;

/// A content store for one run, removed with the run.
#[derive(Debug)]
pub struct Spool {
    /// The store.
    pub store: DirectoryStore,
    #[expect(dead_code, reason = "removed when dropped")]
    directory: ScratchDirectory,
}

impl Spool {
    /// Creates a store in a temporary directory in `parent`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn new_in(parent: &Path) -> Result<Self> {
        let directory = ScratchDirectory::new_in(parent)?;
        let store = DirectoryStore::open(directory.path(), Durability::Scratch)?;
        Ok(Self { store, directory })
    }
}
