//! Describes what an image export would write, for display.

use std::sync::Arc;

use longshore_oci::{Digest, ImageName, Result};

use super::{ImageOptions, Route, routes};
use crate::context::Run;
use crate::epoch::Epoch;
use crate::layer::{Layer, LayerSource};
use crate::result::{Artifact, BuildResult, ImageContent};

/// Returns one line per image and layer: names, platform, the configuration if unchanged, and the sources of
/// the layers. It reads nothing.
///
/// # Errors
/// Options that do not fit `result`.
pub fn plan(result: &BuildResult, options: &ImageOptions, run: Run) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (image, names) in result.images.iter().zip(options.names(result)?) {
        let title = title(&names, &options.tags(image));
        match &image.content {
            ImageContent::Built(built) => {
                for artifact in built.artifacts() {
                    lines.push(format!("image {title} for {}", artifact.effective_config().platform()?));
                    let epoch = result.epoch_of(image, artifact)?;
                    if artifact.is_untouched() && options.epoch(artifact, epoch).is_none() {
                        lines.push(format!("  config {}", Digest::of(&artifact.config.to_bytes()?)));
                    }
                    lines.extend(layers(artifact, options, epoch, run)?);
                }
            }
            ImageContent::Existing(existing) => {
                let how = if options.changes_bytes(existing) { "assembled anew" } else { "as it is" };
                lines.push(format!("image {title}: {}, {how}", existing.root.digest));
            }
        }
    }
    Ok(lines)
}

fn title(names: &[ImageName], tags: &[String]) -> String {
    if names.is_empty() && tags.is_empty() {
        return "without a name".to_owned();
    }
    let tags = tags.iter().map(|tag| format!("tag {}", tag.escape_debug()));
    names.iter().map(ToString::to_string).chain(tags).collect::<Vec<_>>().join(", ")
}

fn layers(artifact: &Artifact, options: &ImageOptions, epoch: Option<Epoch>, run: Run) -> Result<Vec<String>> {
    let line = |(layer, route): (&Arc<Layer>, Result<Route>)| -> Result<String> {
        let route = route?;
        let size = match (&layer.source, route) {
            (LayerSource::Blob(source), Route::Keep) => Some(source.descriptor.size),
            (_, Route::Pass) => layer.plain().map(|(plain, _)| plain.size),
            _ => None,
        };
        let size = size.map(|size| format!(", {size} bytes")).unwrap_or_default();
        Ok(format!("  layer {}: {route}{size}", layer.name()))
    };
    routes(artifact, options, epoch, run).map(line).collect()
}
