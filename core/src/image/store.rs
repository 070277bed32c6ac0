//! An image into a content store.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;

use super::{AssembledImage, ImageBlob, Source};
use crate::cancel::Cancel;
use crate::content::{BlobMeta, ContentStore, copy_to_writer};
use crate::error::{Context, ErrorKind, Result};
use crate::progress::Progress;

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
    let layers = Mutex::new(layers.into_iter());
    let next = || layers.lock().ok().and_then(|mut layers| layers.next());
    let work = || -> Result<()> {
        while let Some(blob) = next() {
            store_one(blob, store, cx).inspect_err(|_| cx.cancel.cancel())?;
        }
        Ok(())
    };
    let mut results: Vec<Result<()>> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..cx.jobs.get()).map(|_| scope.spawn(work)).collect();
        jobs.into_iter().map(|job| job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    // A blob that was cancelled because of another one's error says nothing new.
    results.sort_by_key(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled));
    results.into_iter().collect::<Result<()>>()?;
    documents.into_iter().try_for_each(|blob| store_one(blob, store, cx))
}

fn store_one(blob: &ImageBlob<'_>, store: &dyn ContentStore, cx: &Storing<'_>) -> Result<()> {
    cx.cancel.check()?;
    let descriptor = &blob.descriptor;
    let meta = BlobMeta { references: blob.references.clone(), ..BlobMeta::default() };
    let present = store.info(&descriptor.digest)?;
    if let Some(present) = present {
        if !meta.references.iter().all(|child| present.meta.references.contains(child)) {
            store.update(&descriptor.digest, meta)?;
        }
        // What was made in this run is no news.
        if let Source::Image(_) = blob.provider {
            blob.task(cx.progress).into_iter().for_each(|task| task.skipped("exists"));
        }
        return Ok(());
    }
    let task = blob.task(cx.progress);
    let write = || -> Result<()> {
        let mut writer = store.ingest(Some(descriptor))?;
        copy_to_writer(blob.provider.provider(), descriptor, writer.as_mut(), cx.cancel, task.as_ref())?;
        writer.commit(meta).map(drop)
    };
    write().attempt(|| format!("cannot store {}", descriptor.digest))?;
    task.into_iter().for_each(|task| task.done(""));
    Ok(())
}
