//! What an export of images would write, for people.

use std::sync::Arc;

use longshore_oci::{Digest, ImageName, Result};

use super::ImageOptions;
use crate::compression::{Algorithm, Encoding};
use crate::layer::{Layer, LayerSource};
use crate::result::{Artifact, BuildResult, ImageContent};

/// One line an image and a layer: its names, its platform, its configuration if nothing changes it, what its
/// layers are made of. It reads nothing.
///
/// # Errors
/// Options that do not fit to `result`.
pub fn plan(result: &BuildResult, options: &ImageOptions) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (image, names) in result.images.iter().zip(options.names(result)?) {
        match &image.content {
            ImageContent::Built(built) => {
                for artifact in built.artifacts() {
                    lines.push(format!("image {} for {}", title(&names), artifact.config.platform()?));
                    if artifact.is_untouched() && options.epoch(artifact, None).is_none() {
                        lines.push(format!("  config {}", Digest::of(&artifact.config.to_bytes()?)));
                    }
                    lines.extend(layers(artifact, options)?);
                }
            }
            ImageContent::Existing(existing) => {
                let how = if options.changes_bytes(existing) { "assembled anew" } else { "as it is" };
                lines.push(format!("image {}: {}, {how}", title(&names), existing.root.digest));
            }
        }
    }
    Ok(lines)
}

fn title(names: &[ImageName]) -> String {
    if names.is_empty() {
        return "without a name".to_owned();
    }
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn layers(artifact: &Artifact, options: &ImageOptions) -> Result<Vec<String>> {
    let encoding = options.encoding()?;
    let line = |layer: &Arc<Layer>| format!("  layer {}: {}", layer.name(), how(layer, options, encoding));
    Ok(artifact.layers.iter().map(line).collect())
}

fn how(layer: &Layer, options: &ImageOptions, encoding: Encoding) -> String {
    match &layer.source {
        LayerSource::Blob(source) if !options.recompresses() => format!("as it is, {} bytes", source.descriptor.size),
        _ => match layer.plain() {
            Some((plain, _)) if encoding.algorithm() == Algorithm::Uncompressed => {
                format!("{encoding}, {} bytes", plain.size)
            }
            _ => encoding.to_string(),
        },
    }
}
