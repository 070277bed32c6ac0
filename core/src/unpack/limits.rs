//! How much of what archives say is kept in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_oci::{Error, Result};

use crate::archive::Entry;

/// Files of all layers. Real images have some hundred thousand at most.
const FILES: usize = 3 << 18;
/// Bytes of their names, links and attributes.
const BYTES: usize = 96 << 20;

/// What may still be taken in: of entries as they are read, and of the tree that they make.
#[derive(Debug, Default)]
pub(super) struct Limits {
    entries: Taken,
    tree: Taken,
}

#[derive(Debug, Default)]
struct Taken {
    files: AtomicUsize,
    bytes: AtomicUsize,
}

impl Limits {
    /// Counts an entry of a layer.
    pub(super) fn take_entry(&self, entry: &Entry) -> Result<()> {
        // A short attribute takes up more than its bytes.
        let xattrs: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len() + 128).sum();
        self.entries.take(1, entry.path.len() + entry.link.len() + xattrs)
    }

    /// Counts what is put into the tree.
    pub(super) fn take(&self, files: usize, bytes: usize) -> Result<()> {
        self.tree.take(files, bytes)
    }
}

impl Taken {
    fn take(&self, files: usize, bytes: usize) -> Result<()> {
        if self.files.fetch_add(files, Ordering::Relaxed) >= FILES {
            return Err(Error::input(format!("the layers have more files than the limit of {FILES}")));
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) >= BYTES {
            let message = format!("the names and attributes of the files have more bytes than the limit of {BYTES}");
            return Err(Error::input(message));
        }
        Ok(())
    }
}
