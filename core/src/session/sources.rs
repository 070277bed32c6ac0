//! Exported directories, checked against the destinations.

use std::borrow::Cow;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::ContentStore;
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

/// A directory with a store.
struct StorePlace {
    /// Its device and inode numbers: a mount may show it elsewhere.
    identity: (u64, u64),
    said: String,
}

impl StorePlace {
    fn new(path: &Path, what: &str) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        Some(Self { identity: identity(&path)?, said: format!("skipped {}: it is {what}", path.display()) })
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// Returns `result` with the store of the run, and `others`, excluded from its directories: the store grows while they
/// are read, and an image with the store in it would grow with each run.
pub(super) fn without_stores<'r>(
    result: &'r BuildResult,
    store: &Store,
    others: &[PathBuf],
) -> Result<Cow<'r, BuildResult>> {
    let store: Option<&dyn ContentStore> = match store {
        Store::Spool => None,
        Store::Given(store) => Some(Arc::as_ref(store)),
        Store::Images(images) => Some(images.as_ref()),
    };
    let own = store.and_then(ContentStore::directory).and_then(|path| StorePlace::new(path, "the store of this run"));
    if let Some(own) = &own {
        directories(result).try_for_each(|source| check_source(source, own))?;
    }
    let others = others.iter().filter_map(|path| StorePlace::new(path, "an image store"));
    let stores: Vec<StorePlace> = own.into_iter().chain(others).collect();
    if stores.is_empty() || directories(result).next().is_none() {
        return Ok(Cow::Borrowed(result));
    }
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
            *layer = changed.entry(key).or_insert_with(|| without(layer, &stores)).clone();
        }
    }
    Ok(Cow::Owned(result))
}

fn check_source(source: &DirSource, store: &StorePlace) -> Result<()> {
    if identity(&source.path) != Some(store.identity) {
        return Ok(());
    }
    let message = format!("cannot export {}: it is the store of this run", source.path.display());
    Err(Error::option(message).with_hint("choose another store, or work without one"))
}

fn without(layer: &Arc<Layer>, stores: &[StorePlace]) -> Arc<Layer> {
    let LayerSource::Dir(source) = &layer.source else { return layer.clone() };
    let mut source = source.clone();
    for StorePlace { identity, said } in stores {
        source.rules.excludes.exclude_directory(*identity, said.as_str());
    }
    Arc::new(Layer { source: LayerSource::Dir(source), history: layer.history.clone() })
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
