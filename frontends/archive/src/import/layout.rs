//! The images of an OCI layout, either received or in a directory.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use longshore_core::content::{BlobMeta, Provider, StoredImage};
use longshore_core::image::{Graph, GraphBlob, say_left_out, store, verbatim};
use longshore_core::layout::{LayoutSource, ListedImage, listed, say_no_images};
use longshore_core::oci::{Descriptor, Digest, parse_layout_index};
use longshore_core::{Context, Error, ErrorKind, Existing, Result};

use super::receive::{Received, ingest_anew};
use super::{Arrived, Import};
use crate::described::{is_hollow, items};

/// Returns the images of a received layout; `None` if it lacks parts that `manifest.json` has.
pub(super) fn images(received: &Received, import: &Import<'_>) -> Result<Option<Vec<Arrived>>> {
    longshore_core::layout::check_version(received.document("oci-layout")?)?;
    let index = parse_layout_index(received.document("index.json")?)?;
    let described = || received.optional("manifest.json").map(items).transpose();
    if is_hollow(&index, &Arriving { received, import }, described)? {
        return Ok(None);
    }
    say_no_images(&index, &import.work.progress);
    listed(&index, |_| true).into_iter().map(|image| arrived(image, received, import)).collect::<Result<_>>().map(Some)
}

/// Stores the documents of an image, each after its references, and fails if something is missing.
fn arrived(image: ListedImage, received: &Received, import: &Import<'_>) -> Result<Arrived> {
    let mut missing = Vec::new();
    let arriving = Arriving { received, import };
    for root in [&image.root].into_iter().chain(&image.referrers) {
        let graph = Graph::at(root, &arriving, import.work).walk().map_err(not_in_archive)?;
        let stored = graph.blobs.iter().try_for_each(|blob| arriving.store(blob));
        stored.map_err(not_in_archive).attempt(|| format!("cannot import image {}", root.digest))?;
        missing.extend(graph.missing);
    }
    let ListedImage { root, referrers, names, tags } = image;
    Ok(Arrived { image: StoredImage::new(root, referrers), names, tags, missing })
}

fn not_in_archive(error: Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        error.with_hint("the archive is not complete: make it again")
    } else {
        error
    }
}

/// The imported parts of an archive: layers in the store, small files in memory.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    pub(super) received: &'a Received,
    pub(super) import: &'a Import<'a>,
}

impl Arriving<'_> {
    /// Stores a blob with references to stored blobs, or finds it in the store.
    pub(super) fn store(&self, blob: &GraphBlob) -> Result<()> {
        let GraphBlob { descriptor: Descriptor { digest, size, .. }, references } = blob;
        let store = self.import.store;
        // Whatever the store has: the archive is damaged.
        self.received.check_blob(digest)?;
        let meta = BlobMeta::default().with_references(references.clone());
        let found = match (store.info(digest)?, self.received.kept(digest)) {
            (Some(info), _) => {
                if !references.iter().all(|child| info.meta.references.contains(child)) {
                    store.update(digest, meta)?;
                }
                info.size
            }
            (None, Some(bytes)) => {
                let expected = Descriptor { size: bytes.len() as u64, ..blob.descriptor.clone() };
                let mut writer = ingest_anew(store, Some(&expected))?;
                writer.write_all(bytes)?;
                writer.commit(meta)?.size
            }
            (None, None) if blob.descriptor.is_foreign() => {
                say_left_out(&blob.descriptor, "import", &self.import.work.progress);
                return Ok(());
            }
            (None, None) => {
                return Err(Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the archive")));
            }
        };
        if found != *size {
            return Err(Error::corrupt(format!("blob {digest} has {found} bytes, expected {size}")));
        }
        Ok(())
    }
}

impl Provider for Arriving<'_> {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.received.check_blob(digest)?;
        let Some(bytes) = self.received.kept(digest) else { return self.import.store.open(digest, from) };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Box::new(&bytes[from..]))
    }
}

/// Copies the images of a layout in a directory.
pub(super) fn directory(path: &Path, import: &Import<'_>) -> Result<Vec<Arrived>> {
    let source = Arc::new(LayoutSource::directory(path)?);
    say_no_images(source.index(), &import.work.progress);
    let copied = listed(source.index(), |_| true).into_iter().map(|image| {
        let ListedImage { root, referrers, names, tags } = image;
        let existing = Existing::new(root.clone(), source.clone()).with_referrers(referrers.clone());
        let assembled = verbatim(&existing, import.work)?;
        store(&assembled, import.store, import.work)?;
        Ok(Arrived { image: StoredImage::new(root, referrers), names, tags, missing: assembled.missing })
    });
    copied.collect()
}
