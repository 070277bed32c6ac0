//! Unpacked layers, committed by chain ID as containerd's own clients do.
//!
//! The layers of overlayfs are directories: root writes them itself, several at a time, into snapshots that containerd
//! prepared, and containerd commits them. Of every other snapshotter, for other users, and where containerd has its files
//! in another mount namespace, its differ unpacks one layer after another.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_content::{Mount, SnapshotWriter, Snapshots, is_root, not_found, remove_tree};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Result};
use tonic::{Code, Status};

use crate::connection::is_missing;
use crate::labels::{Labels, snapshot_reference};
use crate::lease::unique;
use crate::store::ContainerdStore;
use crate::wire::snapshots::{
    APPLY, ApplyRequest, ApplyResponse, COMMIT, CommitRequest, KeyRequest, MountsResponse, NewRequest, PREPARE, REMOVE,
    STAT, USAGE, UsageResponse, VIEW,
};
use crate::wire::{self, Empty};

/// The snapshotter whose snapshots are directories for overlayfs.
const OVERLAYFS: &str = "overlayfs";

impl Snapshots for ContainerdStore {
    fn mount(&self, chain_id: &Digest) -> Result<Option<Mount>> {
        if !self.has_snapshot(chain_id)? {
            return Ok(None);
        }
        let key = unique("longshore-view-");
        let shown = match self.create(VIEW, &key, Some(chain_id)) {
            Err(status) if is_missing(&status) => return Ok(None),
            shown => shown.map_err(|status| self.snapshot_failed(status)),
        };
        let mount = shown.and_then(|mounts| mount(&mounts));
        // The directories are those of the snapshots below, which stay.
        self.remove(&key);
        mount.map(Some).attempt(|| format!("cannot show snapshot {chain_id}"))
    }

    fn prepare(&self) -> Result<Box<dyn SnapshotWriter + '_>> {
        let prepared = self.prepare_directory();
        Ok(Box::new(prepared.attempt(|| "cannot prepare snapshots in containerd".to_owned())?))
    }

    fn unpack(&self, layer: &Descriptor, diff_id: &Digest, chain_id: &Digest, parent: Option<&Digest>) -> Result<bool> {
        if *self.snapshotter == *OVERLAYFS && is_root() {
            match self.prepare_directory() {
                Ok(_) => return Ok(false),
                // It keeps its files elsewhere.
                Err(error) if [ErrorKind::NotFound, ErrorKind::Unsupported].contains(&error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        let applied = self.apply(layer, diff_id, chain_id, parent);
        applied.map(|()| true).attempt(|| format!("containerd cannot unpack layer {}", layer.digest))
    }

    fn keep(&self, config: &Digest, chain_id: &Digest) -> Result<()> {
        let labels = Labels::from([(snapshot_reference(&self.snapshotter), chain_id.to_string())]);
        self.set_labels(config, labels)?.map(drop).ok_or_else(|| not_found(config))
    }
}

impl ContainerdStore {
    /// Returns whether a snapshot exists, and holds it.
    fn has_snapshot(&self, chain_id: &Digest) -> Result<bool> {
        let exists = || {
            let request = KeyRequest { snapshotter: self.snapshotter.to_string(), key: chain_id.to_string() };
            match self.connection.call::<_, Empty>(STAT, None, request) {
                Ok(_) => Ok(true),
                Err(status) if is_missing(&status) => Ok(false),
                Err(status) => {
                    Err(self.snapshot_failed(status)).attempt(|| format!("cannot look up snapshot {chain_id}"))
                }
            }
        };
        // A snapshot that was just collected does not exist.
        Ok(exists()? && (!self.hold_snapshot(chain_id)? || exists()?))
    }

    /// Prepares a directory on the file system of the snapshots, which this process shares with containerd.
    fn prepare_directory(&self) -> Result<Writer<'_>> {
        let key = unique("longshore-");
        let mounts = self.create(PREPARE, &key, None).map_err(|status| self.snapshot_failed(status))?;
        let mut writer = Writer { store: self, key, path: PathBuf::new() };
        let prepare = || {
            let path = directory(&mounts)?.join("layers");
            match fs::create_dir(&path) {
                // Only what was made here is removed: another containerd may have its files at the same path.
                Ok(()) => writer.path = path,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    return Err(error).attempt(|| format!("cannot create {}", path.display()));
                }
                Err(error) => {
                    let message = format!("cannot create {}", path.display());
                    return Err(Error::new(ErrorKind::Unsupported, message).with_source(error));
                }
            }
            let request = KeyRequest { snapshotter: self.snapshotter.to_string(), key: writer.key.clone() };
            let usage = self.connection.call::<_, UsageResponse>(USAGE, None, request);
            // The root of the snapshot, and the new directory.
            match usage.map_err(|status| self.connection.failed(status))?.inodes {
                0 | 1 => {
                    let message = format!("containerd does not see {}", writer.path.display());
                    Err(Error::new(ErrorKind::Unsupported, message))
                }
                _ => Ok(writer),
            }
        };
        prepare().map_err(|error: Error| error.with_hint("run as root on the machine of containerd"))
    }

    fn create(&self, method: &'static str, key: &str, parent: Option<&Digest>) -> Result<Vec<wire::Mount>, Status> {
        let parent = parent.map(ToString::to_string).unwrap_or_default();
        let snapshotter = self.snapshotter.to_string();
        let request = NewRequest { snapshotter, key: key.to_owned(), parent, labels: Labels::new() };
        Ok(self.connection.call::<_, MountsResponse>(method, self.lease_id(), request)?.mounts)
    }

    /// Removes a snapshot that is no longer needed; if that fails, it goes with the lease.
    fn remove(&self, key: &str) {
        let request = KeyRequest { snapshotter: self.snapshotter.to_string(), key: key.to_owned() };
        let _ = self.connection.call::<_, Empty>(REMOVE, None, request);
    }

    /// Creates the snapshot of `chain_id` on top of `parent` if it does not exist: `fill` writes to what is mounted.
    fn make(
        &self,
        chain_id: &Digest,
        parent: Option<&Digest>,
        fill: impl FnOnce(Vec<wire::Mount>) -> Result<()>,
    ) -> Result<()> {
        if self.has_snapshot(chain_id)? {
            return Ok(());
        }
        let missing =
            |parent: &Digest| Error::new(ErrorKind::NotFound, format!("its parent snapshot {parent} does not exist"));
        // containerd's own error names neither.
        match parent {
            Some(parent) if !self.has_snapshot(parent)? => return Err(missing(parent)),
            _ => {}
        }
        let key = unique(&format!("longshore-{chain_id}-"));
        let mounts = self.create(PREPARE, &key, parent).map_err(|status| self.snapshot_failed(status))?;
        let committed = fill(mounts).and_then(|()| self.commit(&key, chain_id));
        if committed.is_err() {
            self.remove(&key);
        }
        committed
    }

    fn commit(&self, key: &str, chain_id: &Digest) -> Result<()> {
        let snapshotter = self.snapshotter.to_string();
        let request = CommitRequest { snapshotter, name: chain_id.to_string(), key: key.to_owned() };
        match self.connection.call::<_, Empty>(COMMIT, self.lease_id(), request) {
            Ok(_) => {}
            // Another process was faster.
            Err(status) if status.code() == Code::AlreadyExists => self.remove(key),
            Err(status) => return Err(self.snapshot_failed(status)),
        }
        self.hold_snapshot(chain_id).map(drop)
    }

    /// Lets containerd unpack a layer of this store.
    fn apply(&self, layer: &Descriptor, diff_id: &Digest, chain_id: &Digest, parent: Option<&Digest>) -> Result<()> {
        self.make(chain_id, parent, |mounts| {
            let diff = Some(crate::images::target(layer));
            let request = ApplyRequest { diff, mounts };
            let applied = self.connection.call::<_, ApplyResponse>(APPLY, self.lease_id(), request);
            let applied = applied.map_err(|status| self.connection.failed(status))?.applied.unwrap_or_default();
            if applied.digest == diff_id.to_string() {
                return Ok(());
            }
            Err(Error::corrupt(format!("it has the diffID {}, expected {diff_id}", applied.digest)))
        })
    }

    /// Returns the error of a failed call about a snapshot: a missing snapshotter is an argument for containerd.
    fn snapshot_failed(&self, status: Status) -> Error {
        if !status.message().contains("snapshotter not loaded") {
            return self.connection.failed(status);
        }
        let mut known = self.connection.plugins("io.containerd.snapshotter.v1");
        known.sort();
        let place = self.connection.socket().display();
        let message = format!("containerd at {place} has no snapshotter `{}`", self.snapshotter);
        let error = Error::new(ErrorKind::Unsupported, message);
        if known.is_empty() {
            error
        } else {
            error.with_hint(format!("it has {}: add snapshotter=NAME", known.join(", ")))
        }
    }
}

/// A directory for layers, on the file system of the snapshots.
struct Writer<'a> {
    store: &'a ContainerdStore,
    /// The snapshot that it is in, which is never committed.
    key: String,
    path: PathBuf,
}

impl SnapshotWriter for Writer<'_> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn commit(&mut self, directory: &Path, chain_id: &Digest, parent: Option<&Digest>) -> Result<()> {
        let made = self.store.make(chain_id, parent, |mounts| {
            let to = self::directory(&mounts)?;
            // Takes the place of the empty one, with its owner, mode, attributes and time.
            fs::rename(directory, &to).attempt(|| format!("cannot move a layer to {}", to.display()))
        });
        made.attempt(|| format!("cannot store snapshot {chain_id}"))
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // containerd removes the directories of a snapshot only when it collects.
            let _ = remove_tree(&self.path);
        }
        self.store.remove(&self.key);
    }
}

/// Returns the directory that is written to through the mount of a new snapshot.
fn directory(mounts: &[wire::Mount]) -> Result<PathBuf> {
    let directory = match mounts {
        [mount] if mount.kind == "bind" => Some(mount.source.as_str()),
        [mount] if mount.kind == "overlay" => mount.options.iter().find_map(|option| option.strip_prefix("upperdir=")),
        _ => None,
    };
    directory.map(PathBuf::from).ok_or_else(|| unknown(mounts))
}

/// Returns the mount of a view.
fn mount(mounts: &[wire::Mount]) -> Result<Mount> {
    match mounts {
        [mount] if mount.kind == "bind" => Ok(Mount::bind(&mount.source)),
        [mount] if mount.kind == "overlay" => {
            let (mut layers, mut options) = (Vec::new(), Vec::new());
            for option in &mount.options {
                match option.strip_prefix("lowerdir=") {
                    Some(lower) => layers.extend(lower.split(':').map(PathBuf::from)),
                    None if option == "ro" => {}
                    None => options.push(option),
                }
            }
            let shown = Mount::overlay(layers);
            Ok(options.into_iter().fold(shown, |mount, option| mount.with_option(option.as_str())))
        }
        _ => Err(unknown(mounts)),
    }
}

fn unknown(mounts: &[wire::Mount]) -> Error {
    let kinds: Vec<&str> = mounts.iter().map(|mount| mount.kind.as_str()).collect();
    let message = format!("a snapshot of it is a mount of {}, not a directory or an overlay", kinds.join(" and "));
    Error::new(ErrorKind::Unsupported, message).with_hint("choose the snapshotter overlayfs or native")
}
