//! The path to a directory, through symbolic links.

use std::borrow::Cow;

use longshore_oci::{Error, ErrorKind, Result};

use super::inode::{InodeId, Stored};
use super::{MergedTree, ROOT};

/// How many symbolic links are followed to one file, as in Linux and in containerd.
const LINKS: usize = 255;
/// How many parts of a path may be pending.
const PARTS: usize = 4096;

/// A directory on the way, and the pending parts of the path.
#[derive(Debug)]
pub(super) struct Way<'p> {
    pub(super) at: InodeId,
    /// The path of `at` from the root, through no link.
    pub(super) path: Vec<u8>,
    /// Pending parts, the next one last. Those of links are copied, as the tree may change on the way.
    parts: Vec<Cow<'p, [u8]>>,
    links: usize,
}

impl<'p> Way<'p> {
    pub(super) fn new(parts: &[&'p [u8]]) -> Self {
        let length = parts.iter().map(|part| part.len() + 1).sum();
        let parts = parts.iter().rev().map(|part| Cow::Borrowed(*part)).collect();
        Self { at: ROOT, path: Vec::with_capacity(length), parts, links: 0 }
    }

    /// Takes the next part.
    pub(super) fn next(&mut self) -> Option<Cow<'p, [u8]>> {
        self.parts.pop()
    }

    /// Descends into a directory.
    pub(super) fn enter(&mut self, directory: InodeId, name: &[u8]) {
        self.at = directory;
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
    }

    /// Ascends to the parent directory.
    fn leave(&mut self, parent: InodeId) {
        self.at = parent;
        let end = self.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.path.truncate(end);
    }

    /// Continues at the target of a link.
    fn follow(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > LINKS {
            return Err(Error::input(format!("more than {LINKS} symbolic links on the way to it")));
        }
        let parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        self.parts.extend(parts.map(|part| Cow::Owned(part.to_vec())).rev());
        if self.parts.len() > PARTS {
            return Err(Error::input(format!("links lead to it through more than {PARTS} directories")));
        }
        if target.starts_with(b"/") {
            self.at = ROOT;
            self.path.clear();
        }
        Ok(())
    }

    /// Returns the length in bytes of the path of `name` in this directory, with a leading slash.
    pub(super) fn length(&self, name: &[u8]) -> usize {
        let directory = if self.path.is_empty() { 0 } else { 1 + self.path.len() };
        directory + 1 + name.len()
    }
}

impl<C> MergedTree<C> {
    /// Finds the directory at a path, following symbolic links; `None` if it is missing.
    pub(super) fn find_directory<'p>(&self, parts: &[&'p [u8]]) -> Result<Option<Way<'p>>> {
        let mut way = Way::new(parts);
        while let Some(part) = way.next() {
            match self.step(&part, &mut way) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                // A file in place of a directory has nothing below it.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(way))
    }

    /// Follows one part of the path; returns false if there is no such name.
    pub(super) fn step(&self, part: &[u8], way: &mut Way<'_>) -> Result<bool> {
        match part {
            b"." => return Ok(true),
            b".." => {
                let parent = self.directory(way.at).map_or(ROOT, |directory| directory.parent);
                way.leave(parent);
                return Ok(true);
            }
            _ => {}
        }
        let Some(child) = self.child(way.at, part) else { return Ok(false) };
        match &self.inode(child.inode).stored {
            Stored::Directory(_) => way.enter(child.inode, part),
            Stored::Symlink(target) => way.follow(target)?,
            _ => {
                let part = String::from_utf8_lossy(part).escape_debug().to_string();
                return Err(Error::new(ErrorKind::NotFound, format!("`{part}` on the way to it is not a directory")));
            }
        }
        Ok(true)
    }
}
