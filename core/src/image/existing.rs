//! An existing image, as layers and configurations.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, History, ImageConfig, Platform, Result};

use super::{Graph, GraphEntry};
use crate::layer::{BlobSource, Layer, LayerSource};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// Takes an image apart, so that it can be reassembled with other layers or another configuration.
///
/// Indexes within indexes become one. Attestations come with the artifacts that they are about. What cannot survive is
/// skipped with a warning: other artifacts, referrers, which refer to digests that change, and the annotations of indexes.
/// Of several images for one platform the first is kept, and a warning names both.
///
/// # Errors
/// Documents that are missing or do not match their descriptors;
/// [`Unsupported`](ErrorKind::Unsupported) for anything that is not an image.
pub fn take_apart(existing: &Existing, work: &Work) -> Result<Built> {
    let (built, annotations) = parts(existing, work)?;
    say_referrers_are_lost(existing, work);
    if !annotations.is_empty() {
        work.progress.warn(format!("{0}: the annotations of index {0} are left out", existing.root.digest));
    }
    Ok(built)
}

/// Replaces an existing image by its parts, like [`take_apart`], with the annotations of its index.
pub(crate) fn take_apart_in_place(image: &mut Image, work: &Work) -> Result<()> {
    if let ImageContent::Existing(existing) = &image.content {
        let (built, annotations) = parts(existing, work)?;
        say_referrers_are_lost(existing, work);
        image.content = ImageContent::Built(built);
        let own = std::mem::replace(&mut image.index_annotations, annotations);
        image.index_annotations.extend(own);
    }
    Ok(())
}

/// Warns of the referrers of an image, if it has any.
pub(super) fn say_referrers_are_lost(existing: &Existing, work: &Work) {
    if !existing.referrers.is_empty() {
        work.progress.warn(format!("{}: its referrers are left out, as its digest changes", existing.root.digest));
    }
}

/// Like [`take_apart`], but without a word about referrers; also returns the annotations of the root, if it is an index.
pub(super) fn parts(existing: &Existing, work: &Work) -> Result<(Built, BTreeMap<String, String>)> {
    let root = &existing.root;
    let graph = Graph::of(existing, work);
    let parts = match root.media_type.is_index() {
        true => {
            platforms(existing, &graph, work).map(|(platforms, annotations)| (Built::Platforms(platforms), annotations))
        }
        false => artifact(existing, &graph, root).map(|artifact| (Built::Single(artifact), BTreeMap::new())),
    };
    parts.attempt(|| format!("cannot take image {} apart", root.digest))
}

/// Returns the images in an existing one, each with its platform, in order; attestations and other artifacts are no images.
///
/// # Errors
/// As [`take_apart`].
pub(crate) fn images_of(existing: &Existing, work: &Work) -> Result<Vec<(Platform, Artifact)>> {
    let read = || {
        let mut images = Vec::new();
        for entry in Graph::of(existing, work).entries()?.present.iter().filter(|entry| entry.is_image()) {
            let Some(config) = &entry.config else { continue };
            let platform = entry.platform().map_or_else(|| config.platform(), Ok)?;
            images.push((platform, artifact_of(existing, entry, config)?));
        }
        if images.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "it has only attestations and artifacts, no image"));
        }
        Ok(images)
    };
    let images = read();
    images.attempt(|| format!("cannot read image {}", existing.root.digest))
}

type Platforms = IndexMap<Platform, Artifact>;

fn platforms(existing: &Existing, graph: &Graph<'_>, work: &Work) -> Result<(Platforms, BTreeMap<String, String>)> {
    let root = &existing.root.digest;
    let warn = |message: String| work.progress.warn(format!("{root}: {message}"));
    let entries = graph.entries()?;
    let (of_root, below): (Vec<_>, Vec<_>) = entries.annotated.into_iter().partition(|(index, _)| index == root);
    for (index, _) in below {
        warn(format!("the annotations of index {index} are left out"));
    }
    entries.missing.iter().for_each(|missing| warn(format!("skipped manifest {}: not found", missing.digest)));
    let (attestations, others): (Vec<_>, Vec<_>) = entries.present.iter().partition(|entry| entry.is_attestation());
    let mut about: Vec<&Descriptor> = attestations.into_iter().map(|entry| &entry.descriptor).collect();
    let mut platforms = Platforms::new();
    let mut kept: Vec<(Platform, &Digest)> = Vec::new();
    for entry in others {
        let digest = &entry.descriptor.digest;
        let Some(config) = entry.config.as_ref().filter(|_| entry.is_image()) else {
            warn(format!("skipped artifact {digest}: not an image"));
            continue;
        };
        let platform = entry.platform().map_or_else(|| config.platform(), Ok)?;
        let normal = platform.normal();
        if let Some((_, first)) = kept.iter().find(|(known, _)| *known == normal) {
            warn(format!("skipped {digest}: the index already lists {first} for {platform}"));
            continue;
        }
        kept.push((normal, digest));
        let of_image = |listed: &mut &Descriptor| Graph::reference(listed) == Some(&digest.to_string());
        let attestations = about.extract_if(.., of_image).cloned().collect();
        let artifact = artifact_of(existing, entry, config)?.attested(existing, &entry.descriptor, attestations);
        platforms.insert(platform, artifact);
    }
    for Descriptor { digest, .. } in about {
        warn(format!("skipped attestation {digest}: it is about no image that is kept"));
    }
    if platforms.is_empty() && !entries.present.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "it lists only attestations and artifacts, no image"));
    }
    Ok((platforms, of_root.into_iter().flat_map(|(_, annotations)| annotations).collect()))
}

/// Returns the artifact for one manifest of an image.
pub(super) fn artifact(existing: &Existing, graph: &Graph<'_>, descriptor: &Descriptor) -> Result<Artifact> {
    let (entry, config) = graph.image(descriptor)?;
    artifact_of(existing, &entry, &config)
}

pub(super) fn artifact_of(existing: &Existing, entry: &GraphEntry, config: &ImageConfig) -> Result<Artifact> {
    let GraphEntry { descriptor, manifest, .. } = entry;
    let diff_ids = config.diff_ids()?;
    if diff_ids.len() != manifest.layers.len() {
        let (layers, listed) = (manifest.layers.len(), diff_ids.len());
        return Err(Error::input(format!("{} has {layers} layers, but its config lists {listed}", descriptor.digest)));
    }
    let layer = |(descriptor, diff_id): (&Descriptor, Digest)| {
        let descriptor = descriptor.clone();
        let source = BlobSource { descriptor, diff_id, provider: existing.provider.clone() };
        Arc::new(Layer { source: LayerSource::Blob(source), history: History::default() })
    };
    let layers = manifest.layers.iter().zip(diff_ids).map(layer).collect();
    let config = config.clone();
    Ok(Artifact {
        layers,
        base: Some(config.clone()),
        config,
        annotations: manifest.annotations.clone(),
        descriptor_annotations: descriptor.annotations.clone(),
        taken_from: None,
    })
}
