//! Writes a merged tree into a directory: directories are created, contents are moved to their names.
//!
//! Every path is opened through no link and no mount (`openat2`). A new directory is used by no one else, so that names
//! are made in place. In one with files, everything is made in the staging directory and moved over what is there.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_content::{Work, is_scratch};
use longshore_oci::{Context, Error, Result};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, XattrFlags, fsetxattr, linkat, makedev, mkdirat, mknodat, renameat, symlinkat,
};

use super::attributes::Writer;
use super::below::{create, has_scratch, join, open_below, open_directory, open_directory_below, shown, split};
use super::stage::Content;
use crate::tree::merged::{Attributes, InodeId, Kind, MergedTree, Visit};

/// Mode of a file that is being made.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
/// The name of a file that is being made in the staging directory.
const MADE: &[u8] = b"made";

/// What the directory has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Onto<'a> {
    /// Nothing.
    New,
    /// Nothing; below it in the overlay are the snapshots of lower layers.
    Layers(&'a [PathBuf]),
    /// Files, which are replaced.
    Files {
        /// Whether something of another type, and what the tree does not have, is removed.
        deletes: bool,
    },
}

/// Writes `visited` parts of a merged tree below a directory.
pub(super) struct Placer<'a> {
    pub(super) tree: &'a MergedTree<Content>,
    pub(super) root: &'a OwnedFd,
    /// A directory for each layer, with the contents of its files.
    pub(super) staging: &'a OwnedFd,
    pub(super) onto: Onto<'a>,
    pub(super) writer: Writer<'a>,
    work: &'a Work,
    /// The last visited directory.
    pub(super) current: OwnedFd,
    path: Vec<u8>,
    /// Whether that directory is left out, as its name is a temporary one.
    is_left_out: bool,
    /// The first path of each file with several names.
    first: HashMap<InodeId, Vec<u8>>,
    /// Directories in creation order: each gets its attributes once all are created.
    pub(super) directories: Vec<(Vec<u8>, InodeId)>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(
        tree: &'a MergedTree<Content>,
        root: &'a OwnedFd,
        staging: &'a OwnedFd,
        onto: Onto<'a>,
        work: &'a Work,
    ) -> Result<Self> {
        let writer = if matches!(onto, Onto::Layers(_)) { Writer::for_snapshots(work) } else { Writer::new(work) };
        let current = root.try_clone()?;
        let (first, directories) = (HashMap::new(), Vec::new());
        Ok(Self {
            tree,
            root,
            staging,
            onto,
            writer,
            work,
            current,
            path: Vec::new(),
            is_left_out: false,
            first,
            directories,
        })
    }

    /// Writes the whole tree, except what [`finish`](Self::finish) does.
    pub(super) fn place(&mut self) -> Result<()> {
        self.tree.visit(&mut |visit| self.put(&visit))
    }

    /// Writes the changes of the last applied layer, in overlayfs's format.
    pub(super) fn place_changes(&mut self) -> Result<()> {
        self.tree.visit_changes(&mut |visit| self.put(&visit))
    }

    fn put(&mut self, visit: &Visit<'_>) -> Result<()> {
        // What is there is changed as a whole: a late signal does not interrupt that.
        if !matches!(self.onto, Onto::Files { .. }) {
            self.work.check()?;
        }
        if self.is_left_out(visit) {
            return Ok(());
        }
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

    /// Returns whether something is left out because it, or a directory above it, has the name of a temporary file: a later
    /// run would remove it, or believe what it says. A snapshot is in no place where one looks for such.
    fn is_left_out(&mut self, visit: &Visit<'_>) -> bool {
        if matches!(self.onto, Onto::Layers(_)) {
            return false;
        }
        let is_temporary = match visit {
            Visit::Directory { path, .. } => {
                self.is_left_out = has_scratch(path);
                self.is_left_out
            }
            Visit::Name { name, .. } => self.is_left_out || is_scratch(OsStr::from_bytes(name)),
            Visit::Gone { .. } => false,
        };
        if is_temporary {
            let path = match visit {
                Visit::Directory { path, .. } => path.to_vec(),
                Visit::Name { name, .. } | Visit::Gone { name } => self.path_of(name),
            };
            self.work.progress.warn_once("a temporary name", || {
                let reason = "its name is one of Longshore's temporary files";
                format!("skipped `{}`: {reason} (further ones are not listed)", shown(&path))
            });
        }
        is_temporary
    }

    fn directory(&mut self, path: &[u8], inode: InodeId, opaque: bool) -> Result<()> {
        if !path.is_empty() {
            match self.onto {
                Onto::Files { .. } => self.make_directory_onto(path)?,
                _ => mkdirat(self.root, path, Mode::RWXU)?,
            }
            self.current = open_directory_below(self.root, path)?;
        }
        if opaque {
            let name = if self.writer.is_root { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
            fsetxattr(&self.current, name, b"y", XattrFlags::empty()).attempt(|| format!("cannot set `{name}`"))?;
        }
        self.path = path.to_vec();
        self.directories.push((path.to_vec(), inode));
        Ok(())
    }

    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.path, name)
    }

    fn name(&mut self, name: &[u8], id: InodeId) -> Result<()> {
        if let Some(first) = self.first.get(&id) {
            let (directory, made) = self.place_to_make(name);
            let (parent, first) = split(first);
            linkat(open_directory_below(self.root, parent)?, first, directory, made, AtFlags::empty())?;
            return self.settle(name);
        }
        let inode = self.tree.inode(id);
        let attributes = inode.attributes();
        match inode.kind() {
            Kind::Directory => return Ok(()),
            Kind::File(content) => self.file(name, id, *content)?,
            Kind::Symlink(target) if self.is_present_link(name, target, attributes) => {}
            Kind::Symlink(target) => {
                self.special(name, attributes, true, |directory, name| symlinkat(target, directory, name))?;
            }
            Kind::Fifo => self
                .special(name, attributes, false, |directory, name| mknodat(directory, name, FileType::Fifo, OWN, 0))?,
            Kind::Device { .. } if !self.writer.is_root => {
                self.work.progress.warn_once("a device of an ordinary user", || {
                    let path = shown(&self.path_of(name));
                    format!("skipped device `{path}`: only root may create it (further ones are not listed)")
                });
                return Ok(());
            }
            Kind::Device { is_block, major, minor } => {
                let kind = if is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
                self.special(name, attributes, false, |directory, name| {
                    mknodat(directory, name, kind, OWN, makedev(major, minor))
                })?;
            }
        }
        if inode.has_links() {
            self.first.insert(id, self.path_of(name));
        }
        Ok(())
    }

    /// Puts a regular file to its name in the current directory.
    fn file(&self, name: &[u8], id: InodeId, content: Content) -> Result<()> {
        let attributes = self.tree.inode(id).attributes();
        let shown = || shown(&self.path_of(name));
        if let Some((snapshot, path)) = self.copied_from(id) {
            let mut to = create(&self.current, name)?;
            let from = open_below(&open_directory(snapshot)?, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
            std::io::copy(&mut File::from(from), &mut to)?;
            return self.writer.set_file(to.as_fd(), attributes, &shown);
        }
        match content {
            Content::Unread => Err(Error::input("its content was not read")),
            Content::Staged { layer, number } => self.move_from(format!("{layer}/{number}").as_bytes(), name),
            Content::Empty => {
                let (directory, made) = self.place_to_make(name);
                self.writer.set_file(create(directory, made)?.as_fd(), attributes, &shown)?;
                self.settle(name)
            }
            Content::Present { is_same: true } => Ok(()),
            Content::Present { is_same: false } => {
                let file = open_below(self.root, &self.path_of(name), OFlags::RDONLY | OFlags::NONBLOCK)?;
                self.writer.set_file(file.as_fd(), attributes, &shown)
            }
        }
    }

    /// Makes a file that is not regular.
    fn special(
        &self,
        name: &[u8],
        attributes: &Attributes,
        is_link: bool,
        make: impl FnOnce(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let (directory, made) = self.place_to_make(name);
        make(directory, made)?;
        self.writer.set_at(directory, made, is_link, attributes, &|| shown(&self.path_of(name)))?;
        self.settle(name)
    }

    /// Returns where a file is made that gets `name` in the current directory.
    fn place_to_make<'n>(&self, name: &'n [u8]) -> (BorrowedFd<'_>, &'n [u8]) {
        match self.onto {
            Onto::Files { .. } => (self.staging.as_fd(), MADE),
            _ => (self.current.as_fd(), name),
        }
    }

    /// Gives a file that was made its name in the current directory.
    fn settle(&self, name: &[u8]) -> Result<()> {
        match self.onto {
            Onto::Files { .. } => self.move_from(MADE, name),
            _ => Ok(()),
        }
    }

    fn move_from(&self, staged: &[u8], name: &[u8]) -> Result<()> {
        match self.onto {
            Onto::Files { .. } => self.move_onto(staged, name),
            _ => Ok(renameat(self.staging, staged, &self.current, name)?),
        }
    }

    pub(super) fn rename(&self, staged: &[u8], name: &[u8]) -> rustix::io::Result<()> {
        renameat(self.staging, staged, &self.current, name)
    }

    /// Returns the lower layer's file to copy up, because it got a name in this one.
    fn copied_from(&self, id: InodeId) -> Option<(&Path, &[u8])> {
        let Onto::Layers(below) = self.onto else { return None };
        let (layer, path) = self.tree.linked(id)?;
        Some((below.get(layer)?, path))
    }

    /// Sets the attributes of the directories. `root` is the directory, which may have been moved.
    pub(super) fn finish(&self, root: &OwnedFd) -> Result<()> {
        self.finish_below(root)?;
        self.finish_root(root)
    }

    /// Sets the attributes of all directories but the root, the deepest first, as adding an entry to one changes
    /// its time.
    pub(super) fn finish_below(&self, root: &OwnedFd) -> Result<()> {
        let mut below = self.directories.iter().rev().filter(|(path, _)| !path.is_empty());
        below.try_for_each(|(path, inode)| self.finish_one(open_directory_below(root, path), path, *inode))
    }

    /// Sets the attributes of the root.
    pub(super) fn finish_root(&self, root: &OwnedFd) -> Result<()> {
        let mut found = self.directories.iter().filter(|(path, _)| path.is_empty());
        found.try_for_each(|(path, inode)| self.finish_one(open_directory_below(root, b""), path, *inode))
    }

    fn finish_one(&self, directory: rustix::io::Result<OwnedFd>, path: &[u8], inode: InodeId) -> Result<()> {
        let attributes = self.tree.inode(inode).attributes();
        let set = directory.map_err(Error::from);
        let set = set.and_then(|directory| self.writer.set_directory(directory.as_fd(), attributes, &|| shown(path)));
        set.attempt(|| format!("cannot set the attributes of `{}`", shown(path)))
    }
}
