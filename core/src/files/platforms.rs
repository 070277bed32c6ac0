//! The platforms of an image, each with its layers.

use std::sync::Arc;

use longshore_content::Work;
use longshore_oci::{Error, Platform, Result};

use crate::image::images_of;
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
/// Documents that are missing or do not match their descriptors; two images for one platform.
pub(super) fn platforms(image: &Image, work: &Work) -> Result<Platforms> {
    let of = |artifact: &Artifact, platform: Option<&Platform>| -> Result<PlatformLayers> {
        let platform = platform.cloned().map_or_else(|| artifact.effective_config().platform(), Ok)?;
        Ok(PlatformLayers { platform, layers: artifact.layers.clone() })
    };
    let (all, is_map) = match &image.content {
        ImageContent::Built(Built::Single(artifact)) => (vec![of(artifact, None)?], false),
        ImageContent::Built(Built::Platforms(artifacts)) => {
            let all = artifacts.iter().map(|(platform, artifact)| of(artifact, Some(platform)));
            (all.collect::<Result<Vec<_>>>()?, true)
        }
        ImageContent::Existing(existing) => {
            let images = images_of(existing, work)?;
            let all = images.iter().map(|(platform, artifact)| of(artifact, Some(platform)));
            let all = all.collect::<Result<Vec<_>>>()?;
            // An index may be there for the sake of attestations alone.
            let is_map = all.len() > 1;
            (all, is_map)
        }
    };
    for (at, own) in all.iter().enumerate() {
        if all[..at].iter().any(|other| other.directory() == own.directory()) {
            let platform = &own.platform;
            return Err(Error::input(format!("the image has {platform} twice, whose files would be mixed"))
                .with_hint("select one of them by its digest"));
        }
    }
    Ok(Platforms { all, is_map })
}

impl PlatformLayers {
    /// Returns the directory of the platform, named as BuildKit names it.
    pub(super) fn directory(&self) -> String {
        let Platform { os, os_version, .. } = &self.platform;
        let name = self.platform.to_string();
        let name = match os_version {
            Some(version) => name.replacen(os.as_str(), &format!("{os}({version})"), 1),
            None => name,
        };
        name.replace('/', "_")
    }
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
