//! Docker's `manifest.json`: the configuration and layers of each image.

use longshore_core::image::{GraphEntry, NamedImage, best_platform};
use longshore_core::oci::{Platform, json};
use longshore_core::{BuildResult, Built, Context, Error, ErrorKind, ImageContent, Result, Work};
use serde::Serialize;

use crate::options::DockerOptions;

/// An image in `manifest.json`, in the field order of Go's struct.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Item {
    config: String,
    /// `null` for an image without tags, as containerd writes it.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Returns the bytes of `manifest.json` for `images`.
pub(crate) fn document(images: &[NamedImage<'_>], options: &DockerOptions, work: &Work) -> Result<Vec<u8>> {
    let item = |named: &NamedImage<'_>| {
        let seen = seen(named, options, work)?;
        // A name by digest is not a tag: Docker refuses a whole archive with one.
        let tags = named.names.iter().filter(|name| name.digest().is_none()).map(|name| name.familiar());
        Ok(item(&seen, tags.collect()))
    };
    let items: Vec<Item> = images.iter().map(item).collect::<Result<_>>()?;
    bytes(&items.iter().collect::<Vec<_>>())
}

/// Returns the bytes of `manifest.json` with these items.
pub(crate) fn bytes(items: &[&Item]) -> Result<Vec<u8>> {
    json::compact(&items)
}

/// Fails early for images that are built for other platforms than the one shown to Docker.
pub(crate) fn check_platforms(result: &BuildResult, options: &DockerOptions) -> Result<()> {
    let wanted = options.platform();
    for image in &result.images {
        if let ImageContent::Built(Built::Platforms(platforms)) = &image.content {
            best_platform(&wanted, platforms.keys()).attempt(|| seen_by_docker(&wanted))?;
        }
    }
    Ok(())
}

/// Returns the image that Docker sees: the one of the wanted platform.
pub(crate) fn seen(
    NamedImage { image, .. }: &NamedImage<'_>,
    options: &DockerOptions,
    work: &Work,
) -> Result<GraphEntry> {
    let graph = image.graph(work);
    let root = &image.root;
    let wanted = options.platform();
    let chosen = match root.media_type.is_index() {
        true => graph.platform(&wanted).attempt(|| seen_by_docker(&wanted))?,
        false => root.clone(),
    };
    let entry = graph.entry(&chosen)?;
    if !entry.is_image() {
        let message = format!("{} is an artifact, which Docker cannot load", chosen.digest);
        return Err(Error::new(ErrorKind::Unsupported, message).with_hint("type=oci supports artifacts"));
    }
    Ok(entry)
}

/// Returns the entry of an image in `manifest.json`.
pub(crate) fn item(image: &GraphEntry, tags: Vec<String>) -> Item {
    Item {
        config: image.manifest.config.digest.layout_path(),
        repo_tags: if tags.is_empty() { None } else { Some(tags) },
        layers: image.manifest.layers.iter().map(|layer| layer.digest.layout_path()).collect(),
    }
}

/// Returns the description of the attempt, which names the option because it has a default.
fn seen_by_docker(wanted: &Platform) -> String {
    format!("cannot choose the image that Docker sees (platform={wanted})")
}
