//! The platforms of an image, each with its layers.

use std::sync::Arc;

use longshore_content::{Progress, Work};
use longshore_oci::{Platform, Result};

use crate::image::take_apart;
use crate::layer::Layer;
use crate::result::{Artifact, Built, Image, ImageContent};

/// The layers of one platform, the base first.
#[derive(Debug)]
pub(super) struct PlatformLayers {
    pub(super) platform: Platform,
    pub(super) layers: Vec<Arc<Layer>>,
}

/// The platforms of an image.
#[derive(Debug)]
pub(super) struct Platforms {
    pub(super) all: Vec<PlatformLayers>,
    /// Whether it is an image for several platforms, even if there is only one.
    pub(super) is_map: bool,
}

/// Returns the platforms of `image`, in order.
///
/// # Errors
/// As [`take_apart`].
pub(super) fn platforms(image: &Image, work: &Work) -> Result<Platforms> {
    let taken_apart;
    let built = match &image.content {
        ImageContent::Built(built) => built,
        ImageContent::Existing(existing) => {
            // What it warns about belongs to images: attestations and annotations are no files.
            taken_apart = take_apart(existing, &work.clone().with_progress(Progress::default()))?;
            &taken_apart
        }
    };
    let of = |artifact: &Artifact, platform: Option<&Platform>| -> Result<PlatformLayers> {
        let platform = platform.cloned().map_or_else(|| artifact.effective_config().platform(), Ok)?;
        Ok(PlatformLayers { platform, layers: artifact.layers.clone() })
    };
    let (all, is_map) = match built {
        Built::Single(artifact) => (vec![of(artifact, None)?], false),
        Built::Platforms(artifacts) => {
            let all = artifacts.iter().map(|(platform, artifact)| of(artifact, Some(platform)));
            (all.collect::<Result<_>>()?, true)
        }
    };
    Ok(Platforms { all, is_map })
}

/// Returns what is known about the platforms without reading anything.
pub(super) fn plan(image: &Image) -> Vec<String> {
    match &image.content {
        ImageContent::Existing(existing) => vec![format!("files of {}", existing.root.digest)],
        ImageContent::Built(built) => {
            let line = |artifact: &Artifact| {
                let platform = artifact.effective_config().platform();
                let platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
                let layers = artifact.layers.iter().map(|layer| format!("  layer {}", layer.name()));
                [format!("files{platform}")].into_iter().chain(layers).collect::<Vec<_>>()
            };
            built.artifacts().into_iter().flat_map(line).collect()
        }
    }
}
