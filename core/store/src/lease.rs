//! Leases: what a run wrote or found stays until it ends.
//!
//! A lease is a row and a file locked by its process. The kernel releases the lock with the process, which
//! tells the leases of dead processes from those in use, without a clock.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use longshore_content::LiveFile;
use longshore_oci::{Context, Digest, Result};
use parking_lot::Mutex;
use rusqlite::{Transaction, params};

use crate::database::Database;
use crate::failure::failed;

/// What a view of the store holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    database: Arc<Database>,
    id: i64,
    /// Blobs and snapshots that already have a row in `leased`.
    held: Mutex<HashSet<Digest>>,
    /// Dropped after the row is removed.
    _file: LiveFile,
}

impl Lease {
    /// Begins a lease of the store in `root`.
    pub(crate) fn begin(root: &Path, database: &Arc<Database>) -> Result<Self> {
        let file = LiveFile::create(&root.join("leases"), "")?;
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = database.write(|transaction| {
            transaction.execute("INSERT INTO leases (file) VALUES (?1)", [name]).map_err(failed)?;
            Ok(transaction.last_insert_rowid())
        })?;
        Ok(Self { database: database.clone(), id, held: Mutex::default(), _file: file })
    }

    /// Returns whether the lease is known to hold a blob or snapshot.
    pub(crate) fn is_holding(&self, digest: &Digest) -> bool {
        self.held.lock().contains(digest)
    }

    /// Holds a blob or snapshot, once the transaction is committed.
    pub(crate) fn hold(&self, transaction: &Transaction<'_>, digest: &Digest) -> Result<()> {
        let insert = "INSERT OR IGNORE INTO leased (lease, digest) VALUES (?1, ?2)";
        transaction.execute(insert, params![self.id, digest.to_string()]).map_err(failed).map(drop)
    }

    /// Records that it holds a blob or snapshot, after the transaction of [`hold`](Self::hold).
    pub(crate) fn note(&self, digest: &Digest) {
        self.held.lock().insert(digest.clone());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let end = |transaction: &Transaction<'_>| {
            transaction.execute("DELETE FROM leases WHERE id = ?1", [self.id]).map_err(failed)
        };
        // If the row cannot be removed now, the next collection removes it.
        let _ = self.database.write(end);
    }
}

/// Removes the leases of dead processes, and their files unless it is a dry run.
pub(crate) fn end_dead_leases(transaction: &Transaction<'_>, directory: &Path, dry_run: bool) -> Result<()> {
    let is_dead = |path: &Path| match LiveFile::abandoned(path) {
        Some(file) => {
            if dry_run {
                drop(file.keep());
            }
            true
        }
        // On any other error, the lease may be in use.
        None => matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound),
    };
    let mut select = transaction.prepare("SELECT id, file FROM leases").map_err(failed)?;
    let leases = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).map_err(failed)?;
    let leases = leases.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for (id, file) in &leases {
        if is_dead(&directory.join(file)) {
            transaction.execute("DELETE FROM leases WHERE id = ?1", [id]).map_err(failed)?;
        }
    }
    // A process that died before adding its row left only a file.
    for entry in directory.read_dir().attempt(|| format!("cannot list {}", directory.display()))?.flatten() {
        let name = entry.file_name();
        if !leases.iter().any(|(_, file)| **file == *name) {
            is_dead(&entry.path());
        }
    }
    Ok(())
}
