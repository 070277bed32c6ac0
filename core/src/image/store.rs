//! An image into a content store.

use std::num::NonZeroUsize;

use longshore_content::{BlobMeta, Cancel, ContentStore, Progress, copy_to_writer, for_each};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::{AssembledImage, ImageBlob, Source};

/// What storing an image works with.
#[derive(Debug, Clone, Copy)]
pub struct Storing<'a> {
    /// Blobs that are copied at the same time.
    pub jobs: NonZeroUsize,
    /// Where to report what is under way.
    pub progress: &'a Progress,
    /// What says when to stop.
    pub cancel: &'a Cancel,
}

/// Copies what `store` lacks of `image` into it, each blob verified, several at a time. A manifest or
/// index follows when everything that it refers to is there.
///
/// # Errors
/// A blob that is missing or not what its descriptor says, and those of the store.
pub fn store(image: &AssembledImage<'_>, store: &dyn ContentStore, cx: &Storing<'_>) -> Result<()> {
    let (documents, layers): (Vec<_>, Vec<_>) = image.blobs.iter().partition(|blob| blob.is_document());
    for_each(layers, cx.jobs.get(), cx.cancel, |blob| store_one(blob, store, cx))?;
    documents.into_iter().try_for_each(|blob| store_one(blob, store, cx))
}

fn store_one(blob: &ImageBlob<'_>, store: &dyn ContentStore, cx: &Storing<'_>) -> Result<()> {
    cx.cancel.check()?;
    let descriptor = &blob.descriptor;
    let origins = blob.provider.provider().origins(&descriptor.digest)?;
    let meta = BlobMeta { references: blob.references.clone(), origins, ..BlobMeta::default() };
    let present = store.info(&descriptor.digest)?;
    if let Some(present) = present {
        if present.size != descriptor.size {
            let (digest, size) = (&descriptor.digest, descriptor.size);
            return Err(Error::corrupt(format!("blob {digest} has {} bytes, expected {size}", present.size)));
        }
        let is_known = meta.references.iter().all(|child| present.meta.references.contains(child))
            && meta.origins.iter().all(|origin| present.meta.origins.contains(origin));
        if !is_known {
            store.update(&descriptor.digest, meta)?;
        }
        // What was made in this run is no news.
        if let Source::Image(_) = blob.provider {
            blob.task(cx.progress).into_iter().for_each(|task| task.skipped("exists"));
        }
        return Ok(());
    }
    let task = blob.task(cx.progress);
    let write = || -> Result<bool> {
        let mut writer = store.ingest(Some(descriptor))?;
        let is_continued = writer.offset() > 0;
        copy_to_writer(blob.provider.provider(), descriptor, writer.as_mut(), cx.cancel, task.as_ref())?;
        match writer.commit(meta.clone()) {
            // What an earlier attempt left was not its start.
            Err(error) if error.kind() == ErrorKind::Corrupt && is_continued => Ok(false),
            committed => committed.map(|_| true),
        }
    };
    let written = write().and_then(|written| if written { Ok(true) } else { write() });
    written.attempt(|| format!("cannot store {}", descriptor.digest))?;
    task.into_iter().for_each(|task| task.done(""));
    Ok(())
}
