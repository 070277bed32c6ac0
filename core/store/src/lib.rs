#![doc = include_str!("../README.md")]

mod content;
mod database;
mod failure;
mod images;
mod lease;
mod prune;
mod schema;
mod snapshots;
mod usage;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{BlobFiles, Durability};
use longshore_oci::{Context, Digest, Result};
use parking_lot::Mutex;

use database::Database;
pub use prune::{PruneOptions, Pruned};
pub use usage::Usage;

/// A store in a directory, open. Clones are the same store.
#[derive(Debug, Clone)]
pub struct EmbeddedStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: BlobFiles,
    database: Database,
    /// The leases of this process, and what each of them is known to hold.
    leases: Mutex<BTreeMap<i64, HashSet<Digest>>>,
}

impl EmbeddedStore {
    /// Opens the store in `root`, which is made if it is not there, for its owner alone.
    ///
    /// # Errors
    /// Those of the medium; [`Unsupported`](longshore_oci::ErrorKind::Unsupported) for a store that a
    /// newer version made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        Self::open_at(&root).attempt(|| format!("cannot open the store {}", root.display()))
    }

    fn open_at(root: &Path) -> Result<Self> {
        if !root.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        }
        fs::create_dir_all(root.join("leases"))?;
        let snapshots = root.join(snapshots::DIRECTORY);
        if !snapshots.exists() {
            // What set-user-ID files in it are for is not for every user of this machine.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(snapshots)?;
        }
        let files = BlobFiles::open(root, Durability::Durable)?;
        let database = Database::open(root)?;
        Ok(Self(Arc::new(Inner { files, database, leases: Mutex::default() })))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.0.files.root()
    }
}
