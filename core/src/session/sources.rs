//! Directories that are exported, checked against what is written.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_oci::{Error, Result};

use super::targets::Target;
use crate::layer::{DirSource, LayerSource};
use crate::result::{BuildResult, ImageContent};
use crate::tree::Patterns;

/// Refuses an output that would be written into a directory that is exported: what is in it would depend
/// on how far the output has come.
pub(super) fn check_outside(result: &BuildResult, target: &Target) -> Result<()> {
    let Some(place) = target.scratch() else { return Ok(()) };
    for source in directories(result) {
        let Ok(root) = source.path.canonicalize() else { continue };
        let Ok(within) = place.strip_prefix(&root) else { continue };
        if !is_excluded(&source.rules.excludes, within) {
            let message = format!("{target} is written inside of {}, which is exported", source.path.display());
            let error = Error::option(message);
            return Err(error.with_hint("write it elsewhere, or into a directory that --exclude leaves out"));
        }
    }
    Ok(())
}

fn directories(result: &BuildResult) -> impl Iterator<Item = &DirSource> {
    let built = result.images.iter().filter_map(|image| match &image.content {
        ImageContent::Built(built) => Some(built),
        ImageContent::Existing(_) => None,
    });
    let layers = built.flat_map(|built| built.artifacts()).flat_map(|artifact| &artifact.layers);
    layers.filter_map(|layer| match &layer.source {
        LayerSource::Dir(source) => Some(source),
        LayerSource::Tar(_) | LayerSource::Blob(_) => None,
    })
}

fn is_excluded(excludes: &Patterns, within: &Path) -> bool {
    let mut matched = excludes.root();
    let mut path: Vec<u8> = Vec::new();
    for part in within {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(part.as_bytes());
        matched = excludes.enter(&matched, &path);
    }
    matched.is_excluded()
}
