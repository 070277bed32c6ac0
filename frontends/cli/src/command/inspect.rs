//! `longshore inspect`.

use anyhow::Result;
use indicatif::HumanBytes;
use longshore_core::image::{
    Detail, InspectedLayer, InspectedManifest, Inspection, as_existing, inspect as inspect_one,
};
use longshore_core::oci::Descriptor;
use longshore_core::{Error, ErrorKind, Existing, FrontendRegistry, Image, ImageContent, Source, Work};
use serde_json::json;

use super::{meant, sources, work};
use crate::args::{InspectArgs, ProgressStyle};
use crate::stdout;
use crate::store_root::StoreRoot;

pub(crate) fn inspect(args: &InspectArgs, root: &StoreRoot, frontends: &FrontendRegistry) -> Result<()> {
    stdout::check()?;
    // So that waiting for a registry is reported.
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let images = open(&Source::parse(&args.source)?, root, frontends, &work)?;
    let detail = if args.files { Detail::Files } else { Detail::Documents };
    let inspected = images.iter().map(|(image, existing)| Ok((names(image), inspect_one(existing, detail, &work)?)));
    let inspected = inspected.collect::<Result<Vec<_>, Error>>()?;
    if args.json {
        let json = |(names, found): &(Vec<String>, Inspection)| json!({"names": names, "image": found});
        let all: Vec<_> = inspected.iter().map(json).collect();
        return Ok(stdout::print(serde_json::to_string_pretty(&all)? + "\n")?);
    }
    Ok(stdout::print(inspected.iter().map(|(names, found)| text(names, found)).collect::<String>())?)
}

/// Returns the images of a source, which must be complete.
pub(super) fn open(
    source: &Source,
    root: &StoreRoot,
    frontends: &FrontendRegistry,
    work: &Work,
) -> Result<Vec<(Image, Existing)>, Error> {
    let text = || match source.value.as_str() {
        "" => source.scheme.clone(),
        value => format!("{}:{value}", source.scheme),
    };
    let known = frontends.info(&source.scheme).map_err(|error| meant::source(&text(), error));
    let instance = known.and_then(|_| frontends.resolve(source))?;
    let cx = sources::context(frontends, root, work);
    let images = instance.build(&cx)?.into_iter().map(|image| {
        let existing = match &image.content {
            ImageContent::Existing(existing) => Some(existing.clone()),
            ImageContent::Built(built) => as_existing(built)?,
        };
        let unknown = || {
            Error::new(ErrorKind::Unsupported, format!("{}:{} is not an image yet", source.scheme, source.value))
                .with_hint("export it first, for example with -o type=oci,dest=app.tar")
        };
        Ok((image, existing.ok_or_else(unknown)?))
    });
    images.collect()
}

pub(super) fn names(image: &Image) -> Vec<String> {
    image.names.iter().map(ToString::to_string).collect()
}

fn text(names: &[String], found: &Inspection) -> String {
    let mut lines = vec![match names {
        [] => "image without a name".to_owned(),
        names => format!("image {}", names.join(", ")),
    }];
    lines.push(format!("  {}  {}", found.root.digest, found.root.media_type));
    found.manifests.iter().for_each(|manifest| lines.extend(manifest_lines(manifest)));
    lines.extend(found.missing.iter().map(|missing| format!("  {}", not_there(missing))));
    lines.join("\n") + "\n"
}

/// Returns the line for a missing manifest listed by an index.
pub(super) fn not_there(missing: &Descriptor) -> String {
    let what = missing.platform.as_ref().map_or_else(|| missing.media_type.to_string(), ToString::to_string);
    format!("{what}  {} is missing", missing.digest)
}

fn manifest_lines(manifest: &InspectedManifest) -> Vec<String> {
    let what = manifest.platform.as_ref().map_or_else(|| "artifact".to_owned(), ToString::to_string);
    let mut lines = vec![format!("  {what}  {}", manifest.digest), format!("    config {}", manifest.config.digest)];
    if let Some(image) = &manifest.image {
        if let Ok(Some(created)) = image.created() {
            lines.push(format!("      created {created}"));
        }
        let run = image.run_config().unwrap_or_default();
        for key in ["Entrypoint", "Cmd", "User", "WorkingDir", "Env", "ExposedPorts", "Volumes", "Labels"] {
            if let Ok(Some(value)) = run.get::<serde_json::Value>(key) {
                lines.push(format!("      {key} {value}"));
            }
        }
    }
    manifest.layers.iter().for_each(|layer| lines.extend(layer_lines(layer)));
    lines
}

fn layer_lines(layer: &InspectedLayer) -> Vec<String> {
    let media_type = &layer.media_type;
    let compression = media_type.layer_compression().map_or_else(|| media_type.to_string(), |a| a.to_string());
    let mut line = format!("    layer {}  {} {compression}", layer.digest, HumanBytes(layer.size));
    let Some(contents) = &layer.contents else { return vec![line] };
    line += &format!(", {} files of {}", contents.files, HumanBytes(contents.content));
    let biggest = contents.biggest.iter();
    let biggest = biggest.map(|file| format!("      {:>10}  {}", HumanBytes(file.size).to_string(), file.path));
    [line].into_iter().chain(biggest).collect()
}
