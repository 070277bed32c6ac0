//! The open store: its files, its database, and the lease of a view.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{Amount, BlobFiles, Durability, MadeDirectories, remove_leftovers};
use longshore_oci::{Context, Digest, ErrorKind, Result};
use rusqlite::{Transaction, params};

use crate::database::{Access, Database, now};
use crate::failure::failed;
use crate::lease::Lease;
use crate::place::{self, Place};
use crate::room;

/// Directory of the snapshots, below the root. Its name is short because mount options list every snapshot.
pub(crate) const SNAPSHOTS: &str = "fs";

/// An open store in a directory, or a view of one that a [lease](longshore_content::ContentStore::lease) made. Clones
/// are the same store or view.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    pub(crate) inner: Arc<Inner>,
    /// What a view holds.
    pub(crate) lease: Option<Arc<Lease>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) files: BlobFiles,
    pub(crate) database: Arc<Database>,
}

impl EmbeddedStore {
    /// Opens the store in `root`, which is created, for its owner alone, if it does not exist. A store that cannot be
    /// written to is opened [to be read](longshore_content::ContentStore::is_read_only).
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a file, and for a directory that holds something
    /// else: nothing is written then; [`Unsupported`](longshore_oci::ErrorKind::Unsupported) for a store that a newer
    /// version made; errors of the medium.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let open = || match place::look(&root)? {
            Place::ReadOnlyStore => Self::read(&root, Access::Read),
            Place::Store | Place::Vacant => Self::open_at(&root),
        };
        open().attempt(|| format!("cannot open the store {}", root.display()))
    }

    /// Opens the store in `root`; `None` if there is none. Nothing is created. A store on a full disk can be read,
    /// pruned, and names can be removed from it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_existing(root: impl Into<PathBuf>) -> Result<Option<Self>> {
        let root = root.into();
        let open = || match place::look(&root)? {
            Place::ReadOnlyStore => Self::read(&root, Access::Read).map(Some),
            Place::Store => match Self::open_at(&root) {
                // Its contents can still be listed and removed.
                Err(error) if error.kind() == ErrorKind::NoSpace => Self::read(&root, Access::NoSpace).map(Some),
                opened => opened.map(Some),
            },
            Place::Vacant => Ok(None),
        };
        open().attempt(|| format!("cannot open the store {}", root.display()))
    }

    fn read(root: &Path, access: Access) -> Result<Self> {
        let files = BlobFiles::existing(root, Durability::Durable);
        let database = Arc::new(Database::read_only(root, access)?);
        Ok(Self { inner: Arc::new(Inner { files, database }), lease: None })
    }

    fn open_at(root: &Path) -> Result<Self> {
        MadeDirectories::make_with_mode(root, 0o700)?.keep();
        fs::create_dir_all(root.join("leases"))?;
        let snapshots = root.join(SNAPSHOTS);
        if !snapshots.exists() {
            // Set-user-ID files in it must not be accessible to every user of this machine.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(snapshots)?;
        }
        let files = BlobFiles::open(root, Durability::Durable)?;
        let database = Arc::new(Database::open(root)?);
        room::reserve(root);
        Ok(Self { inner: Arc::new(Inner { files, database }), lease: None })
    }

    /// Frees space on a full disk, so that pruning can start: gives up the ballast, and removes half-written files of
    /// dead processes. Returns how much it freed; nothing if the disk was not full when the store was opened.
    pub(crate) fn make_room(&self) -> Result<Amount> {
        if self.inner.database.access() != Access::NoSpace {
            return Ok(Amount::default());
        }
        room::release(self.root());
        remove_leftovers(&self.root().join(SNAPSHOTS));
        let leftovers = self.inner.files.leftovers(true)?;
        let reopened = self.inner.database.reopen(self.root());
        reopened.map_err(|error| error.with_hint("free some space on its disk first"))?;
        Ok(leftovers)
    }

    /// Returns a view of the store with its own lease.
    pub(crate) fn view(&self) -> Result<Self> {
        if self.inner.database.access() != Access::Write {
            return Ok(self.clone());
        }
        let lease = Lease::begin(self.root(), &self.inner.database)
            .attempt(|| format!("cannot lease the store {}", self.root().display()))?;
        Ok(Self { inner: self.inner.clone(), lease: Some(Arc::new(lease)) })
    }

    /// Returns whether this is a view that does not yet hold a blob or snapshot.
    pub(crate) fn must_hold(&self, digest: &Digest) -> bool {
        self.lease.as_ref().is_some_and(|lease| !lease.is_holding(digest))
    }

    /// Changes the metadata of a blob, and makes the view's lease hold it, in one transaction, so that it cannot be
    /// collected in between.
    pub(crate) fn write_and_hold<T>(
        &self,
        digest: &Digest,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let done = self.inner.database.write(|transaction| {
            let done = work(transaction)?;
            let update = "UPDATE blobs SET used = ?2 WHERE digest = ?1";
            transaction.execute(update, params![digest.to_string(), now()]).map_err(failed)?;
            self.lease.iter().try_for_each(|lease| lease.hold(transaction, digest))?;
            Ok(done)
        })?;
        self.lease.iter().for_each(|lease| lease.note(digest));
        Ok(done)
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        self.inner.files.root()
    }
}
