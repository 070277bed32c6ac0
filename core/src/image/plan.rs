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
        match &image.content {
            ImageContent::Built(built) => {
                for artifact in built.artifacts() {
                    lines.push(format!("image {} for {}", title(&names), artifact.effective_config().platform()?));
                    let epoch = result.epoch_of(image, artifact)?;
                    if artifact.is_untouched() && options.epoch(artifact, epoch).is_none() {
                        lines.push(format!("  config {}", Digest::of(&artifact.config.to_bytes()?)));
                    }
                    lines.extend(layers(artifact, options, epoch, run)?);
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
