//! Writes a merged tree into a directory: directories are created, contents are moved to their names.
//!
//! The directory is new, and used by no one else. Every path in it was created here and contains no link,
//! and the kernel is told to follow none (`openat2`).

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use longshore_content::Work;
use longshore_oci::{Context, Error, Result};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fsetxattr, linkat, makedev, mkdirat, mknodat, openat,
    openat2, renameat, symlinkat,
};

use super::attributes::Writer;
use super::open_directory;
use super::stage::Content;
use crate::tree::merged::{InodeId, Kind, MergedTree, Visit};

/// Writes `visited` parts of a merged tree below a directory.
pub(super) struct Placer<'a> {
    tree: &'a MergedTree<Content>,
    root: &'a OwnedFd,
    /// A directory for each layer, with the contents of its files.
    staging: &'a OwnedFd,
    writer: Writer<'a>,
    work: &'a Work,
    /// The snapshots of lower layers, if each layer has its own directory.
    below: &'a [PathBuf],
    /// The last visited directory.
    current: OwnedFd,
    path: Vec<u8>,
    /// The first path of each file with several names.
    first: HashMap<InodeId, Vec<u8>>,
    /// Directories in creation order: each gets its attributes once all are created.
    directories: Vec<(Vec<u8>, InodeId)>,
}

/// Writes the changes of the last applied layer, in overlayfs's format.
pub(super) fn place_changes(
    tree: &MergedTree<Content>,
    root: &OwnedFd,
    staging: &OwnedFd,
    below: &[PathBuf],
    work: &Work,
) -> Result<()> {
    let mut placer = Placer { below, writer: Writer::for_snapshots(work), ..Placer::new(tree, root, staging, work)? };
    tree.visit_changes(&mut |visit| placer.put(&visit))?;
    placer.finish(root)
}

/// Writes a whole merged tree, except what [`Placer::finish`] does.
pub(super) fn place<'a>(
    tree: &'a MergedTree<Content>,
    root: &'a OwnedFd,
    staging: &'a OwnedFd,
    work: &'a Work,
) -> Result<Placer<'a>> {
    let mut placer = Placer::new(tree, root, staging, work)?;
    tree.visit(&mut |visit| placer.put(&visit))?;
    Ok(placer)
}

impl<'a> Placer<'a> {
    pub(super) fn new(
        tree: &'a MergedTree<Content>,
        root: &'a OwnedFd,
        staging: &'a OwnedFd,
        work: &'a Work,
    ) -> Result<Self> {
        let writer = Writer::new(work);
        let current = root.try_clone()?;
        let (first, directories) = (HashMap::new(), Vec::new());
        Ok(Self { tree, root, staging, writer, work, below: &[], current, path: Vec::new(), first, directories })
    }

    /// Writes one visited item.
    pub(super) fn put(&mut self, visit: &Visit<'_>) -> Result<()> {
        self.work.check()?;
        match visit {
            Visit::Directory { path, inode, opaque } => {
                self.directory(path, *inode, *opaque).attempt(|| format!("cannot create `{}`", shown(path)))
            }
            Visit::Name { name, inode } => {
                let made = self.name(name, *inode);
                made.attempt(|| format!("cannot create `{}`", shown(&self.path_of(name))))
            }
            Visit::Gone { name } => {
                let device = mknodat(&self.current, *name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0));
                device.attempt(|| format!("cannot hide `{}`", shown(&self.path_of(name))))
            }
        }
    }

    fn directory(&mut self, path: &[u8], inode: InodeId, opaque: bool) -> Result<()> {
        if !path.is_empty() {
            mkdirat(self.root, path, Mode::RWXU)?;
            self.current = open_below(self.root, path)?;
        }
        if opaque {
            let name = if self.writer.is_root { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
            fsetxattr(&self.current, name, b"y", XattrFlags::empty()).attempt(|| format!("cannot set `{name}`"))?;
        }
        self.path = path.to_vec();
        self.directories.push((path.to_vec(), inode));
        Ok(())
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, name].join(&b'/') }
    }

    fn name(&mut self, name: &[u8], id: InodeId) -> Result<()> {
        if let Some(first) = self.first.get(&id) {
            return Ok(linkat(self.root, first.as_slice(), &self.current, name, AtFlags::empty())?);
        }
        let inode = self.tree.inode(id);
        let (directory, attributes) = (self.current.as_fd(), inode.attributes());
        let shown = || shown(&self.path_of(name));
        match inode.kind() {
            Kind::Directory => return Ok(()),
            Kind::File(_) if self.copied_from(id).is_some() => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut to = File::from(openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?);
                if let Some((snapshot, path)) = self.copied_from(id) {
                    std::io::copy(&mut File::from(open_file(&open_directory(snapshot)?, path)?), &mut to)?;
                }
                self.writer.set_file(to.as_fd(), attributes, &shown)?;
            }
            Kind::File(Content::Unread) => return Err(Error::input("its content was not read")),
            Kind::File(Content::Staged { layer, number }) => {
                renameat(self.staging, format!("{layer}/{number}"), directory, name)?;
            }
            Kind::File(Content::Empty) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
                self.writer.set_file(file.as_fd(), attributes, &shown)?;
            }
            Kind::Symlink(target) => {
                symlinkat(target, directory, name)?;
                self.writer.set_at(directory, name, true, attributes, &shown)?;
            }
            Kind::Fifo => {
                mknodat(directory, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
                self.writer.set_at(directory, name, false, attributes, &shown)?;
            }
            Kind::Device { .. } if !self.writer.is_root => {
                self.work.progress.warn(format!("skipped device `{}`: only root may create it", shown()));
                return Ok(());
            }
            Kind::Device { is_block, major, minor } => {
                let kind = if is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
                mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, makedev(major, minor))?;
                self.writer.set_at(directory, name, false, attributes, &shown)?;
            }
        }
        if inode.has_links() {
            self.first.insert(id, self.path_of(name));
        }
        Ok(())
    }

    /// Returns the lower layer's file to copy up, because it got a name in this one.
    fn copied_from(&self, id: InodeId) -> Option<(&Path, &[u8])> {
        let (layer, path) = self.tree.linked(id)?;
        Some((self.below.get(layer)?, path))
    }

    /// Sets the attributes of the directories. `root` is the directory, which may have been moved.
    pub(super) fn finish(self, root: &OwnedFd) -> Result<()> {
        self.finish_below(root)?;
        self.finish_root(root)
    }

    /// Sets the attributes of all directories but the root, the deepest first, as adding an entry to one changes
    /// its time.
    pub(super) fn finish_below(&self, root: &OwnedFd) -> Result<()> {
        let mut below = self.directories.iter().rev().filter(|(path, _)| !path.is_empty());
        below.try_for_each(|(path, inode)| self.finish_one(open_below(root, path), path, *inode))
    }

    /// Sets the attributes of the root.
    pub(super) fn finish_root(&self, root: &OwnedFd) -> Result<()> {
        let mut found = self.directories.iter().filter(|(path, _)| path.is_empty());
        found.try_for_each(|(path, inode)| self.finish_one(Ok(root.try_clone()?), path, *inode))
    }

    fn finish_one(&self, directory: Result<OwnedFd>, path: &[u8], inode: InodeId) -> Result<()> {
        let attributes = self.tree.inode(inode).attributes();
        let set =
            directory.and_then(|directory| self.writer.set_directory(directory.as_fd(), attributes, &|| shown(path)));
        set.attempt(|| format!("cannot set the attributes of `{}`", shown(path)))
    }
}

/// Returns a path in the image, for display.
fn shown(path: &[u8]) -> String {
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    String::from_utf8_lossy(path).escape_debug().to_string()
}

/// Opens a directory below `root`.
fn open_below(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a file below `root`.
fn open_file(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// Opens a path below `root`, through no link and no mount.
fn open(root: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    Ok(openat2(root, path, flags, Mode::empty(), resolve)?)
}
