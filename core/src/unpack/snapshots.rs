//! A snapshot for each layer, in overlayfs's format.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_content::{Mount, Snapshots, Work, chain_ids};
use longshore_oci::{Context, Digest, Error, ErrorKind, Result};

use super::attributes::Writer;
use super::below::open_directory;
use super::place::{Onto, Placer};
use super::stage::{self, apply};
use crate::image::ImageLayers;
use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;

/// Makes the missing snapshots of `layers`, the base first; returns the mount that shows them all, or `None` for no
/// layers.
///
/// What is mounted is what the layers are when they are applied in order. Root gives files their owners; for others see
/// [`unpack`](super::unpack).
///
/// # Errors
/// As [`unpack`](super::unpack), and those of the snapshots.
pub fn unpack_snapshots(layers: &[BlobSource], snapshots: &dyn Snapshots, work: &Work) -> Result<Option<Mount>> {
    let chain = chain_ids(layers.iter().map(|layer| &layer.diff_id));
    let Some(top) = chain.last() else { return Ok(None) };
    let (existing, lower) = existing(&chain, snapshots)?;
    if existing == chain.len() {
        return Ok(lower);
    }
    let gone = || Error::new(ErrorKind::NotFound, format!("snapshot {top} was removed while it was being created"));
    if unpacked_by_store(layers, &chain, existing, snapshots, work)? {
        return snapshots.mount(top)?.ok_or_else(gone).map(Some);
    }
    let mut writer = snapshots.prepare()?;
    let lower = lower.map(|mount| mount.layers).unwrap_or_default();
    let lower: Vec<&PathBuf> = lower.iter().take(existing).rev().collect();
    let made = make(layers, &lower, writer.path(), work)?;
    for (number, path) in (existing..).zip(&made) {
        work.check()?;
        let parent = number.checked_sub(1).and_then(|below| chain.get(below));
        writer.commit(path, &chain[number], parent)?;
    }
    snapshots.mount(top)?.ok_or_else(gone).map(Some)
}

/// Lets a store that unpacks layers itself create all snapshots but the first `existing`; returns whether it did.
fn unpacked_by_store(
    layers: &[BlobSource],
    chain: &[Digest],
    existing: usize,
    snapshots: &dyn Snapshots,
    work: &Work,
) -> Result<bool> {
    for (number, layer) in layers.iter().enumerate().skip(existing) {
        work.check()?;
        let parent = number.checked_sub(1).and_then(|below| chain.get(below));
        if !snapshots.unpack(&layer.descriptor, &layer.diff_id, &chain[number], parent)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns how many snapshots of a chain exist, from the base, and the mount that shows them.
fn existing(chain: &[Digest], snapshots: &dyn Snapshots) -> Result<(usize, Option<Mount>)> {
    for (number, chain_id) in chain.iter().enumerate().rev() {
        if let Some(mount) = snapshots.mount(chain_id)? {
            return Ok((number + 1, Some(mount)));
        }
    }
    Ok((0, None))
}

/// Creates the directories of the layers above `lower` in `place`; returns them, the lowest first.
fn make(layers: &[BlobSource], lower: &[&PathBuf], place: &Path, work: &Work) -> Result<Vec<PathBuf>> {
    let is_missing = |at: usize| at >= lower.len();
    let (staging, entries) = stage::stage_all(layers, place, &is_missing, Writer::for_snapshots(work), work)?;
    let mut tree = MergedTree::default();
    let mut made: Vec<PathBuf> = Vec::new();
    let mut below: Vec<PathBuf> = Vec::new();
    for (number, entries) in entries.into_iter().enumerate() {
        apply(&mut tree, &layers[number], entries, &work.cancel)?;
        match lower.get(number) {
            Some(path) => below.push((*path).clone()),
            None => {
                let path = place.join(format!("fs-{number}"));
                fs::create_dir(&path).attempt(|| format!("cannot create {}", path.display()))?;
                let root = open_directory(&path)?;
                let mut placer = Placer::new(&tree, &root, &staging, Onto::Layers(&below), work)?;
                let placed = placer.place_changes().and_then(|()| placer.finish(&root));
                placed.attempt(|| format!("cannot unpack layer {}", layers[number].descriptor.digest))?;
                below.push(path.clone());
                made.push(path);
            }
        }
    }
    // One sync for all: names of files without their content would be worse than none.
    rustix::fs::syncfs(open_directory(place)?).attempt(|| format!("cannot write {}", place.display()))?;
    Ok(made)
}

/// Makes the snapshots of an image, and keeps them as long as the image; returns the mount that shows them, or `None`
/// for an image without layers.
///
/// # Errors
/// As [`unpack_snapshots`].
pub fn unpack_image(image: &ImageLayers, snapshots: &dyn Snapshots, work: &Work) -> Result<Option<Mount>> {
    let mount = unpack_snapshots(&image.layers, snapshots, work)?;
    if let Some(top) = chain_ids(image.layers.iter().map(|layer| &layer.diff_id)).last() {
        snapshots.keep(&image.config, top)?;
    }
    Ok(mount)
}
