//! A directory for each layer, for overlayfs.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::limits::Limits;
use super::merge::Merge;
use super::{Unpacking, open_directory, place, stage};
use crate::error::{Context, Result};
use crate::image::ImageLayers;
use crate::layer::BlobSource;
use crate::oci::Digest;

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
    /// [`NotFound`](crate::ErrorKind::NotFound) for a blob that is not there.
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

/// Makes the snapshots of `layers`, the base first, that are not there; answers the directories of all.
///
/// Mounted over each other they are what the layers are when they are applied in order. Root gives files
/// their owners; for others see [`unpack`](super::unpack).
///
/// # Errors
/// As [`unpack`](super::unpack), and those of the snapshots.
pub fn unpack_snapshots(layers: &[BlobSource], snapshots: &dyn Snapshots, cx: &Unpacking<'_>) -> Result<Vec<PathBuf>> {
    let chain = chain_ids(layers.iter().map(|layer| &layer.diff_id));
    let found = chain.iter().map(|chain_id| snapshots.snapshot(chain_id)).collect::<Result<Vec<_>>>()?;
    // What is above the last one that is missing need not be read.
    let Some(last) = found.iter().rposition(Option::is_none) else { return Ok(found.into_iter().flatten().collect()) };
    let mut writer = snapshots.prepare()?;
    let place = writer.path().to_owned();
    let limits = Limits::default();
    let is_missing = |at: usize| found.get(at).is_some_and(Option::is_none);
    let (staging, entries) =
        stage::stage_all(&layers[..=last], &place, &is_missing, cx.snapshot_writer(), &limits, cx)?;
    let mut merge = Merge::new(&limits);
    let mut made: Vec<PathBuf> = Vec::new();
    let mut below: Vec<OwnedFd> = Vec::new();
    for (number, entries) in entries.into_iter().enumerate() {
        let digest = &layers[number].descriptor.digest;
        merge.apply(number, entries, cx.cancel).attempt(|| format!("cannot unpack layer {digest}"))?;
        let path = match &found[number] {
            Some(path) => path.clone(),
            None => {
                let path = place.join(format!("fs-{number}"));
                fs::create_dir(&path).attempt(|| format!("cannot make {}", path.display()))?;
                let placed = place::place_changes(&merge, &open_directory(&path)?, &staging, &below, cx);
                placed.attempt(|| format!("cannot unpack layer {digest}"))?;
                path
            }
        };
        below.push(open_directory(&path)?);
        made.push(path);
    }
    // Once for all: right names of files without their content would be worse than none.
    rustix::fs::syncfs(open_directory(&place)?).attempt(|| format!("cannot write {}", place.display()))?;
    for (number, path) in made.iter_mut().enumerate().filter(|(number, _)| is_missing(*number)) {
        cx.cancel.check()?;
        let parent = number.checked_sub(1).and_then(|below| chain.get(below));
        *path = writer.commit(path, &chain[number], parent)?;
    }
    made.extend(found.into_iter().skip(last + 1).flatten());
    Ok(made)
}

/// Makes the snapshots of an image, and keeps them as long as the image; answers their directories, the
/// base first. Below a single one is an empty one, as overlayfs takes two at least.
///
/// # Errors
/// As [`unpack_snapshots`].
pub fn unpack_image(image: &ImageLayers, snapshots: &dyn Snapshots, cx: &Unpacking<'_>) -> Result<Vec<PathBuf>> {
    let mut directories = unpack_snapshots(&image.layers, snapshots, cx)?;
    if let Some(top) = chain_ids(image.layers.iter().map(|layer| &layer.diff_id)).last() {
        snapshots.keep(&image.config, top)?;
    }
    if directories.len() == 1 {
        directories.insert(0, snapshots.empty()?);
    }
    Ok(directories)
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
