//! The archive that `docker save` wrote up to Docker 24: a directory for each layer, under the layer's ID
//! of image format v1, with the uncompressed tar stream in it.
//!
//! Its contents and their order are decided in [`plan`], without I/O. The bytes are those of
//! Docker 20.10 wherever Docker itself is deterministic; [`plan`] lists the exceptions.

mod config;
mod json;
mod manifest;
mod plan;
#[cfg(test)]
mod samples;
mod time;
mod v1;

use std::collections::HashMap;

use longshore_core::image::{self, ImageBlob, NamedImage};
use longshore_core::layer::LayerSource;
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, Digest, MANIFEST_LIMIT, parse_manifest};
use longshore_core::{
    Artifact, BuildResult, Built, Bundle, DOCKER_PARENT, Error, ErrorKind, ExportContext, ExportedImage, Image,
    ImageContent, Result,
};

use crate::options::DockerOptions;
use plan::{Content, Record, SavedImage, SavedLayer};

/// Returns the archive of the images of `result`, and their description.
pub(crate) fn bundle<'a>(
    result: &BuildResult,
    options: &DockerOptions,
    cx: &'a ExportContext<'a>,
) -> Result<(Bundle<'a>, Vec<ExportedImage>)> {
    let (narrowed, artifacts) = narrow(result, options, cx)?;
    let (mut saved, mut exported, mut layers) = (Vec::new(), Vec::new(), HashMap::new());
    let assembled = image::assemble_all(&narrowed, &options.image()?, cx)?;
    for ((named, image), artifact) in assembled.into_iter().zip(&result.images).zip(&artifacts) {
        let (image, config) = save(&named, image, artifact)?;
        let names = named.names.iter().map(ToString::to_string).collect();
        exported.push(ExportedImage::new(names, config.clone(), Some(config.digest)));
        saved.push(image);
        layers.extend(named.image.blobs.into_iter().map(|blob| (blob.descriptor.digest.clone(), blob)));
    }
    let size_of = |digest: &Digest| layers.get(digest).map_or(0, |blob| blob.descriptor.size);
    let records = plan::records(&saved, options.symlinks(), &size_of)?;
    Ok((fill(records, &layers)?, exported))
}

/// Fails early for images that cannot be saved, as far as that is known before layers are built.
pub(crate) fn check(result: &BuildResult) -> Result<()> {
    for image in &result.images {
        if let ImageContent::Built(built) = &image.content {
            built.artifacts().into_iter().try_for_each(check_artifact)?;
        }
    }
    Ok(())
}

fn check_artifact(artifact: &Artifact) -> Result<()> {
    if artifact.layers.is_empty() {
        return Err(plan::no_layers());
    }
    config::V1Image::parse(&artifact.config.to_bytes()?).map(drop)
}

/// Returns each image for one platform, without manifests, which this format lacks.
fn narrow(
    result: &BuildResult,
    options: &DockerOptions,
    cx: &ExportContext<'_>,
) -> Result<(BuildResult, Vec<Artifact>)> {
    let artifact = |image: &Image| image::artifact_for(image, &options.platform(), cx.work());
    let artifacts: Vec<Artifact> = result.images.iter().map(artifact).collect::<Result<_>>()?;
    artifacts.iter().try_for_each(check_artifact)?;
    if result.images.iter().any(|image| !image.attestations.is_empty()) {
        cx.work().progress.warn("format=legacy has no manifests: attestations are left out");
    }
    let images = result.images.iter().zip(&artifacts).map(|(image, artifact)| {
        let content = ImageContent::Built(Built::Single(artifact.clone()));
        let mut narrowed = Image::new(content).with_names(image.names.clone());
        narrowed.metadata.clone_from(&image.metadata);
        narrowed
    });
    Ok((BuildResult::new(images.collect()).with_epoch(result.epoch), artifacts))
}

/// Returns the saved parts of an image, and its configuration.
fn save(named: &NamedImage<'_>, image: &Image, artifact: &Artifact) -> Result<(SavedImage, Descriptor)> {
    let root = &named.image.root;
    let manifest = parse_manifest(root, &named.image.read(&root.digest, MANIFEST_LIMIT)?)?;
    let layers = manifest.layers.iter().zip(&artifact.layers).map(|(descriptor, layer)| {
        let foreign = match &layer.source {
            LayerSource::Blob(source) if source.descriptor.media_type.is_not_distributable() => {
                Some(source.descriptor.clone()).filter(|foreign| !foreign.urls.is_empty())
            }
            _ => None,
        };
        SavedLayer { diff_id: descriptor.digest.clone(), foreign }
    });
    let parent = image.metadata.get(DOCKER_PARENT).map(|parent| String::from_utf8_lossy(parent).parse());
    let saved = SavedImage {
        config: named.image.read(&manifest.config.digest, CONFIG_LIMIT)?,
        names: named.names.clone(),
        layers: layers.collect(),
        parent: parent.transpose()?,
    };
    Ok((saved, manifest.config))
}

fn fill<'a>(records: Vec<Record>, layers: &HashMap<Digest, ImageBlob<'a>>) -> Result<Bundle<'a>> {
    let mut bundle = Bundle::default();
    for Record { entry, content } in records {
        match content {
            Content::Nothing => bundle.add(entry),
            Content::Bytes(bytes) => bundle.add_document(entry, bytes),
            Content::Layer(diff_id) => bundle.add_blob(entry, blob(&diff_id, layers)?),
        }
    }
    Ok(bundle)
}

fn blob<'a>(diff_id: &Digest, layers: &HashMap<Digest, ImageBlob<'a>>) -> Result<ImageBlob<'a>> {
    let unknown = || Error::new(ErrorKind::Other, format!("layer {diff_id} was planned and not made"));
    layers.get(diff_id).cloned().ok_or_else(unknown)
}
