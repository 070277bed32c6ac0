//! Collection: what neither a name nor a living run reaches goes.

use std::collections::HashSet;

use longshore_content::Amount;
use longshore_oci::{Context, Digest, Result};
use rusqlite::Transaction;

use crate::content::{has_row, parse};
use crate::embedded::EmbeddedStore;
use crate::failure::failed;
use crate::lease::end_dead_leases;

/// All that is reachable: from names, from leases, and from there along the references.
pub(crate) const REACHABLE: &str = "
    WITH RECURSIVE reachable (digest) AS (
        SELECT digest FROM roots UNION SELECT digest FROM leased
        UNION SELECT child FROM edges JOIN reachable ON parent = reachable.digest
    )";

/// Files that are removed in one transaction. Writers wait for as long as that takes.
const BATCH: usize = 32;

/// What [`EmbeddedStore::prune`] keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Bytes of layers that were made here that may stay although nothing refers to them.
    pub keep: u64,
    /// Only says what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs, with their sizes in bytes, by digest.
    pub blobs: Vec<(Digest, u64)>,
    /// What writers left that died half-way.
    pub leftovers: Amount,
    /// Snapshots, with the size of their files.
    pub snapshots: Amount,
    /// Layers that nothing refers to and that stay, as [`PruneOptions::keep`] says.
    pub kept: Amount,
}

impl Pruned {
    /// Returns the bytes of everything that was removed.
    pub fn bytes(&self) -> u64 {
        let rest = [self.leftovers.bytes, self.snapshots.bytes];
        self.blobs.iter().map(|(_, size)| *size).chain(rest).fold(0, u64::saturating_add)
    }
}

/// A blob that nothing reaches.
struct Loose {
    digest: Digest,
    size: u64,
    is_made: bool,
}

impl EmbeddedStore {
    /// Removes what neither a name nor a lease of a living process reaches, and what dead processes
    /// left. Other processes may use the store at the same time.
    ///
    /// # Errors
    /// Those of the medium. What was removed by then stays removed.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let prune = || -> Result<Pruned> {
            let mut pruned = Pruned::default();
            let gone = self.forget(options, &mut pruned)?;
            for (digest, size) in self.inner.files.list()? {
                // A dry run leaves the rows, so it knows of them; of files without rows both know only now.
                if gone.contains(&digest) || !self.has_row(&digest)? {
                    pruned.blobs.push((digest, size));
                }
            }
            pruned.blobs.sort();
            if !options.dry_run {
                pruned.blobs = self.remove_files(pruned.blobs)?;
                self.remove_snapshots()?;
            }
            pruned.leftovers = self.inner.files.leftovers(!options.dry_run)?;
            Ok(pruned)
        };
        prune().attempt(|| format!("cannot prune the store {}", self.root().display()))
    }

    /// Forgets the blobs that nothing reaches, in one transaction: whoever looks for one of them
    /// afterwards does not find it. A dry run only answers which.
    fn forget(&self, options: &PruneOptions, pruned: &mut Pruned) -> Result<HashSet<Digest>> {
        let directory = self.root().join("leases");
        let forget = |transaction: &Transaction<'_>| {
            end_dead_leases(transaction, &directory, options.dry_run)?;
            pruned.snapshots = self.forget_snapshots(transaction)?;
            let mut gone = HashSet::new();
            for blob in loose(transaction)? {
                if blob.is_made && pruned.kept.bytes.saturating_add(blob.size) <= options.keep {
                    pruned.kept.add(blob.size);
                    continue;
                }
                let delete = "DELETE FROM blobs WHERE digest = ?1";
                transaction.execute(delete, [blob.digest.to_string()]).map_err(failed)?;
                gone.insert(blob.digest);
            }
            Ok(gone)
        };
        if options.dry_run { self.inner.database.rehearse(forget) } else { self.inner.database.write(forget) }
    }

    fn has_row(&self, digest: &Digest) -> Result<bool> {
        self.inner.database.read(|transaction| has_row(transaction, digest))
    }

    /// Removes files that still have no row; answers which. A writer makes a file and its row in one
    /// transaction, so that none is removed from under it.
    fn remove_files(&self, blobs: Vec<(Digest, u64)>) -> Result<Vec<(Digest, u64)>> {
        let mut removed = Vec::new();
        for batch in blobs.chunks(BATCH) {
            let batch = self.inner.database.write(|transaction| {
                let mut removed = Vec::new();
                for (digest, size) in batch {
                    if !has_row(transaction, digest)? {
                        self.inner.files.remove(digest)?;
                        removed.push((digest.clone(), *size));
                    }
                }
                Ok(removed)
            })?;
            removed.extend(batch);
        }
        Ok(removed)
    }
}

/// What nothing reaches, the one that was used last first.
fn loose(transaction: &Transaction<'_>) -> Result<Vec<Loose>> {
    let select = format!(
        "{REACHABLE} SELECT digest, size, EXISTS (SELECT 1 FROM made WHERE made.digest = blobs.digest)
        FROM blobs WHERE digest NOT IN reachable ORDER BY used DESC, digest"
    );
    let mut select = transaction.prepare(&select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?));
    let rows = select.query_map([], row).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let loose = |(digest, size, is_made): (String, u64, bool)| Ok(Loose { digest: parse(&digest)?, size, is_made });
    rows.into_iter().map(loose).collect()
}
