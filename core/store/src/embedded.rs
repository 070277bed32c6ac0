//! The store, open: its files, its database, and the leases of this process.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{BlobFiles, Durability, MadeDirectories};
use longshore_oci::{Context, Digest, Result};
use parking_lot::Mutex;

use crate::database::Database;

/// Directory of the snapshots, below the root: a short name, because the options of a mount list them all.
pub(crate) const SNAPSHOTS: &str = "fs";

/// An open store in a directory. Clones are the same store.
#[derive(Debug, Clone)]
pub struct EmbeddedStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) files: BlobFiles,
    pub(crate) database: Database,
    /// The leases of this process, and what each of them is known to hold.
    pub(crate) leases: Mutex<BTreeMap<i64, HashSet<Digest>>>,
}

impl EmbeddedStore {
    /// Opens the store in `root`, which is created, for its owner alone, if it does not exist.
    ///
    /// # Errors
    /// Errors of the medium; [`Unsupported`](longshore_oci::ErrorKind::Unsupported) for a store that a
    /// newer version made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        Self::open_at(&root).attempt(|| format!("cannot open the store {}", root.display()))
    }

    fn open_at(root: &Path) -> Result<Self> {
        MadeDirectories::make_with_mode(root, 0o700)?.keep();
        fs::create_dir_all(root.join("leases"))?;
        let snapshots = root.join(SNAPSHOTS);
        if !snapshots.exists() {
            // Set-user-ID files in it are not for every user of this machine.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(snapshots)?;
        }
        let files = BlobFiles::open(root, Durability::Durable)?;
        let database = Database::open(root)?;
        Ok(Self(Arc::new(Inner { files, database, leases: Mutex::default() })))
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        self.0.files.root()
    }
}
