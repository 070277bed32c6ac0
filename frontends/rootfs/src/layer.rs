//! Layers: directories and tar archives.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use longshore_core::archive::Reader;
use longshore_core::compression::decoder;
use longshore_core::layer::{DirSource, FileStream, Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::History;
use longshore_core::tree::Patterns;
use longshore_core::{Context, Progress, Result};

use crate::options::LayerOptions;
use crate::piped::Piped;

/// Returns whether a layer comes on standard input, which can be read once: `-` or `-:DEST`.
pub fn is_piped(text: &str) -> bool {
    text == "-" || text.starts_with("-:/")
}

/// Returns the layer that `PATH[:DEST]` is; a `PATH` that is `-` is a tar archive on standard input, which is read here.
///
/// `DEST` is absolute, so a colon in `PATH` is only taken for the separator where a slash follows it.
///
/// # Errors
/// A path that does not exist, cannot be read, or is neither a directory nor a tar archive; a `DEST` with `..`;
/// standard input that is a terminal, is empty or cannot be read.
pub fn layer(text: &str, options: &LayerOptions, progress: &Progress) -> Result<Layer> {
    let (path, destination) = match text.rfind(":/") {
        Some(at) if is_piped(text) || !Path::new(text).exists() => {
            (&text[..at], Rules::parse_destination(&text[at + 1..])?)
        }
        _ => (text, Vec::new()),
    };
    // Without the path: an image should not reveal where it was built.
    let step = match &*String::from_utf8_lossy(&destination) {
        "" => "layer".to_owned(),
        destination => format!("layer /{destination}"),
    };
    if is_piped(text) {
        let piped = Piped::read().attempt(|| "cannot read a layer from standard input".to_owned())?;
        return archive(piped, "on standard input", step, destination, options);
    }
    let path = Path::new(path);
    let found = path.metadata().attempt(|| format!("cannot read layer {}", path.display()))?;
    match found.is_dir() {
        true => directory(path, step, destination, options, progress),
        false => archive(FileStream::new(path), &path.display().to_string(), step, destination, options),
    }
}

/// Returns a directory as a layer.
pub(crate) fn directory(
    path: &Path,
    step: String,
    destination: Vec<u8>,
    options: &LayerOptions,
    progress: &Progress,
) -> Result<Layer> {
    // Fail here, not after other layers were built.
    fs::read_dir(path).attempt(|| format!("cannot read {}", path.display()))?;
    let mut excludes = dockerignore(path, progress)?;
    excludes.extend(options.excludes());
    let rules = Rules::default().with_owner(options.owner()).with_excludes(excludes).with_destination(destination);
    let source = DirSource::new(path.to_owned(), rules).with_whiteouts(options.whiteouts());
    Ok(Layer::new(LayerSource::Dir(source), history(step)))
}

/// Returns an archive as a layer; `name` is for messages.
pub(crate) fn archive(
    stream: impl TarStream + 'static,
    name: &str,
    step: String,
    destination: Vec<u8>,
    options: &LayerOptions,
) -> Result<Layer> {
    let first = || -> Result<()> { Reader::new(decoder(stream.open()?)?.1).next_entry().map(drop) };
    let readable = first();
    readable.attempt(|| format!("layer {name} is neither a directory nor a tar archive"))?;
    let rules =
        Rules::default().with_owner(options.owner()).with_excludes(options.excludes()).with_destination(destination);
    let source = TarSource::new(Arc::new(stream), rules);
    Ok(Layer::new(LayerSource::Tar(source), history(step)))
}

fn history(step: String) -> History {
    History { created_by: Some(step), comment: Some("longshore".to_owned()), ..History::default() }
}

/// Returns the patterns of the `.dockerignore` at the top of a directory.
fn dockerignore(directory: &Path, progress: &Progress) -> Result<Patterns> {
    let path = directory.join(".dockerignore");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Patterns::default()),
        Err(error) => return Err(error).attempt(|| format!("cannot read {}", path.display())),
    };
    let patterns = Patterns::parse_file(&text).attempt(|| format!("cannot read {}", path.display()))?;
    if !patterns.is_empty() {
        progress.warn(format!("{} applies", path.display()));
    }
    Ok(patterns)
}
