//! Files for programs: `--metadata-file` and `--iidfile`.

use std::path::Path;

use longshore_core::content::check_parent;
use longshore_core::{
    BuildResult, Context, Error, ExportedImage, FileSink, ResolvedSession, Response, Result, check_stdout,
};
use serde_json::{Map, Value, json};

use crate::args::ExportArgs;
use crate::stdout;

/// Fails before the build if the files cannot be written to their paths, or would have nothing in them.
pub(super) fn check_paths(args: &ExportArgs, resolved: &ResolvedSession) -> Result<()> {
    if args.iidfile.is_some() && !resolved.holds_images() {
        return Err(no_image());
    }
    let mut on_stdout = Vec::from_iter(resolved.writes_to_stdout().then_some("an output"));
    for (flag, path) in [("--metadata-file", &args.metadata_file), ("--iidfile", &args.iidfile)] {
        let Some(path) = path else { continue };
        if is_stdout(path) {
            on_stdout.push(flag);
        } else if path.is_dir() {
            return Err(Error::option(format!("{} is a directory, not a file to write", path.display())));
        } else {
            let checked = check_parent(path).attempt(|| format!("cannot write {}", path.display()));
            checked.attempt(|| format!("cannot use {flag}"))?;
        }
    }
    match on_stdout[..] {
        [] | ["an output"] => Ok(()),
        [flag] => check_stdout().attempt(|| format!("cannot use {flag}")),
        _ => Err(Error::option(format!("{} write to standard output", on_stdout.join(" and ")))
            .with_hint("give each its own file")),
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Fails before the export if the files cannot contain what was requested.
pub(super) fn check(args: &ExportArgs, result: &BuildResult) -> Result<()> {
    if args.iidfile.is_some() && result.images.len() != 1 {
        return Err(Error::option(format!("--iidfile: there are {} images", result.images.len()))
            .with_hint("--metadata-file has the digests of each"));
    }
    Ok(())
}

/// Writes the requested files, each atomically.
pub(super) fn write_files(args: &ExportArgs, responses: &[Response]) -> Result<()> {
    write_metadata(args, responses)?;
    if let Some(path) = &args.iidfile {
        write(path, image_id(responses)?.as_bytes())?;
    }
    Ok(())
}

/// Writes what was published before a run failed, if that is anything and was asked for.
pub(super) fn write_published(args: &ExportArgs, published: &[Response]) -> Result<()> {
    if published.is_empty() { Ok(()) } else { write_metadata(args, published) }
}

fn write_metadata(args: &ExportArgs, responses: &[Response]) -> Result<()> {
    if let Some(path) = &args.metadata_file {
        let text = serde_json::to_vec_pretty(&metadata(responses))
            .map_err(|error| Error::input("cannot write metadata as JSON").with_source(error))?;
        write(path, &text)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) {
        return stdout::print([bytes, b"\n"].concat());
    }
    let filled = FileSink::path(path)?.fill(|out| Ok(out.write_all(bytes)?));
    filled.and_then(|filled| filled.publish()).attempt(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Returns BuildKit's flat map, as far as the outputs agree on it, and the response of each output.
fn metadata(responses: &[Response]) -> Value {
    // Outputs of files hold no image.
    let maps =
        responses.iter().filter(|response| !response.images.is_empty()).map(|response| match &response.images[..] {
            [image] => flat(image),
            _ => Map::new(),
        });
    let agreed = maps.reduce(|mut agreed, map| {
        agreed.retain(|key, value| map.get(key) == Some(value));
        agreed
    });
    let mut metadata = agreed.unwrap_or_default();
    metadata.insert("longshore.outputs".to_owned(), json!(responses));
    Value::Object(metadata)
}

fn flat(image: &ExportedImage) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some(config) = &image.config {
        map.insert("containerimage.config.digest".to_owned(), json!(config));
    }
    map.insert("containerimage.descriptor".to_owned(), json!(image.root));
    map.insert("containerimage.digest".to_owned(), json!(image.root.digest));
    if !image.names.is_empty() {
        map.insert("image.name".to_owned(), json!(image.names.join(",")));
    }
    map
}

/// Returns the digest of the configuration, or of the index of a multi-platform image.
fn image_id(responses: &[Response]) -> Result<String> {
    let mut ids: Vec<String> = Vec::new();
    for image in responses.iter().flat_map(|response| &response.images) {
        let id = image.config.as_ref().unwrap_or(&image.root.digest).to_string();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    match &ids[..] {
        [id] => Ok(id.clone()),
        [] => Err(no_image()),
        ids => Err(Error::option(format!("--iidfile: the outputs hold {} different images", ids.len()))
            .with_hint("--metadata-file has the digests of each")),
    }
}

fn no_image() -> Error {
    Error::option("--iidfile: the outputs hold files, no image")
        .with_hint("add an output of an image, such as type=oci,dest=FILE")
}
