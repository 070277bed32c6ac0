//! Copying an image into a content store.

use longshore_content::{BlobMeta, ContentStore, Work, copy_to_writer, for_each};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::{AssembledImage, BlobProvider, ImageBlob};

/// Copies the missing blobs of `image` into `store`, verified, several at a time. A manifest or index follows
/// after everything it refers to.
///
/// # Errors
/// A blob that is missing or does not match its descriptor, and errors of the store.
pub fn store(image: &AssembledImage<'_>, store: &dyn ContentStore, work: &Work) -> Result<()> {
    let (documents, layers): (Vec<_>, Vec<_>) = image.blobs.iter().partition(|blob| blob.is_document());
    for_each(layers, work.jobs().get(), &work.cancel, |blob| store_one(blob, store, work))?;
    documents.into_iter().try_for_each(|blob| store_one(blob, store, work))
}

fn store_one(blob: &ImageBlob<'_>, store: &dyn ContentStore, work: &Work) -> Result<()> {
    work.check()?;
    let descriptor = &blob.descriptor;
    let origins = blob.provider.provider().origins(&descriptor.digest)?;
    let meta = BlobMeta::default().with_references(blob.references.clone()).with_origins(origins);
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
        // A blob built in this run needs no message.
        if let BlobProvider::Image(_) = blob.provider {
            blob.task(&work.progress).into_iter().for_each(|task| task.skipped("exists"));
        }
        return Ok(());
    }
    let task = blob.task(&work.progress);
    let write = || -> Result<bool> {
        let mut writer = store.ingest(Some(descriptor))?;
        let is_continued = writer.offset() > 0;
        copy_to_writer(blob.provider.provider(), descriptor, writer.as_mut(), &work.cancel, task.as_ref())?;
        match writer.commit(meta.clone()) {
            // The bytes of an earlier attempt were not the start of this blob.
            Err(error) if error.kind() == ErrorKind::Corrupt && is_continued => Ok(false),
            committed => committed.map(|_| true),
        }
    };
    let written = write().and_then(|written| if written { Ok(true) } else { write() });
    written.attempt(|| format!("cannot store {}", descriptor.digest))?;
    task.into_iter().for_each(|task| task.done(""));
    Ok(())
}
