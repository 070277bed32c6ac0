//! Docker's `manifest.json`: which configuration and layers each image has.

use longshore_core::image::{AssembledImage, NamedImage};
use longshore_core::oci::{Descriptor, MANIFEST_LIMIT, Platform, json, parse_index, parse_manifest};
use longshore_core::{BuildResult, Built, Error, ErrorKind, ImageContent, Result};
use serde::Serialize;

use crate::options::DockerOptions;

/// An image in `manifest.json`, in the field order of Go's struct.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    /// `null` for an image without tags, as containerd writes it.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The bytes of `manifest.json` for `images`.
pub(crate) fn document(images: &[NamedImage<'_>], options: &DockerOptions) -> Result<Vec<u8>> {
    let items: Vec<Item> = images.iter().map(|named| item(named, options)).collect::<Result<_>>()?;
    json::compact(&items)
}

/// Fails early for images that are made for other platforms than the one that Docker is to see.
pub(crate) fn check_platforms(result: &BuildResult, options: &DockerOptions) -> Result<()> {
    let wanted = options.platform();
    for image in &result.images {
        if let ImageContent::Built(Built::Platforms(platforms)) = &image.content
            && !platforms.keys().any(|platform| platform.matches(&wanted))
        {
            return Err(missing(&wanted, platforms.keys()));
        }
    }
    Ok(())
}

fn item(NamedImage { image, names }: &NamedImage<'_>, options: &DockerOptions) -> Result<Item> {
    let descriptor = manifest_of(image, options)?;
    let manifest = parse_manifest(&descriptor, &image.read(&descriptor.digest, MANIFEST_LIMIT)?)?;
    if !manifest.config.media_type.is_config() {
        let message = format!("{} is an artifact, which Docker cannot load", descriptor.digest);
        return Err(Error::new(ErrorKind::Unsupported, message).with_hint("type=oci holds artifacts too"));
    }
    // A name by digest is no tag: Docker refuses the whole archive for one.
    let tags: Vec<String> = names.iter().filter(|name| name.digest().is_none()).map(|name| name.familiar()).collect();
    Ok(Item {
        config: manifest.config.digest.layout_path(),
        repo_tags: if tags.is_empty() { None } else { Some(tags) },
        layers: manifest.layers.iter().map(|layer| layer.digest.layout_path()).collect(),
    })
}

/// The manifest that Docker sees of an image.
fn manifest_of(image: &AssembledImage<'_>, options: &DockerOptions) -> Result<Descriptor> {
    let root = &image.root;
    if !root.media_type.is_index() {
        return Ok(root.clone());
    }
    let index = parse_index(root, &image.read(&root.digest, MANIFEST_LIMIT)?)?;
    let wanted = options.platform();
    let matches = |child: &&Descriptor| child.platform.as_ref().is_some_and(|platform| platform.matches(&wanted));
    let child = index.manifests.iter().find(matches).cloned();
    child.ok_or_else(|| missing(&wanted, index.manifests.iter().filter_map(|child| child.platform.as_ref())))
}

fn missing<'a>(wanted: &Platform, present: impl Iterator<Item = &'a Platform>) -> Error {
    let present: Vec<String> = present.map(ToString::to_string).collect();
    Error::new(ErrorKind::NotFound, format!("no image for {wanted}, the platform that Docker is to see"))
        .with_hint(format!("set platform= to one of {}", present.join(", ")))
}
