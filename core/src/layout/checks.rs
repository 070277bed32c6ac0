//! Blobs in files, checked on several threads while one thread copies them.
//!
//! An archive is written blob after blob, and hashing a blob takes longer than writing it. Where a blob
//! is an immutable file, the same file can be read by both at once.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::cancel::Cancel;
use crate::content::copy;
use crate::error::{Error, Result};
use crate::image::ImageBlob;
use crate::oci::Digest;

/// Smaller blobs are not worth a second reader.
const SMALLEST: u64 = 1 << 20;

/// What the checks of blobs come to. Dropping it ends them.
pub(super) struct Checks<'a> {
    results: HashMap<&'a Digest, Receiver<Result<()>>>,
    stop: &'a Cancel,
}

impl<'a> Checks<'a> {
    /// Starts to check those of `blobs` that are files, in their order, on `threads` threads.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        blobs: impl Iterator<Item = &'a ImageBlob<'a>>,
        threads: usize,
        stop: &'a Cancel,
    ) -> Result<Self>
    where
        'a: 'scope,
    {
        let mut results = HashMap::new();
        let mut work: Vec<(&ImageBlob<'_>, SyncSender<Result<()>>)> = Vec::new();
        for blob in blobs.filter(|blob| blob.descriptor.size >= SMALLEST) {
            if blob.provider.provider().local_file(&blob.descriptor.digest)?.is_some() {
                // The one result waits until somebody wants it.
                let (sender, receiver) = sync_channel(1);
                results.insert(&blob.descriptor.digest, receiver);
                work.push((blob, sender));
            }
        }
        let threads = threads.min(work.len());
        let work = std::sync::Arc::new(Mutex::new(work.into_iter()));
        for _ in 0..threads {
            let work = work.clone();
            scope.spawn(move || {
                let next = || work.lock().ok().and_then(|mut work| work.next());
                while let Some((blob, sender)) = next().filter(|_| !stop.is_cancelled()) {
                    let checked = copy(blob.provider.provider(), &blob.descriptor, &mut io::sink(), stop, None);
                    let _ = sender.send(checked);
                }
            });
        }
        Ok(Self { results, stop })
    }

    /// Waits until a blob is checked. `None` for one that is not checked here.
    pub(super) fn result(&self, digest: &Digest) -> Option<Result<()>> {
        let ended = |_| Err(Error::cancelled());
        self.results.get(digest).map(|result| result.recv().unwrap_or_else(ended))
    }

    /// Whether a blob is checked here.
    pub(super) fn covers(&self, digest: &Digest) -> bool {
        self.results.contains_key(digest)
    }
}

impl Drop for Checks<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
