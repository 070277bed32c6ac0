//! A directory that files are put into: beside what is there, or in place of it.
//!
//! Everything is written under temporary names first. A directory that is missing then appears as a whole; in one that
//! exists, each file is replaced by a rename, so it is either the old one or the new one, whatever happens to the
//! process. What is deleted goes last.

mod publish;
mod stage;

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_content::{MadeDirectories, ScratchDirectory, is_scratch};
use longshore_oci::{Context, Digest, Error, Hasher, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fgetxattr, fsetxattr, openat2, statat};
use rustix::io::Errno;

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
    /// Whether all files will be of exports, so that the directory is marked.
    is_marked: bool,
    /// Held until the files are in their places: of two exports at once, the second is refused.
    _lock: Option<fs::File>,
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

/// Attribute of a directory whose files are all of exports: the digest of the list of them. A file that someone adds
/// changes the list.
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
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for such a directory, for one with a mount point in it, and for
    /// the root of the file system; I/O errors.
    pub fn check(&self) -> Result<()> {
        if self.root.canonicalize().is_ok_and(|root| root == Path::new("/")) {
            return Err(Error::option("files are not written to / itself").with_hint("name a directory below it"));
        }
        if !self.deletes || !self.root.exists() {
            return Ok(());
        }
        let root = open_root(&self.root)?;
        let list = listing(&root).attempt(|| format!("cannot use {} with mode=delete", self.root.display()))?;
        if self.may_delete_all || list.is_none() || marked(&root) == list {
            return Ok(());
        }
        let root = self.root.display();
        let message = format!("{root} has files that no export put there, and mode=delete would remove them");
        Err(Error::option(message).with_hint("choose an empty directory, or add allow-delete=true"))
    }
}

/// Returns whether all files in a directory are of exports.
fn is_ours(root: &OwnedFd) -> bool {
    match marked(root) {
        None => names(root).is_ok_and(|names| names.iter().all(|(name, _)| is_scratch(OsStr::from_bytes(name)))),
        noted => listing(root).is_ok_and(|list| list.is_none() || list == noted),
    }
}

/// Returns the digest of the list of files below a directory; `None` if there are none.
fn listing(root: &OwnedFd) -> Result<Option<Digest>> {
    let mut hasher = Hasher::sha256();
    let mut left: Vec<Vec<u8>> = vec![Vec::new()];
    let mut is_empty = true;
    while let Some(path) = left.pop() {
        let directory = open_below(root.as_fd(), &path, OFlags::RDONLY | OFlags::DIRECTORY);
        let directory = match directory {
            Err(Errno::XDEV) => {
                let message = format!("something is mounted on `{}`, whose files would be removed", shown(&path));
                return Err(Error::option(message).with_hint("unmount it, or leave out mode=delete"));
            }
            directory => directory.attempt(|| format!("cannot list `{}`", shown(&path)))?,
        };
        let mut names = names(&directory)?;
        names.sort();
        for (name, is_directory) in names {
            if path.is_empty() && is_scratch(OsStr::from_bytes(&name)) {
                continue;
            }
            is_empty = false;
            let below = if path.is_empty() { name } else { [&path[..], &name].join(&b'/') };
            hasher.update(&below);
            hasher.update(if is_directory { b"/\0" } else { b"\0\0" });
            if is_directory {
                left.push(below);
            }
        }
    }
    Ok((!is_empty).then(|| hasher.finish()))
}

/// Returns the names in a directory, and whether each is that of a directory.
fn names(directory: &OwnedFd) -> Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => FileType::from_raw_mode(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            kind => kind,
        };
        names.push((name.to_bytes().to_vec(), kind == FileType::Directory));
    }
    Ok(names)
}

/// Returns the list that was noted for a directory.
fn marked(root: &OwnedFd) -> Option<Digest> {
    let mut value = [0u8; 128];
    let length = fgetxattr(root, MARK, &mut value[..]).ok()?;
    std::str::from_utf8(&value[..length]).ok()?.parse().ok()
}

/// Notes the list of all files, where the file system can hold the note.
fn mark(root: &OwnedFd) -> Result<()> {
    if let Some(list) = listing(root)? {
        let _ = fsetxattr(root, MARK, list.to_string().as_bytes(), XattrFlags::empty());
    }
    Ok(())
}

/// Opens the directory itself; the path to it may lead through links.
fn open_root(root: &Path) -> Result<OwnedFd> {
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
