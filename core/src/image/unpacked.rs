//! The layers of an image for one platform, for unpacking.

use std::sync::Arc;

use longshore_content::Work;
use longshore_oci::{Digest, Error, ErrorKind, Platform, Result};

use super::existing::{artifact, artifact_of};
use super::graph::{Graph, best_platform};
use crate::layer::{BlobSource, LayerSource};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// The layers of an image for one platform.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImageLayers {
    /// The digest of its configuration.
    pub config: Digest,
    /// The layers, the base first.
    pub layers: Vec<BlobSource>,
}

/// Finds the layers of an image for `platform`, as [`Graph::platform`] chooses them.
///
/// # Errors
/// As [`Graph::platform`]; a configuration for another platform than the index says; documents that are missing
/// or do not match their descriptors.
pub fn layers_for(existing: &Existing, platform: &Platform, work: &Work) -> Result<ImageLayers> {
    let graph = Graph::of(existing, work);
    let chosen = graph.platform(platform)?;
    let (entry, config) = graph.image(&chosen)?;
    let own = config.platform()?;
    if let Some(listed) = chosen.platform.as_ref().filter(|listed| !own.agrees_with(listed)) {
        let digest = &entry.manifest.config.digest;
        return Err(Error::input(format!("config {digest} is for {own}, its index says {listed}")));
    }
    let unexpected = || Error::new(ErrorKind::Other, "an existing image has layers that do not exist");
    let layers = artifact_of(existing, &entry, &config)?.layers;
    let layers = layers.into_iter().map(|layer| match Arc::into_inner(layer).map(|layer| layer.source) {
        Some(LayerSource::Blob(source)) => Ok(source),
        _ => Err(unexpected()),
    });
    Ok(ImageLayers { config: entry.manifest.config.digest.clone(), layers: layers.collect::<Result<_>>()? })
}

/// Returns the artifact of an image; for an image of several platforms, that for `platform`, as
/// [`Graph::platform`] chooses it.
///
/// # Errors
/// As [`layers_for`].
pub fn artifact_for(image: &Image, platform: &Platform, work: &Work) -> Result<Artifact> {
    match &image.content {
        ImageContent::Built(Built::Single(artifact)) => Ok(artifact.clone()),
        ImageContent::Built(Built::Platforms(platforms)) => {
            let chosen = best_platform(platform, platforms.keys())?;
            Ok(platforms[chosen].clone())
        }
        ImageContent::Existing(existing) => {
            let graph = Graph::of(existing, work);
            match existing.root.media_type.is_index() {
                true => artifact(existing, &graph, &graph.platform(platform)?),
                false => artifact(existing, &graph, &existing.root),
            }
        }
    }
}
