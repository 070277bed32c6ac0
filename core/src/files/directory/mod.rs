//! A directory that files are put into: beside what is there, or in place of it.
//!
//! Everything is written under temporary names first. A directory that is missing then appears as a whole; in one that
//! exists, each file is replaced by a rename, so it is either the old one or the new one, whatever happens to the
//! process. What is deleted goes last.

mod publish;
mod stage;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use longshore_content::{MadeDirectories, ScratchDirectory, is_scratch};
use longshore_oci::{Context, Error, Result};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::tree::merged::Attributes;

/// A directory of files.
#[derive(Debug, Clone)]
pub struct FilesDirectory {
    root: PathBuf,
    /// Whether what is not among the new files is removed.
    deletes: bool,
    /// Whether that may remove what no export put there.
    may_delete_all: bool,
}

/// Files that are complete, under temporary names. Dropping it discards them.
#[derive(Debug)]
pub struct StagedFiles {
    directory: FilesDirectory,
    steps: Vec<Step>,
    /// Has the files that are moved, by their numbers.
    scratch: ScratchDirectory,
    is_new: bool,
    /// Dropped after what is in them.
    _parents: MadeDirectories,
}

/// What is done for one path.
#[derive(Debug)]
struct Step {
    path: Vec<u8>,
    what: What,
    attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A directory.
    Directory,
    /// A file of any kind, which is moved to the path.
    Move(u32),
    /// The file that is there has the content, but not the attributes.
    Change,
    /// The file that is there is the same.
    Nothing,
    /// Another name of the file at this path.
    Link(Vec<u8>),
}

/// Attribute of a directory whose files are all of exports.
const MARK: &str = "user.longshore.files";

impl FilesDirectory {
    /// Returns the directory `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), deletes: false, may_delete_all: false }
    }

    /// Sets whether what is not among the new files is removed, and whether that may remove what no export put there.
    #[must_use]
    pub fn with_delete(self, deletes: bool, may_delete_all: bool) -> Self {
        Self { deletes, may_delete_all, ..self }
    }

    /// Fails if files would be removed that no export put there.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for such a directory; I/O errors.
    pub fn check(&self) -> Result<()> {
        if !self.deletes || self.may_delete_all || !self.root.exists() || self.is_empty()? || self.is_marked()? {
            return Ok(());
        }
        let message =
            format!("{} has files that no export put there, and mode=delete would remove them", self.root.display());
        Err(Error::option(message).with_hint("choose an empty directory, or add allow-delete=true"))
    }

    fn is_empty(&self) -> Result<bool> {
        let list = || -> io::Result<bool> {
            for entry in fs::read_dir(&self.root)? {
                if !is_scratch(&entry?.file_name()) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        list().attempt(|| format!("cannot list {}", self.root.display()))
    }

    fn is_marked(&self) -> Result<bool> {
        let root = open_root(&self.root)?;
        Ok(rustix::fs::fgetxattr(&root, MARK, &mut [0u8; 8][..]).is_ok())
    }
}

/// Opens the directory itself; the path to it may lead through links.
fn open_root(root: &std::path::Path) -> Result<OwnedFd> {
    let opened = fs::File::open(root).attempt(|| format!("cannot open {}", root.display()))?;
    if !opened.metadata()?.is_dir() {
        return Err(Error::option(format!("{} is not a directory", root.display())));
    }
    Ok(opened.into())
}

/// Opens what is below `root`, through no link and no mount.
fn open_below(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    openat2(root.as_fd(), path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Splits a path into its directory and its name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Returns a path, for display.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}
