//! An image as text.

use indicatif::HumanBytes;
use longshore_core::image::{InspectedLayer, InspectedManifest, Inspection};
use longshore_core::oci::{Descriptor, ImageConfig};

use crate::steps::{Step, steps};

/// How much of a command is shown.
const COMMAND: usize = 96;

pub(super) fn text(names: &[String], found: &Inspection) -> String {
    let mut lines = vec![match names {
        [] => "image without a name".to_owned(),
        names => format!("image {}", names.join(", ")),
    }];
    lines.push(format!("  {}  {}", found.root.digest, found.root.media_type));
    found.manifests.iter().for_each(|manifest| lines.extend(manifest_lines(manifest, &found.root)));
    lines.extend(found.missing.iter().map(|missing| format!("  {}", super::not_there(missing))));
    lines.join("\n") + "\n"
}

fn manifest_lines(manifest: &InspectedManifest, root: &Descriptor) -> Vec<String> {
    let what = manifest.platform.as_ref().map_or_else(|| "artifact".to_owned(), ToString::to_string);
    let digest = if manifest.digest == root.digest { String::new() } else { format!("  {}", manifest.digest) };
    let size = manifest.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
    let layers = counted(manifest.layers.len() as u64, "layer", "layers");
    let mut lines = vec![
        format!("  {what}{digest}  {layers}, {}", HumanBytes(size)),
        format!("    config {}", manifest.config.digest),
    ];
    let made = manifest.image.as_ref().map(|image| steps(image, manifest.layers.len()));
    if let Some(image) = &manifest.image {
        lines.extend(config_lines(image));
    }
    match made {
        Some(Ok(made)) => made.iter().for_each(|step| lines.extend(step_lines(step, &manifest.layers))),
        _ => {
            let numbered = manifest.layers.iter().enumerate();
            numbered.for_each(|(at, layer)| lines.extend(layer_lines(at, layer)));
        }
    }
    lines
}

fn config_lines(image: &ImageConfig) -> Vec<String> {
    let mut lines = Vec::new();
    if let Ok(Some(created)) = image.created() {
        lines.push(format!("      created {created}"));
    }
    let run = image.run_config().unwrap_or_default();
    let keys = ["Entrypoint", "Cmd", "User", "WorkingDir", "Env", "ExposedPorts", "Volumes", "Labels", "StopSignal"];
    for key in keys.into_iter().chain(["Healthcheck", "OnBuild", "Shell"]) {
        if let Ok(Some(value)) = run.get::<serde_json::Value>(key) {
            lines.push(format!("      {key} {value}"));
        }
    }
    lines
}

fn step_lines(step: &Step, layers: &[InspectedLayer]) -> Vec<String> {
    let command = match step.command.char_indices().nth(COMMAND) {
        Some((at, _)) => format!("{}…", &step.command[..at]),
        None => step.command.clone(),
    };
    match step.layer.and_then(|at| Some((at, layers.get(at)?))) {
        Some((at, layer)) => {
            let mut lines = layer_lines(at, layer);
            if !command.is_empty() {
                lines.insert(1, format!("        {command}"));
            }
            lines
        }
        None if command.is_empty() => Vec::new(),
        None => vec![format!("    step  {command}")],
    }
}

fn layer_lines(at: usize, layer: &InspectedLayer) -> Vec<String> {
    let media_type = &layer.media_type;
    let compression = media_type.layer_compression().map_or_else(|| media_type.to_string(), |a| a.to_string());
    let mut line = format!("    layer {}  {}  {} {compression}", at + 1, layer.digest, HumanBytes(layer.size));
    let Some(contents) = &layer.contents else { return vec![line] };
    line += &format!(", {} of {}", counted(contents.files, "file", "files"), HumanBytes(contents.content));
    if contents.directories > 0 {
        line += &format!(", {}", counted(contents.directories, "directory", "directories"));
    }
    let biggest = contents.biggest.iter();
    let biggest = biggest.map(|file| format!("      {:>10}  {}", HumanBytes(file.size).to_string(), file.path));
    [line].into_iter().chain(biggest).collect()
}

/// Returns a count with its noun.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
