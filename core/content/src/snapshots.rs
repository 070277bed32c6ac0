//! Snapshots: a directory for each layer, known by its chain ID.

use std::path::{Path, PathBuf};

use longshore_oci::{Digest, Result};

/// Directories that each show what one layer changed, ready to be lower directories of overlayfs.
///
/// - A snapshot is known by its chain ID (image-spec, config.md, "Layer ChainID"): what it holds depends on
///   the layers below it.
/// - It is there as a whole, or not at all, and it never changes.
/// - What root makes and what an ordinary user makes are different snapshots: owners, devices and the
///   attributes of overlayfs differ.
pub trait Snapshots: Send + Sync {
    /// The directory of a snapshot; `None` if it is not there.
    ///
    /// # Errors
    /// Those of the medium.
    fn snapshot(&self, chain_id: &Digest) -> Result<Option<PathBuf>>;

    /// Starts to make snapshots on the file system where they will be.
    ///
    /// # Errors
    /// Those of the medium.
    fn prepare(&self) -> Result<Box<dyn SnapshotWriter + '_>>;

    /// A directory that is empty, to be mounted below a single snapshot.
    ///
    /// # Errors
    /// Those of the medium.
    fn empty(&self) -> Result<PathBuf>;

    /// Keeps a snapshot, and those below it, as long as the blob `config` is kept.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a blob that is not there.
    fn keep(&self, config: &Digest, chain_id: &Digest) -> Result<()>;
}

/// A place in which snapshots are made. Dropping it discards what was not committed.
pub trait SnapshotWriter {
    /// A directory that is empty at first, and nobody else's.
    fn path(&self) -> &Path;

    /// Makes `directory`, which is in [`path`](Self::path), the snapshot of `chain_id` on top of `parent`;
    /// answers where it is. If there is one already, that is answered and nothing changes.
    ///
    /// # Errors
    /// Those of the medium.
    fn commit(&mut self, directory: &Path, chain_id: &Digest, parent: Option<&Digest>) -> Result<PathBuf>;
}

/// Whether this process is root in the first user namespace (user_namespaces(7)).
pub fn is_root() -> bool {
    let maps_all = || {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_whitespace().eq(["0", "0", "4294967295"])
    };
    rustix::process::geteuid().is_root() && maps_all()
}

/// The chain IDs of layers with these diffIDs, the base first.
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
