//! Snapshots: one directory per layer, `fs/<id>`, visible once it has a row.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_content::{
    Amount, Mount, Pruned, ScratchDirectory, SnapshotWriter, Snapshots, is_root, not_found, size_below,
};
use longshore_oci::{Context, Digest, Error, ErrorKind, Result};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::content::has_row;
use crate::embedded::{EmbeddedStore, SNAPSHOTS};
use crate::failure::failed;
use crate::mounts::Mounts;
use crate::schema::REACHABLE;

/// The snapshots that images and runs need, and those below them.
const NEEDED: &str = ", needed (chain_id) AS (
        SELECT chain_id FROM unpacked JOIN reachable ON config = reachable.digest
        UNION SELECT digest FROM leased
        UNION SELECT parent FROM snapshots JOIN needed USING (chain_id) WHERE parent IS NOT NULL
    )";

impl Snapshots for EmbeddedStore {
    fn mount(&self, chain_id: &Digest) -> Result<Option<Mount>> {
        let find = |transaction: &Transaction<'_>| self.find_mount(transaction, chain_id);
        let found = match self.inner.database.read(find) {
            // As with blobs: a found snapshot stays until the run ends.
            Ok(Some(_)) if self.must_hold(chain_id) => self.write_and_hold(chain_id, find),
            found => found,
        };
        found.attempt(|| format!("cannot look up snapshot {chain_id}"))
    }

    fn prepare(&self) -> Result<Box<dyn SnapshotWriter + '_>> {
        self.inner.database.check_writable()?;
        let scratch = ScratchDirectory::new_in(&self.root().join(SNAPSHOTS))?;
        Ok(Box::new(Writer { store: self, scratch }))
    }

    fn keep(&self, config: &Digest, chain_id: &Digest) -> Result<()> {
        let pair = params![config.to_string(), chain_id.to_string()];
        let is_kept = |transaction: &Transaction<'_>| {
            let select = "SELECT 1 FROM unpacked WHERE config = ?1 AND chain_id = ?2";
            transaction.query_row(select, pair, |_| Ok(())).optional().map_err(failed)
        };
        // A read-only store must not be changed.
        if self.inner.database.read(is_kept)?.is_some() {
            return Ok(());
        }
        self.inner.database.write(|transaction| {
            if !has_row(transaction, config)? {
                return Err(not_found(config));
            }
            let insert = "INSERT OR IGNORE INTO unpacked (config, chain_id) VALUES (?1, ?2)";
            transaction.execute(insert, pair).map_err(failed)?;
            Ok(())
        })
    }
}

/// An existing snapshot.
struct Found {
    path: PathBuf,
    parent: Option<String>,
}

impl EmbeddedStore {
    fn find_mount(&self, transaction: &Transaction<'_>, chain_id: &Digest) -> Result<Option<Mount>> {
        let mut layers = Vec::new();
        let mut next = Some(chain_id.to_string());
        while let Some(chain_id) = next {
            let Some(found) = self.find_snapshot(transaction, &chain_id)? else { return Ok(None) };
            layers.push(found.path.canonicalize().attempt(|| format!("cannot find {}", found.path.display()))?);
            next = found.parent;
        }
        if layers.len() == 1 {
            // overlayfs requires two lower directories if nothing is writable.
            let empty = self.root().join(SNAPSHOTS).join("empty");
            let made = fs::create_dir_all(&empty).and_then(|()| empty.canonicalize());
            layers.push(made.attempt(|| format!("cannot create {}", empty.display()))?);
        }
        let mount = Mount::overlay(layers);
        Ok(Some(if is_root() { mount } else { mount.with_option("userxattr") }))
    }

    fn find_snapshot(&self, transaction: &Transaction<'_>, chain_id: &str) -> Result<Option<Found>> {
        let select = "SELECT id, parent FROM snapshots WHERE chain_id = ?1 AND is_root = ?2";
        let mut select = transaction.prepare_cached(select).map_err(failed)?;
        let found = select
            .query_row(params![chain_id, is_root()], |row| {
                Ok(Found { path: self.snapshot_path(row.get(0)?), parent: row.get(1)? })
            })
            .optional();
        // A snapshot without its directory does not exist, and is created again.
        Ok(found.map_err(failed)?.filter(|found| found.path.is_dir()))
    }

    fn snapshot_path(&self, id: i64) -> PathBuf {
        self.root().join(SNAPSHOTS).join(id.to_string())
    }

    fn commit_snapshot(&self, directory: &Path, chain_id: &Digest, parent: Option<&Digest>) -> Result<()> {
        let size = size_below(directory).attempt(|| format!("cannot list {}", directory.display()))?;
        self.write_and_hold(chain_id, |transaction| {
            let key = chain_id.to_string();
            if self.find_snapshot(transaction, &key)?.is_some() {
                return Ok(());
            }
            if let Some(parent) = parent
                && self.find_snapshot(transaction, &parent.to_string())?.is_none()
            {
                return Err(Error::new(ErrorKind::NotFound, format!("its parent snapshot {parent} does not exist")));
            }
            transaction
                .execute("DELETE FROM snapshots WHERE chain_id = ?1 AND is_root = ?2", params![key, is_root()])
                .map_err(failed)?;
            let insert = "INSERT INTO snapshots (chain_id, is_root, parent, size) VALUES (?1, ?2, ?3, ?4)";
            transaction
                .execute(insert, params![key, is_root(), parent.map(ToString::to_string), size])
                .map_err(failed)?;
            let path = self.snapshot_path(transaction.last_insert_rowid());
            // Left by a crash whose number was rolled back.
            if path.exists() {
                fs::rename(&path, directory.with_extension("orphan"))?;
            }
            fs::rename(directory, &path)?;
            fs::File::open(self.root().join(SNAPSHOTS))?.sync_all()?;
            Ok(())
        })
    }

    /// Forgets unneeded snapshots that are not mounted, and returns how many. If the mounts are unknown, all snapshots
    /// stay.
    pub(crate) fn forget_snapshots(
        &self,
        transaction: &Transaction<'_>,
        mounts: &Result<Mounts>,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let select = format!(
            "{REACHABLE}{NEEDED} SELECT id, size FROM snapshots WHERE chain_id NOT IN (SELECT chain_id FROM needed)"
        );
        let mut select = transaction.prepare(&select).map_err(failed)?;
        let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?))).map_err(failed)?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mounts = match mounts {
            Ok(mounts) => mounts,
            Err(_) if rows.is_empty() => return Ok(()),
            Err(error) => {
                let reason = error.with_causes();
                pruned.warnings.push(format!("kept all unpacked layers, any of which may be mounted: {reason}"));
                return Ok(());
            }
        };
        let directory = self.root().join(SNAPSHOTS);
        let directory = directory.canonicalize().attempt(|| format!("cannot find {}", directory.display()))?;
        let mounted = mounts.numbers_in(&directory);
        for (id, size) in rows.into_iter().filter(|(id, _)| !mounted.contains(id)) {
            transaction.execute("DELETE FROM snapshots WHERE id = ?1", [id]).map_err(failed)?;
            pruned.snapshots.add(size);
        }
        Ok(())
    }

    /// Removes directories without a row. They are first moved away, in a transaction, so that none is
    /// taken from a writer that has just created it.
    pub(crate) fn remove_snapshots(&self) -> Result<()> {
        let directory = self.root().join(SNAPSHOTS);
        let trash = ScratchDirectory::new_in(&directory)?;
        let entries = fs::read_dir(&directory).attempt(|| format!("cannot list {}", directory.display()))?;
        for entry in entries.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok()) else { continue };
            self.inner.database.write(|transaction| {
                let select = "SELECT 1 FROM snapshots WHERE id = ?1";
                if transaction.query_row(select, [id], |_| Ok(())).optional().map_err(failed)?.is_none() {
                    match fs::rename(entry.path(), trash.path().join(id.to_string())) {
                        // Another collector was faster.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        moved => moved?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Returns the number of snapshots.
    pub(crate) fn count_snapshots(transaction: &Transaction<'_>) -> Result<Amount> {
        let select = "SELECT count(*), ifnull(sum(size), 0) FROM snapshots";
        let row = |row: &rusqlite::Row<'_>| Ok(Amount { count: row.get(0)?, bytes: row.get(1)? });
        transaction.query_row(select, [], row).map_err(failed)
    }
}

struct Writer<'a> {
    store: &'a EmbeddedStore,
    scratch: ScratchDirectory,
}

impl SnapshotWriter for Writer<'_> {
    fn path(&self) -> &Path {
        self.scratch.path()
    }

    fn commit(&mut self, directory: &Path, chain_id: &Digest, parent: Option<&Digest>) -> Result<()> {
        let committed = self.store.commit_snapshot(directory, chain_id, parent);
        committed.attempt(|| format!("cannot store snapshot {chain_id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They were removed from under their mounts.
    #[test]
    fn snapshots_stay_while_it_is_unknown_what_is_mounted() {
        let place = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(place.path()).unwrap();
        let chain_id = Digest::of(b"layer");
        let mut writer = store.prepare().unwrap();
        let layer = writer.path().join("layer");
        fs::create_dir(&layer).unwrap();
        let forget = || {
            let mut pruned = Pruned::default();
            let mounts = Mounts::read(Path::new("/nowhere/mountinfo"));
            let forget = |transaction: &Transaction<'_>| store.forget_snapshots(transaction, &mounts, &mut pruned);
            store.inner.database.write(forget).unwrap();
            pruned
        };
        assert_eq!(forget(), Pruned::default(), "nothing is in doubt");
        writer.commit(&layer, &chain_id, None).unwrap();
        drop(writer);
        let warning = "kept all unpacked layers, any of which may be mounted: cannot read /nowhere/mountinfo: \
            no such file or directory";
        assert_eq!(forget().warnings, [warning]);
        assert!(Snapshots::mount(&store, &chain_id).unwrap().is_some());
    }
}
