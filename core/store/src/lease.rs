//! Leases: what a run wrote or found stays until it ends.
//!
//! A lease is a row and a file that its process locks. The kernel drops the lock with the process, so
//! a lease of a dead process is told from one that is in use, and no clock is needed.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{Lease, LiveFile};
use longshore_oci::{Context, Digest, Result};
use rusqlite::{Transaction, params};

use crate::database::now;
use crate::embedded::{EmbeddedStore, Inner};
use crate::failure::failed;

/// Ends a lease when it is dropped.
struct Held {
    inner: Arc<Inner>,
    id: i64,
    /// Dropped after the row is gone.
    _file: LiveFile,
}

impl EmbeddedStore {
    pub(crate) fn begin_lease(&self) -> Result<Lease> {
        let begin = || -> Result<Held> {
            let file = LiveFile::create(&self.root().join("leases"), "")?;
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = self.0.database.write(|transaction| {
                transaction.execute("INSERT INTO leases (file) VALUES (?1)", [name]).map_err(failed)?;
                Ok(transaction.last_insert_rowid())
            })?;
            self.0.leases.lock().insert(id, HashSet::new());
            Ok(Held { inner: self.0.clone(), id, _file: file })
        };
        begin().map(Lease::new).attempt(|| format!("cannot lease the store {}", self.root().display()))
    }

    /// Whether every lease of this process holds a blob already.
    pub(crate) fn is_held(&self, digest: &Digest) -> bool {
        let leases = self.0.leases.lock();
        leases.values().all(|held| held.contains(digest))
    }

    /// Changes what is known of a blob, and has every lease of this process hold it, in one transaction:
    /// what was found is not collected before it is held.
    pub(crate) fn write_and_hold<T>(
        &self,
        digest: &Digest,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let leases = || self.0.leases.lock();
        let ids: Vec<i64> = leases().keys().copied().collect();
        let done = self.0.database.write(|transaction| {
            let done = work(transaction)?;
            let update = "UPDATE blobs SET used = ?2 WHERE digest = ?1";
            transaction.execute(update, params![digest.to_string(), now()]).map_err(failed)?;
            for id in &ids {
                // A lease that just ended has no row to refer to.
                let insert = "INSERT OR IGNORE INTO leased (lease, digest) SELECT id, ?2 FROM leases WHERE id = ?1";
                transaction.execute(insert, params![id, digest.to_string()]).map_err(failed)?;
            }
            Ok(done)
        })?;
        for (_, held) in leases().iter_mut().filter(|(id, _)| ids.contains(id)) {
            held.insert(digest.clone());
        }
        Ok(done)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.leases.lock().remove(&self.id);
        let end = |transaction: &Transaction<'_>| {
            transaction.execute("DELETE FROM leases WHERE id = ?1", [self.id]).map_err(failed)
        };
        // If the row cannot be removed now, it is found dead by the next collection.
        let _ = self.inner.database.write(end);
    }
}

/// Removes the leases of processes that are gone, and their files, which a dry run leaves.
pub(crate) fn end_dead_leases(transaction: &Transaction<'_>, directory: &Path, dry_run: bool) -> Result<()> {
    let is_dead = |path: &Path| match LiveFile::abandoned(path) {
        Some(file) => {
            if dry_run {
                drop(file.keep());
            }
            true
        }
        // Whatever else is the matter with it, it may be in use.
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
    // A process that died before it had a row left a file alone.
    for entry in directory.read_dir().attempt(|| format!("cannot list {}", directory.display()))?.flatten() {
        let name = entry.file_name();
        if !leases.iter().any(|(_, file)| **file == *name) {
            is_dead(&entry.path());
        }
    }
    Ok(())
}
