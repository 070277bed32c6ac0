//! A directory for each layer, for overlayfs.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use longshore_content::{Snapshots, Work, chain_ids};
use longshore_oci::{Context, Result};

use super::attributes::Writer;
use super::{apply, open_directory, place, stage};
use crate::image::ImageLayers;
use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;

/// Makes the missing snapshots of `layers`, the base first; returns the directories of all.
///
/// Mounted over each other they are what the layers are when they are applied in order. Root gives files
/// their owners; for others see [`unpack`](super::unpack).
///
/// # Errors
/// As [`unpack`](super::unpack), and those of the snapshots.
pub fn unpack_snapshots(layers: &[BlobSource], snapshots: &dyn Snapshots, work: &Work) -> Result<Vec<PathBuf>> {
    let chain = chain_ids(layers.iter().map(|layer| &layer.diff_id));
    let found = chain.iter().map(|chain_id| snapshots.snapshot(chain_id)).collect::<Result<Vec<_>>>()?;
    // What is above the last one that is missing need not be read.
    let Some(last) = found.iter().rposition(Option::is_none) else { return Ok(found.into_iter().flatten().collect()) };
    let mut writer = snapshots.prepare()?;
    let place = writer.path().to_owned();
    let is_missing = |at: usize| found.get(at).is_some_and(Option::is_none);
    let (staging, entries) =
        stage::stage_all(&layers[..=last], &place, &is_missing, Writer::for_snapshots(work), work)?;
    let mut tree = MergedTree::default();
    let mut made: Vec<PathBuf> = Vec::new();
    let mut below: Vec<OwnedFd> = Vec::new();
    for (number, entries) in entries.into_iter().enumerate() {
        apply(&mut tree, &layers[number], entries, &work.cancel)?;
        let path = match &found[number] {
            Some(path) => path.clone(),
            None => {
                let path = place.join(format!("fs-{number}"));
                fs::create_dir(&path).attempt(|| format!("cannot make {}", path.display()))?;
                let placed = place::place_changes(&tree, &open_directory(&path)?, &staging, &below, work);
                placed.attempt(|| format!("cannot unpack layer {}", layers[number].descriptor.digest))?;
                path
            }
        };
        below.push(open_directory(&path)?);
        made.push(path);
    }
    // Once for all: right names of files without their content would be worse than none.
    rustix::fs::syncfs(open_directory(&place)?).attempt(|| format!("cannot write {}", place.display()))?;
    for (number, path) in made.iter_mut().enumerate().filter(|(number, _)| is_missing(*number)) {
        work.check()?;
        let parent = number.checked_sub(1).and_then(|below| chain.get(below));
        *path = writer.commit(path, &chain[number], parent)?;
    }
    made.extend(found.into_iter().skip(last + 1).flatten());
    Ok(made)
}

/// Makes the snapshots of an image, and keeps them as long as the image; returns their directories, the
/// base first. Below a single one is an empty one, as overlayfs takes two at least.
///
/// # Errors
/// As [`unpack_snapshots`].
pub fn unpack_image(image: &ImageLayers, snapshots: &dyn Snapshots, work: &Work) -> Result<Vec<PathBuf>> {
    let mut directories = unpack_snapshots(&image.layers, snapshots, work)?;
    if let Some(top) = chain_ids(image.layers.iter().map(|layer| &layer.diff_id)).last() {
        snapshots.keep(&image.config, top)?;
    }
    if directories.len() == 1 {
        directories.insert(0, snapshots.empty()?);
    }
    Ok(directories)
}
