//! The data of the page of an image.

use std::path::Path;

use longshore_core::archive::EntryKind;
use longshore_core::image::Graph;
use longshore_core::oci::Platform;
use longshore_core::{Existing, Image, Result, Work};
use serde_json::{Value, json};

use super::documents;
use crate::contents::{Contents, Fate};
use crate::page;
use crate::steps::steps;

/// How many files with several paths are listed.
const DUPLICATES: usize = 200;

/// Writes the page of an image for one platform, and opens it in the browser if that is asked for.
///
/// # Errors
/// Layers that cannot be read; a path that cannot be written.
pub(super) fn write(
    path: &Path,
    opens: bool,
    image: &Image,
    existing: &Existing,
    wanted: Option<&Platform>,
    work: &Work,
) -> Result<()> {
    page::check(path)?;
    let data = data(image, existing, wanted, work)?;
    page::put(path, data["title"].as_str().unwrap_or("image"), &data)?;
    if opens {
        page::open(path);
    }
    Ok(())
}

fn data(image: &Image, existing: &Existing, wanted: Option<&Platform>, work: &Work) -> Result<Value> {
    let platform = documents::platform(existing, wanted, work)?;
    let graph = Graph::of(existing, work);
    let descriptor = graph.platform(&platform)?;
    let (entry, config) = graph.image(&descriptor)?;
    let contents = Contents::read(existing, &platform, work)?;
    let files = contents.files.iter().filter(|file| file.kind != EntryKind::Directory).map(|file| {
        let fate = match file.fate {
            Fate::Stays => 0,
            Fate::Replaced => 1,
            Fate::Deleted => 2,
        };
        json!([file.path, file.size, file.layer, fate, file.kind.to_string()])
    });
    let files: Vec<Value> = files.collect();
    let duplicates = contents.duplicates().into_iter().take(DUPLICATES).map(|same| {
        let paths: Vec<_> = same.iter().map(|file| &file.path).collect();
        json!({"size": same[0].size, "paths": paths})
    });
    let names: Vec<_> = image.names.iter().map(ToString::to_string).collect();
    let digest = descriptor.digest.to_string();
    let layers: Vec<Value> =
        entry.manifest.layers.iter().map(|layer| json!({"digest": layer.digest, "size": layer.size})).collect();
    Ok(json!({
        "kind": "image",
        "title": if names.is_empty() { digest.clone() } else { names.join(", ") },
        "digest": digest,
        "platform": platform.to_string(),
        "created": config.created()?.map(|created| created.to_string()),
        "config": config.run_config()?,
        "steps": steps(&config, layers.len())?,
        "layers": layers,
        "files": files,
        "waste": contents.waste(),
        "duplicates": duplicates.collect::<Vec<_>>(),
    }))
}
