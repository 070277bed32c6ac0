//! Limits on how much of an archive is kept in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_oci::{Error, Result};

use super::attributes::xattrs_size;
use crate::archive::Entry;

/// How much a tree may take in. A tree that reaches a limit refuses the next entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Files of all layers, directories and removed files included. Real images have some hundred thousand
    /// at most; 786,432 by default.
    pub files: usize,
    /// Bytes of their names, links, attributes, and of the paths of directories; 96 MiB by default.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 3 << 18, bytes: 96 << 20 }
    }
}

impl Limits {
    /// Allows this many files.
    #[must_use]
    pub fn with_files(self, files: usize) -> Self {
        Self { files, ..self }
    }

    /// Allows this many bytes.
    #[must_use]
    pub fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// Counts what is kept, on any number of threads, and refuses anything beyond the limits.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    limits: Limits,
    files: AtomicUsize,
    bytes: AtomicUsize,
}

impl Quota {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Counts an entry kept as it was read.
    pub(crate) fn take_entry(&self, entry: &Entry) -> Result<()> {
        self.take(1, entry.path.len() + entry.link.len() + xattrs_size(entry))
    }

    pub(super) fn take(&self, files: usize, bytes: usize) -> Result<()> {
        let Limits { files: most_files, bytes: most_bytes } = self.limits;
        if self.files.fetch_add(files, Ordering::Relaxed) >= most_files && files > 0 {
            return Err(Error::input(format!("the layers have more files than the limit of {most_files}")));
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) >= most_bytes && bytes > 0 {
            let message =
                format!("the names and attributes of the files have more bytes than the limit of {most_bytes}");
            return Err(Error::input(message));
        }
        Ok(())
    }
}
