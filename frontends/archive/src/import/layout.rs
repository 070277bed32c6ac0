//! The images of an OCI layout that was received, or that is in a directory.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use longshore_core::content::{BlobMeta, Provider, StoredImage};
use longshore_core::image::{Graph, GraphLimits, Storing, store, verbatim, walk};
use longshore_core::layout::{LayoutSource, ListedImage, listed};
use longshore_core::oci::Index;
use longshore_core::{Context, Error, ErrorKind, Existing, Result};

use super::receive::Received;
use super::{Arrived, Import};

/// Blobs of a directory that are copied at the same time.
const JOBS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// The images of a layout whose blobs are in the store.
pub(super) fn images(received: &Received, import: &Import<'_>) -> Result<Vec<Arrived>> {
    longshore_core::layout::check_version(received.document("oci-layout")?)?;
    let index: Index = serde_json::from_slice(received.document("index.json")?)
        .map_err(|error| Error::input("`index.json` is not an image index").with_source(error))?;
    listed(&index, |_| true).into_iter().map(|image| arrived(image, import)).collect()
}

/// Notes what the documents of an image refer to, and that all of it is there.
fn arrived(image: ListedImage, import: &Import<'_>) -> Result<Arrived> {
    let mut missing = Vec::new();
    for root in [&image.root].into_iter().chain(&image.referrers) {
        let graph = walk(root, &AsProvider(import), GraphLimits::default()).map_err(not_in_archive)?;
        record(&graph, import).attempt(|| format!("cannot import image {}", root.digest))?;
        missing.extend(graph.missing);
    }
    let ListedImage { root, referrers, names, tags } = image;
    Ok(Arrived { image: StoredImage { root, referrers }, names, tags, missing })
}

fn record(graph: &Graph, import: &Import<'_>) -> Result<()> {
    for blob in &graph.blobs {
        let digest = &blob.descriptor.digest;
        let missing = || Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the archive"));
        let info = import.store.info(digest)?.ok_or_else(missing)?;
        if info.size != blob.descriptor.size {
            let (found, size) = (info.size, blob.descriptor.size);
            return Err(Error::corrupt(format!("blob {digest} has {found} bytes, expected {size}")));
        }
        if !blob.references.is_empty() {
            import.store.update(digest, BlobMeta { references: blob.references.clone(), ..BlobMeta::default() })?;
        }
    }
    Ok(())
}

fn not_in_archive(error: Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        error.with_hint("the archive is not complete: make it again")
    } else {
        error
    }
}

/// The store of an import, as who has blobs.
#[derive(Debug)]
struct AsProvider<'a>(&'a Import<'a>);

impl Provider for AsProvider<'_> {
    fn open(&self, digest: &longshore_core::oci::Digest, from: u64) -> Result<Box<dyn std::io::Read + Send + '_>> {
        self.0.store.open(digest, from)
    }
}

/// Copies the images of a layout in a directory.
pub(super) fn directory(path: &Path, import: &Import<'_>) -> Result<Vec<Arrived>> {
    let source = Arc::new(LayoutSource::directory(path)?);
    let storing = Storing { jobs: JOBS, progress: import.progress, cancel: import.cancel };
    let copied = listed(source.index(), |_| true).into_iter().map(|image| {
        let ListedImage { root, referrers, names, tags } = image;
        let existing = Existing { root: root.clone(), referrers: referrers.clone(), provider: source.clone() };
        let assembled = verbatim(&existing)?;
        store(&assembled, import.store, &storing)?;
        Ok(Arrived { image: StoredImage { root, referrers }, names, tags, missing: assembled.missing })
    });
    copied.collect()
}
