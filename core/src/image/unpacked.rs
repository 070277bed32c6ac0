//! What unpacking an image needs of it: its layers for one platform.

use std::sync::Arc;

use longshore_content::{Progress, read};
use longshore_oci::{
    CONFIG_LIMIT, Context, Descriptor, Digest, Error, ErrorKind, ImageConfig, MANIFEST_LIMIT, Platform, Result,
    parse_index, parse_manifest,
};

use crate::image::take_apart;
use crate::layer::{BlobSource, LayerSource};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// The layers of an image for one platform.
#[derive(Debug)]
pub struct ImageLayers {
    /// The digest of its configuration.
    pub config: Digest,
    /// The layers, the base first.
    pub layers: Vec<BlobSource>,
}

/// Finds the layers of an image for `platform`.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if it has none for that platform, with those that it has;
/// documents that are missing or not what their descriptors say.
pub fn layers_for(existing: &Existing, platform: &Platform, progress: &Progress) -> Result<ImageLayers> {
    let root = manifest_for(existing, platform)?;
    let provider = existing.provider.as_ref();
    let manifest = parse_manifest(&root, &read(provider, &root, MANIFEST_LIMIT)?)?;
    let artifact = existing_artifact(existing, root, progress)?;
    let own = artifact.config.platform()?;
    if !own.matches(platform) {
        return Err(missing(platform, [own.to_string()]));
    }
    let unexpected = || Error::new(ErrorKind::Other, "an image that exists has layers that do not");
    let layers = artifact.layers.into_iter().map(|layer| match Arc::into_inner(layer).map(|layer| layer.source) {
        Some(LayerSource::Blob(source)) => Ok(source),
        _ => Err(unexpected()),
    });
    Ok(ImageLayers { config: manifest.config.digest, layers: layers.collect::<Result<_>>()? })
}

/// What an image consists of; for an image of several platforms, what it consists of for `platform`.
///
/// # Errors
/// As [`layers_for`].
pub fn artifact_for(image: &Image, platform: &Platform, progress: &Progress) -> Result<Artifact> {
    match &image.content {
        ImageContent::Built(Built::Single(artifact)) => Ok(artifact.clone()),
        ImageContent::Built(Built::Platforms(platforms)) => {
            let found = platforms.iter().find(|(own, _)| own.matches(platform)).map(|(_, artifact)| artifact.clone());
            found.ok_or_else(|| missing(platform, platforms.keys().map(ToString::to_string)))
        }
        ImageContent::Existing(existing) => existing_artifact(existing, manifest_for(existing, platform)?, progress),
    }
}

/// What one manifest of an image consists of.
fn existing_artifact(existing: &Existing, root: Descriptor, progress: &Progress) -> Result<Artifact> {
    let one = Existing { root, referrers: Vec::new(), provider: existing.provider.clone() };
    match take_apart(&one, progress)? {
        Built::Single(artifact) => Ok(artifact),
        Built::Platforms(_) => Err(Error::new(ErrorKind::Unsupported, "an index within an index is not read")),
    }
}

fn manifest_for(existing: &Existing, platform: &Platform) -> Result<Descriptor> {
    let root = &existing.root;
    if !root.media_type.is_index() {
        return Ok(root.clone());
    }
    let bytes = read(existing.provider.as_ref(), root, MANIFEST_LIMIT);
    let index =
        bytes.and_then(|bytes| parse_index(root, &bytes)).attempt(|| format!("cannot read image {}", root.digest))?;
    let platforms = || index.manifests.iter().filter_map(|child| child.platform.as_ref());
    let matches = |child: &&Descriptor| child.platform.as_ref().is_some_and(|own| own.matches(platform));
    // An index need not say what its manifests are for: then their configurations do.
    let is_for = |child: &&Descriptor| {
        child.platform.is_none() && platform_of(existing, child).is_some_and(|own| own.matches(platform))
    };
    let child = index.manifests.iter().find(matches).or_else(|| index.manifests.iter().find(is_for)).cloned();
    child.ok_or_else(|| missing(platform, platforms().map(ToString::to_string)))
}

fn platform_of(existing: &Existing, manifest: &Descriptor) -> Option<Platform> {
    let provider = existing.provider.as_ref();
    let manifest = parse_manifest(manifest, &read(provider, manifest, MANIFEST_LIMIT).ok()?).ok()?;
    ImageConfig::parse(&read(provider, &manifest.config, CONFIG_LIMIT).ok()?).ok()?.platform().ok()
}

fn missing(platform: &Platform, present: impl IntoIterator<Item = String>) -> Error {
    let present: Vec<String> = present.into_iter().collect();
    Error::new(ErrorKind::NotFound, format!("no image for platform {platform}"))
        .with_hint(format!("choose one of {}", present.join(", ")))
}
