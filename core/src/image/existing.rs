//! An image that exists, as the layers and configurations that it consists of.

use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{Progress, read};
use longshore_oci::{
    CONFIG_LIMIT, Context, Descriptor, Error, ErrorKind, History, ImageConfig, MANIFEST_LIMIT, Result, parse_index,
    parse_manifest,
};

use crate::layer::{BlobSource, Layer, LayerSource};
use crate::result::{Artifact, Built, Existing};

/// Takes an image apart, so that it can be assembled anew with other layers or another configuration.
///
/// What cannot survive that is left out with a warning: attestations and referrers, which are about
/// digests that change, and the annotations of an index.
///
/// # Errors
/// Documents that are missing or not what their descriptors say;
/// [`Unsupported`](ErrorKind::Unsupported) for what is not an image, and for indexes within indexes.
pub fn take_apart(existing: &Existing, progress: &Progress) -> Result<Built> {
    let root = &existing.root;
    if !existing.referrers.is_empty() {
        progress.warn(format!("{}: what refers to it is left out, as its digest changes", root.digest));
    }
    let apart = || -> Result<Built> {
        if !root.media_type.is_index() {
            return artifact(existing, root).map(Built::Single);
        }
        let index = parse_index(root, &read(existing.provider.as_ref(), root, MANIFEST_LIMIT)?)?;
        if !index.annotations.is_empty() {
            progress.warn(format!("{}: the annotations of the index are left out", root.digest));
        }
        let mut platforms = IndexMap::new();
        for child in &index.manifests {
            let is_attestation = child.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
            if is_attestation {
                progress.warn(format!("{}: attestation {} is left out", root.digest, child.digest));
                continue;
            }
            let artifact = match artifact(existing, child) {
                Err(error) if error.kind() == ErrorKind::NotFound && index.manifests.len() > 1 => {
                    progress.warn(format!("{}: manifest {} is not there and left out", root.digest, child.digest));
                    continue;
                }
                artifact => artifact?,
            };
            let platform = child.platform.clone().map_or_else(|| artifact.config.platform(), Ok)?;
            platforms.insert(platform, artifact);
        }
        if platforms.is_empty() && !index.manifests.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "none of its manifests is there"));
        }
        Ok(Built::Platforms(platforms))
    };
    let built = apart();
    built.attempt(|| format!("cannot take image {} apart", root.digest))
}

fn artifact(existing: &Existing, descriptor: &Descriptor) -> Result<Artifact> {
    let unsupported = |what: String| Err(Error::new(ErrorKind::Unsupported, what));
    if !descriptor.media_type.is_manifest() {
        return unsupported(format!("{} is a `{}`, not a manifest", descriptor.digest, descriptor.media_type));
    }
    let provider = existing.provider.as_ref();
    let manifest = parse_manifest(descriptor, &read(provider, descriptor, MANIFEST_LIMIT)?)?;
    if !manifest.config.media_type.is_config() {
        return unsupported(format!("{} is an artifact, not an image", descriptor.digest));
    }
    let config = ImageConfig::parse(&read(provider, &manifest.config, CONFIG_LIMIT)?)?;
    let diff_ids = config.diff_ids()?;
    if diff_ids.len() != manifest.layers.len() {
        let (layers, listed) = (manifest.layers.len(), diff_ids.len());
        return Err(Error::input(format!("{} has {layers} layers, but its config lists {listed}", descriptor.digest)));
    }
    let layer = |(descriptor, diff_id)| {
        let source = BlobSource { descriptor, diff_id, provider: existing.provider.clone() };
        Arc::new(Layer { source: LayerSource::Blob(source), history: History::default() })
    };
    let layers = manifest.layers.into_iter().zip(diff_ids).map(layer).collect();
    Ok(Artifact { layers, base: Some(config.clone()), config, annotations: manifest.annotations })
}
