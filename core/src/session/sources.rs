//! Exported directories, checked against the destinations.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{ContentStore, Progress};
use longshore_oci::{Error, Result};

use super::Store;
use super::targets::Target;
use crate::layer::{DirSource, Layer, LayerSource};
use crate::result::{BuildResult, ImageContent};

/// Refuses an output inside an exported directory, whose contents would depend on how far it is written.
pub(super) fn check_outside(result: &BuildResult, target: &Target) -> Result<()> {
    let Some(place) = target.scratch() else { return Ok(()) };
    for source in directories(result) {
        let Ok(root) = source.path.canonicalize() else { continue };
        let Ok(within) = place.strip_prefix(&root) else { continue };
        if !is_excluded(source, within) {
            let message = format!("{target} is inside {}, which is exported", source.path.display());
            let error = Error::option(message);
            return Err(error.with_hint("write it elsewhere, or into an excluded directory"));
        }
    }
    Ok(())
}

/// Returns `result` with the store of the run excluded from its directories: the store grows while they are read, and
/// an image with the store in it would grow with each run.
pub(super) fn without_store<'r>(
    result: &'r BuildResult,
    store: &Store,
    progress: &Progress,
) -> Result<Cow<'r, BuildResult>> {
    let store: &dyn ContentStore = match store {
        Store::Spool => return Ok(Cow::Borrowed(result)),
        Store::Given(store) => Arc::as_ref(store),
        Store::Images(images) => images.as_ref(),
    };
    let Some(place) = store.directory().and_then(|directory| directory.canonicalize().ok()) else {
        return Ok(Cow::Borrowed(result));
    };
    let within = directories(result).map(|source| store_within(source, &place)).collect::<Result<Vec<_>>>()?;
    if within.iter().all(Option::is_none) {
        return Ok(Cow::Borrowed(result));
    }
    progress.warn(format!("skipped {}: it is the store of this run", place.display()));
    let mut result = result.clone();
    let mut changed: HashMap<usize, Arc<Layer>> = HashMap::new();
    let built = result.images.iter_mut().filter_map(|image| match &mut image.content {
        ImageContent::Built(built) => Some(built),
        ImageContent::Existing(_) => None,
    });
    for artifact in built.flat_map(|built| built.artifacts_mut()) {
        for layer in &mut artifact.layers {
            // Platforms share layers, and a layer is known by its address.
            let key = Arc::as_ptr(layer) as usize;
            *layer = match changed.entry(key) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => new.insert(without(layer, &place)?).clone(),
            };
        }
    }
    Ok(Cow::Owned(result))
}

/// Returns where the store is below the directory of `source`, unless it is excluded anyway.
fn store_within(source: &DirSource, store: &Path) -> Result<Option<PathBuf>> {
    let Ok(root) = source.path.canonicalize() else { return Ok(None) };
    let Ok(within) = store.strip_prefix(&root) else { return Ok(None) };
    if within.as_os_str().is_empty() {
        let message = format!("cannot export {}: it is the store of this run", source.path.display());
        return Err(Error::option(message).with_hint("choose another store, or work without one"));
    }
    Ok(Some(within.to_owned()).filter(|within| !is_excluded(source, within)))
}

fn without(layer: &Arc<Layer>, store: &Path) -> Result<Arc<Layer>> {
    let LayerSource::Dir(source) = &layer.source else { return Ok(layer.clone()) };
    let Some(within) = store_within(source, store)? else { return Ok(layer.clone()) };
    let mut source = source.clone();
    source.rules.excludes.exclude_path(within.as_os_str().as_bytes());
    Ok(Arc::new(Layer { source: LayerSource::Dir(source), history: layer.history.clone() }))
}

fn directories(result: &BuildResult) -> impl Iterator<Item = &DirSource> {
    let built = result.images.iter().filter_map(|image| match &image.content {
        ImageContent::Built(built) => Some(built),
        ImageContent::Existing(_) => None,
    });
    let layers = built.flat_map(|built| built.artifacts()).flat_map(|artifact| &artifact.layers);
    layers.filter_map(|layer| match &layer.source {
        LayerSource::Dir(source) => Some(source),
        LayerSource::Tar(_) | LayerSource::Blob(_) => None,
    })
}

fn is_excluded(source: &DirSource, within: &Path) -> bool {
    // A destination may have been written with more slashes than patterns are matched with.
    let within: PathBuf = within.components().collect();
    source.rules.excludes.excludes(within.as_os_str().as_bytes())
}
