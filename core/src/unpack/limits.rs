//! How much of what archives say is kept in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::archive::Entry;
use crate::error::{Error, Result};

/// Files of all layers. Real images have some hundred thousand at most.
const FILES: usize = 1 << 20;
/// Bytes of their names, links and attributes.
const BYTES: usize = 96 << 20;

/// What may still be taken in.
#[derive(Debug)]
pub(super) struct Limits {
    files: AtomicUsize,
    bytes: AtomicUsize,
}

impl Limits {
    pub(super) fn new() -> Self {
        // Each file is counted when it is read, and when it is merged.
        Self { files: AtomicUsize::new(2 * FILES), bytes: AtomicUsize::new(2 * BYTES) }
    }

    /// Counts an entry of a layer.
    pub(super) fn take_entry(&self, entry: &Entry) -> Result<()> {
        let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.take(1, entry.path.len() + entry.link.len() + xattrs)
    }

    pub(super) fn take(&self, files: usize, bytes: usize) -> Result<()> {
        let take = |left: &AtomicUsize, count: usize| {
            left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count)).is_ok()
        };
        if !take(&self.files, files) {
            return Err(Error::input(format!("the layers have more files than the limit of {FILES}")));
        }
        if !take(&self.bytes, bytes) {
            let message = format!("the names and attributes of the files have more bytes than the limit of {BYTES}");
            return Err(Error::input(message));
        }
        Ok(())
    }
}
