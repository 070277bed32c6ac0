//! Image layouts (image-spec, image-layout.md).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use longshore_core::content::Provider;
use longshore_core::oci::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Digest, ImageName, Index, MediaType, parse_index,
};
use longshore_core::{Context, Error, ErrorKind, Result};
use oci_spec::image::{ImageIndex, OciLayout};

use super::graph::{Graph, hash};
use super::names::is_ref_name;
use super::{Problems, Validated};
use crate::causes::full;

/// Whether a layout may have blobs that its index does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strays {
    Allowed,
    Refused,
}

/// The blobs of a layout. Separate from core's own stores, which are under test.
#[derive(Debug)]
struct Blobs(PathBuf);

impl Provider for Blobs {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let path = self.0.join(digest.layout_path());
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "it is missing"),
            _ => error.into(),
        })?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(file))
    }
}

pub(super) fn check(root: &Path, strays: Strays, problems: &mut Problems) -> Validated {
    version(root, problems);
    leftovers(root, problems);
    let entries = index(root, problems);
    let blobs = Blobs(root.to_owned());
    let names = names(&entries, problems);
    let mut graph = Graph::new(&blobs, problems);
    let mut seen = Vec::new();
    for entry in &entries {
        if !seen.contains(&&entry.digest) {
            seen.push(&entry.digest);
            graph.root(entry, names.get(&entry.digest).map_or(&[], Vec::as_slice));
        }
    }
    let reached = graph.reached();
    let validated = graph.finish();
    for digest in files(root, problems) {
        if reached.contains(&digest) {
            continue;
        }
        if strays == Strays::Refused {
            problems.add(format!("blob {digest}: nothing references it"));
        }
        let hashed = hash(&blobs, &digest);
        if problems.check(hashed, &format!("blob {digest}")).is_some_and(|(found, _)| found != digest) {
            problems.add(format!("blob {digest}: it has another digest"));
        }
    }
    validated
}

fn version(root: &Path, problems: &mut Problems) {
    let Some(bytes) = problems.check(fs::read(root.join("oci-layout")), "oci-layout") else { return };
    match OciLayout::from_reader(&bytes[..]) {
        Ok(layout) if layout.image_layout_version() == "1.0.0" => {}
        Ok(layout) => problems.add(format!("oci-layout: the version is `{}`", layout.image_layout_version())),
        Err(error) => problems.add(format!("oci-layout: oci-spec cannot read it: {}", full(&error))),
    }
}

/// Checks for leftovers of a finished run.
fn leftovers(root: &Path, problems: &mut Problems) {
    let Some(listing) = problems.check(fs::read_dir(root), "the layout") else { return };
    for entry in listing.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".longshore-tmp-") || name == "ingest" {
            problems.add(format!("`{name}` was left behind"));
        }
    }
}

fn index(root: &Path, problems: &mut Problems) -> Vec<Descriptor> {
    let Some(bytes) = problems.check(fs::read(root.join("index.json")), "index.json") else { return Vec::new() };
    if let Err(error) = ImageIndex::from_reader(&bytes[..]) {
        problems.add(format!("index.json: oci-spec cannot read it: {}", full(&error)));
    }
    // Nothing references this index, so it only has to agree with itself.
    let descriptor = Descriptor::of(MediaType::INDEX, &bytes);
    let index: Option<Index> = problems.check(parse_index(&descriptor, &bytes), "index.json");
    index.map(|index| index.manifests).unwrap_or_default()
}

/// Returns the names of each root, checked.
fn names(entries: &[Descriptor], problems: &mut Problems) -> BTreeMap<Digest, Vec<String>> {
    let mut names: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for entry in entries {
        let full = entry.annotations.get(ANNOTATION_IMAGE_NAME);
        let tag = entry.annotations.get(ANNOTATION_REF_NAME);
        if let Some(tag) = tag.filter(|tag| !is_ref_name(tag)) {
            problems.add(format!("index.json: `{tag}` is not a reference name"));
        }
        if let Some(full) = full
            && !full.parse::<ImageName>().is_ok_and(|name| name.to_string() == *full)
        {
            problems.add(format!("index.json: `{full}` is not the full name of an image"));
        }
        if let Some(name) = full.or(tag) {
            names.entry(entry.digest.clone()).or_default().push(name.clone());
            if taken.insert((full, tag), &entry.digest).is_some() {
                problems.add(format!("index.json: `{name}` is there twice"));
            }
        }
    }
    names
}

/// Returns the present blobs, by file name.
fn files(root: &Path, problems: &mut Problems) -> Vec<Digest> {
    let mut found = Vec::new();
    let listing = |path: &Path| -> Result<Vec<PathBuf>> {
        let listing = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let listing = listing.attempt(|| format!("cannot list {}", path.display()))?;
        Ok(listing.into_iter().map(|entry| entry.path()).collect())
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for algorithm in problems.check(listing(&root.join("blobs")), "the layout").unwrap_or_default() {
        for blob in problems.check(listing(&algorithm), "the layout").unwrap_or_default() {
            match format!("{}:{}", name(&algorithm), name(&blob)).parse() {
                Ok(digest) if blob.is_file() => found.push(digest),
                _ => problems.add(format!("`blobs/{}/{}` is not a blob", name(&algorithm), name(&blob))),
            }
        }
    }
    found.sort();
    found
}
