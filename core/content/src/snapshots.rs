//! Snapshots: the changes of each layer, identified by chain ID, and their mounts.

use std::path::{Path, PathBuf};

use longshore_oci::{Descriptor, Digest, Result};

/// The changes of each layer of an image, ready to be mounted on top of its lower layers.
///
/// - A snapshot is identified by chain ID (image-spec, config.md, "Layer ChainID"): its contents depend on
///   the layers below it.
/// - A snapshot exists completely, with all snapshots below it, or not at all, and never changes.
/// - Snapshots created by root and by an ordinary user are different: owners, devices and the
///   attributes of overlayfs differ.
pub trait Snapshots: Send + Sync {
    /// Returns the mount that shows a snapshot and those below it; `None` if one of them does not exist. Nothing is
    /// mounted.
    ///
    /// # Errors
    /// I/O errors.
    fn mount(&self, chain_id: &Digest) -> Result<Option<Mount>>;

    /// Starts creating snapshots, on the file system of the store.
    ///
    /// # Errors
    /// I/O errors.
    fn prepare(&self) -> Result<Box<dyn SnapshotWriter + '_>>;

    /// Creates the snapshot of a layer, whose blob is in the same store, on top of `parent`, if the store unpacks layers
    /// itself; returns whether it does. Otherwise nothing changes, and [`prepare`](Self::prepare) is for the caller.
    /// If the snapshot exists already, nothing changes either.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a parent that does not exist;
    /// [`Corrupt`](longshore_oci::ErrorKind::Corrupt) for a layer with another diffID; I/O errors.
    fn unpack(&self, layer: &Descriptor, diff_id: &Digest, chain_id: &Digest, parent: Option<&Digest>) -> Result<bool> {
        let _ = (layer, diff_id, chain_id, parent);
        Ok(false)
    }

    /// Keeps a snapshot, and the snapshots below it, as long as the blob `config` is kept.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a missing blob.
    fn keep(&self, config: &Digest, chain_id: &Digest) -> Result<()>;
}

/// A place to create snapshots. Dropping it discards everything uncommitted.
pub trait SnapshotWriter {
    /// Returns a directory, initially empty and for exclusive use.
    fn path(&self) -> &Path;

    /// Commits `directory`, which is in [`path`](Self::path) and may be moved away, as the snapshot of
    /// `chain_id` on top of `parent`. If the snapshot exists already, nothing changes.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a parent that does not exist; I/O errors.
    fn commit(&mut self, directory: &Path, chain_id: &Digest, parent: Option<&Digest>) -> Result<()>;
}

/// A mount that shows directories, read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The type of its file system.
    pub kind: MountKind,
    /// The directories that it shows: that of the snapshot first, then that of each one below it. A store may add
    /// directories of its own at the end.
    pub layers: Vec<PathBuf>,
    /// Further options of mount(8), such as `userxattr`.
    pub options: Vec<String>,
}

/// The type of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// The one directory itself.
    Bind,
    /// overlayfs: the stacked directories, the top first.
    Overlay,
}

impl Mount {
    /// Returns a bind mount of `directory`.
    pub fn bind(directory: impl Into<PathBuf>) -> Self {
        Self { kind: MountKind::Bind, layers: vec![directory.into()], options: Vec::new() }
    }

    /// Returns an overlay of `layers`, the top first.
    pub fn overlay(layers: Vec<PathBuf>) -> Self {
        Self { kind: MountKind::Overlay, layers, options: Vec::new() }
    }

    /// Adds an option.
    #[must_use]
    pub fn with_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }
}

/// Returns whether this process is root in the first user namespace (user_namespaces(7)).
pub fn is_root() -> bool {
    let maps_all = || {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_whitespace().eq(["0", "0", "4294967295"])
    };
    rustix::process::geteuid().is_root() && maps_all()
}

/// Returns the chain IDs of layers with these diffIDs, the base first.
pub fn chain_ids<'a>(diff_ids: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
            None => diff_id.clone(),
        });
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of image-spec, config.md, "Layer ChainID", with digests of its letters.
    #[test]
    fn chain_ids_are_digests_of_the_chain_below() {
        let [a, b, c] = ["a", "b", "c"].map(|layer| Digest::of(layer.as_bytes()));
        let ab = Digest::of(format!("{a} {b}").as_bytes());
        let abc = Digest::of(format!("{ab} {c}").as_bytes());
        assert_eq!(chain_ids([&a, &b, &c]), [a.clone(), ab, abc]);
        assert_eq!(chain_ids([]), []);
    }
}
