//! Collection: removes everything that no name and no live run reaches.

use std::collections::HashSet;
use std::path::Path;

use longshore_content::{Amount, Collector, PruneOptions, Pruned, Usage};
use longshore_oci::{Context, Digest, Result};
use rusqlite::Transaction;

use crate::content::{has_row, parse};
use crate::embedded::EmbeddedStore;
use crate::failure::failed;
use crate::lease::end_dead_leases;
use crate::mounts::{MOUNTS, Mounts};
use crate::room;
use crate::schema::REACHABLE;
use crate::usage::count;

/// How many files are removed in one transaction, while writers wait.
const BATCH: usize = 32;

/// An unreachable blob.
struct Loose {
    digest: Digest,
    size: u64,
    is_made: bool,
}

impl Collector for EmbeddedStore {
    fn prune(&self, options: &PruneOptions) -> Result<Pruned> {
        let prune = || -> Result<Pruned> {
            let mut pruned = Pruned::default();
            if options.made_only && !options.dry_run {
                return self.prune_made(options, pruned);
            }
            let (removed, freed) = match options.dry_run {
                true => (Vec::new(), Amount::default()),
                false => (self.remove_loose_files(options)?, self.make_room()?),
            };
            let gone = self.forget(options, &mut pruned)?;
            for (digest, size) in self.inner.files.list()? {
                // A dry run keeps the rows, so `gone` covers its blobs; files without rows are found only here.
                if gone.contains(&digest) || !self.has_row(&digest)? {
                    pruned.blobs.push((digest, size));
                }
            }
            pruned.blobs.sort();
            if !options.dry_run {
                pruned.blobs = self.remove_files(pruned.blobs)?;
                pruned.blobs.extend(removed);
                pruned.blobs.sort();
                self.remove_snapshots()?;
            }
            pruned.leftovers = self.inner.files.leftovers(!options.dry_run)?;
            pruned.leftovers.count += freed.count;
            pruned.leftovers.bytes = pruned.leftovers.bytes.saturating_add(freed.bytes);
            if !options.dry_run {
                room::reserve(self.root());
            }
            Ok(pruned)
        };
        prune().attempt(|| format!("cannot prune the store {}", self.root().display()))
    }

    fn usage(&self) -> Result<Usage> {
        let usage = || -> Result<Usage> {
            let mut usage = self.inner.database.read(count)?;
            usage.leftovers = self.inner.files.leftovers(false)?;
            Ok(usage)
        };
        usage().attempt(|| format!("cannot measure the store {}", self.root().display()))
    }
}

impl EmbeddedStore {
    /// Removes layers built here beyond those that are kept, and their files.
    fn prune_made(&self, options: &PruneOptions, mut pruned: Pruned) -> Result<Pruned> {
        let gone = self.forget(options, &mut pruned)?;
        let files = self.inner.files.list()?.into_iter().filter(|(digest, _)| gone.contains(digest));
        pruned.blobs = self.remove_files(files.collect())?;
        pruned.blobs.sort();
        Ok(pruned)
    }

    /// Forgets unreachable blobs, in one transaction: later lookups do not find them. A dry run only returns
    /// them.
    fn forget(&self, options: &PruneOptions, pruned: &mut Pruned) -> Result<HashSet<Digest>> {
        let directory = self.root().join("leases");
        let mounts = Mounts::read(Path::new(MOUNTS));
        let forget = |transaction: &Transaction<'_>| {
            end_dead_leases(transaction, &directory, options.dry_run)?;
            if !options.made_only {
                self.forget_snapshots(transaction, &mounts, pruned)?;
            }
            let mut gone = HashSet::new();
            for blob in loose(transaction)? {
                if options.made_only && !blob.is_made {
                    continue;
                }
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

    /// On a disk too full to change the database, removes the files of unreachable blobs and keeps their rows: a blob
    /// without a file does not exist. Returns the removed blobs.
    fn remove_loose_files(&self, options: &PruneOptions) -> Result<Vec<(Digest, u64)>> {
        let removed = self.inner.database.read_alone(|transaction| {
            let loose = loose(transaction)?.into_iter().filter(|blob| options.keep == 0 || !blob.is_made);
            let loose: Vec<_> = loose.map(|blob| (blob.digest, blob.size)).collect();
            loose.iter().try_for_each(|(digest, _)| self.inner.files.remove(digest))?;
            Ok(loose)
        })?;
        Ok(removed.unwrap_or_default())
    }

    fn has_row(&self, digest: &Digest) -> Result<bool> {
        self.inner.database.read(|transaction| has_row(transaction, digest))
    }

    /// Removes files that still have no row; returns which. A writer creates a file and its row in one
    /// transaction, so no file is removed while it is being stored.
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

/// Returns unreachable blobs, the most recently used first.
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
