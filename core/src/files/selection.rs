//! What an output changes of files: which are in it, who owns them, their modes and times.

use longshore_oci::Result;

use super::options::FilesOptions;
use crate::archive::{Entry, EntryKind};

/// Chooses entries of one tree, which come in the order of a walk. A directory that is not chosen itself is in the
/// output if something below it is.
#[derive(Debug)]
pub(super) struct Selection<'o> {
    options: &'o FilesOptions,
    /// Directories above the entry that was seen last, which nothing has needed so far.
    waiting: Vec<Entry>,
}

impl<'o> Selection<'o> {
    pub(super) fn new(options: &'o FilesOptions) -> Self {
        Self { options, waiting: Vec::new() }
    }

    /// Returns whether files are left out.
    pub(super) fn selects(&self) -> bool {
        self.options.selects()
    }

    /// Calls `take` with the entry, as the output has it, if it is chosen, and before it with the directories above it
    /// that were not taken yet.
    pub(super) fn offer(&mut self, entry: Entry, take: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        self.waiting.retain(|above| is_below(&entry.path, &above.path));
        if self.is_left_out(&entry.path) {
            // Something below it may be in the output.
            if entry.kind == EntryKind::Directory {
                self.waiting.push(entry);
            }
            return Ok(());
        }
        for above in std::mem::take(&mut self.waiting) {
            take(self.changed(above))?;
        }
        take(self.changed(entry))
    }

    /// Returns whether a path is in no output, so that a link cannot lead to it.
    pub(super) fn is_left_out(&self, path: &[u8]) -> bool {
        self.is_excluded(path) || !self.is_included(path)
    }

    fn is_excluded(&self, path: &[u8]) -> bool {
        self.options.exclude.as_ref().is_some_and(|exclude| exclude.excludes(path))
    }

    fn is_included(&self, path: &[u8]) -> bool {
        // Its patterns are written as those of `exclude`: what they would exclude is what is wanted.
        self.options.include.as_ref().is_none_or(|include| include.excludes(path))
    }

    fn changed(&self, entry: Entry) -> Entry {
        let mut entry = self.options.owned(entry);
        if let Some(chmod) = self.options.chmod.as_ref().filter(|_| entry.kind != EntryKind::Symlink) {
            entry.mode = chmod.apply(entry.mode, entry.kind == EntryKind::Directory);
        }
        entry
    }
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}
