//! The file system that layers make when they are applied in order, in memory.
//!
//! Nothing here touches a file, so nothing that an archive says can reach one: links are followed in
//! the tree that the layers themselves made, and its root is its own parent. What is written
//! afterwards is a tree without a path that has to be followed.

use std::collections::{BTreeMap, BTreeSet};

use longshore_content::Cancel;
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::Attributes;
use super::limits::Limits;
use super::stage::Entries;
use super::way::Way;
use crate::archive::{Entry, EntryKind, entry_path};
use crate::layer::{OPAQUE, WHITEOUT};

/// The root.
pub(super) const ROOT: Id = 0;
/// Longest name, in bytes (`NAME_MAX`), and longest path (`PATH_MAX` with its end).
const NAME: usize = 255;
const PATH: usize = 4095;

/// A file of any kind, by its place in the table. Names of one file share it.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    /// The layer that said last what it is. Each name that a file has is in the snapshot of this layer.
    pub(super) layer: usize,
    /// Whether it ever had a second name.
    pub(super) has_links: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Directory(Directory),
    File(Content),
    Symlink(Vec<u8>),
    Device { is_block: bool, major: u32, minor: u32 },
    Fifo,
}

/// Where the content of a file is: in which layer it came, and as which of its files; nowhere for a layer
/// of which only the entries were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Empty,
    Unread,
    Staged { layer: usize, number: usize },
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: Id,
    pub(super) names: BTreeMap<Box<[u8]>, Name>,
    /// The layer in which it came, with nothing of lower layers in it.
    pub(super) created: usize,
    /// Its own name, and the bytes of its path.
    name: Box<[u8]>,
    length: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) inode: Id,
    /// The layer that gave it.
    pub(super) layer: usize,
}

/// What the layer that is being applied did to what was there.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Directories with new names, new attributes, or less in them.
    pub(super) directories: BTreeSet<Id>,
    /// Names of lower layers that went, some of which came back as something else.
    pub(super) removed: BTreeSet<(Id, Box<[u8]>)>,
    /// Directories that show nothing of lower layers any more.
    pub(super) opaque: BTreeSet<Id>,
    /// Files of lower layers that got another name, and where they are: the layer, and a path in it.
    linked: BTreeMap<Id, (usize, Vec<u8>)>,
}

/// The tree after the layers that were applied so far.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    inodes: Vec<Inode>,
    /// The number of the layer that is being applied.
    pub(super) layer: usize,
    pub(super) changes: Changes,
    limits: &'a Limits,
}

impl<'a> Merge<'a> {
    /// An empty root.
    pub(super) fn new(limits: &'a Limits) -> Self {
        let root = Directory { parent: ROOT, names: BTreeMap::new(), created: 0, name: Box::default(), length: 0 };
        let root =
            Inode { kind: Kind::Directory(root), attributes: Attributes::implicit(), layer: 0, has_links: false };
        Self { inodes: vec![root], layer: 0, changes: Changes::default(), limits }
    }

    pub(super) fn inode(&self, id: Id) -> &Inode {
        &self.inodes[id]
    }

    /// Applies a whole layer: its entries in their order, each with the number of its staged content.
    pub(super) fn apply(&mut self, layer: usize, entries: Entries, cancel: &Cancel) -> Result<()> {
        self.layer = layer;
        self.changes = Changes::default();
        for (entry, staged) in entries {
            cancel.check()?;
            self.entry(&entry, staged).attempt(|| format!("cannot apply `{}`", entry.display()))?;
        }
        self.share_links();
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, staged: Option<usize>) -> Result<()> {
        let path = entry_path(entry)?;
        if path.len() > PATH {
            return Err(Error::input(format!("its path has {} bytes, more than {PATH}", path.len())));
        }
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        if let Some(long) = parts.iter().find(|part| part.len() > NAME) {
            return Err(Error::input(format!("a name in its path has {} bytes, more than {NAME}", long.len())));
        }
        let Some(name) = parts.pop() else { return self.root(entry) };
        match name.strip_prefix(WHITEOUT) {
            Some(hidden) => self.whiteout(&parts, name, hidden),
            None => {
                let parent = self.make_directory(&parts)?;
                self.put(parent, name, entry, staged)
            }
        }
    }

    /// The root itself, which layers may have as `./`.
    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != EntryKind::Directory {
            return Err(Error::input(format!("the root cannot be a {}", entry.kind)));
        }
        self.set_attributes(ROOT, Attributes::of(entry)?);
        Ok(())
    }

    fn set_attributes(&mut self, directory: Id, attributes: Attributes) {
        let inode = &mut self.inodes[directory];
        inode.attributes = attributes;
        inode.layer = self.layer;
        self.changes.directories.insert(directory);
    }

    fn put(&mut self, parent: Id, name: &[u8], entry: &Entry, staged: Option<usize>) -> Result<()> {
        let existing = self.child(parent, name).map(|existing| existing.inode);
        if let Some(existing) = existing.filter(|existing| self.as_directory(*existing).is_some())
            && entry.kind == EntryKind::Directory
        {
            self.set_attributes(existing, Attributes::of(entry)?);
            return Ok(());
        }
        let kind = match entry.kind {
            EntryKind::Directory => self.directory(parent, name)?,
            EntryKind::File => Kind::File(match staged {
                Some(number) => Content::Staged { layer: self.layer, number },
                None if entry.size > 0 => Content::Unread,
                None => Content::Empty,
            }),
            EntryKind::Symlink => {
                check_target(&entry.link)?;
                self.limits.take(0, entry.link.len())?;
                Kind::Symlink(entry.link.clone())
            }
            EntryKind::CharDevice if entry.device == (0, 0) => {
                return Err(Error::new(ErrorKind::Unsupported, "a device 0/0 would be a whiteout of overlayfs"));
            }
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                let is_block = entry.kind == EntryKind::BlockDevice;
                Kind::Device { is_block, major: entry.device.0, minor: entry.device.1 }
            }
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::HardLink => return self.link(parent, name, entry),
        };
        self.length(parent, name)?;
        let attributes = Attributes::of(entry)?;
        self.remove(parent, name);
        let inode = self.add(kind, attributes)?;
        self.name(parent, name, inode);
        Ok(())
    }

    /// Another name of a file that is there, in this layer or a lower one.
    fn link(&mut self, parent: Id, name: &[u8], entry: &Entry) -> Result<()> {
        check_target(&entry.link)?;
        let shown = String::from_utf8_lossy(&entry.link).escape_debug().to_string();
        let target = Entry::new(entry.link.clone(), EntryKind::File, 0);
        let target = entry_path(&target)?;
        let mut parts: Vec<&[u8]> = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        let missing = || Error::input(format!("it is a hard link to `{shown}`, which is not there"));
        let last = parts.pop().ok_or_else(missing)?;
        let directory = self.find_directory(&parts)?.ok_or_else(missing)?;
        let inode = self.child(directory, last).ok_or_else(missing)?.inode;
        if self.as_directory(inode).is_some() {
            return Err(Error::input(format!("it is a hard link to `{shown}`, which is a directory")));
        }
        if self.child(parent, name).is_some_and(|existing| existing.inode == inode) {
            return Ok(());
        }
        let home = self.inodes[inode].layer;
        if home < self.layer && !self.changes.linked.contains_key(&inode) {
            // Directories never move, so the path by which it is found is where its layer put it.
            let path = self.path_of(directory, last);
            self.limits.take(0, path.len())?;
            self.changes.linked.insert(inode, (home, path));
        }
        let length = self.length(parent, name)?;
        self.limits.take(1, length)?;
        self.inodes[inode].has_links = true;
        self.remove(parent, name);
        self.name(parent, name, inode);
        Ok(())
    }

    /// Where a name is, from the root.
    fn path_of(&self, mut at: Id, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        while let Some(directory) = self.as_directory(at).filter(|_| at != ROOT) {
            parts.push(&directory.name);
            at = directory.parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }

    /// Where a file of a lower layer is that got another name in this one.
    pub(super) fn linked(&self, inode: Id) -> Option<(usize, &[u8])> {
        self.changes.linked.get(&inode).map(|(layer, path)| (*layer, path.as_slice()))
    }

    /// Hides what lower layers have, wherever in its layer it stands (image-spec, layer.md, "Whiteouts").
    fn whiteout(&mut self, parents: &[&[u8]], name: &[u8], hidden: &[u8]) -> Result<()> {
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::input("it is a whiteout of nothing"));
        }
        // aufs keeps notes of its own in names that begin so.
        if hidden.starts_with(WHITEOUT) && name != OPAQUE {
            return Ok(());
        }
        // What is not there need not be hidden.
        let Some(directory) = self.find_directory(parents)? else { return Ok(()) };
        if name == OPAQUE {
            self.changes.opaque.insert(directory);
            self.changes.directories.insert(directory);
            self.hide_below(directory);
        } else {
            self.hide(directory, hidden);
        }
        Ok(())
    }

    /// Takes away what lower layers have under a name, and leaves what this layer put there.
    fn hide(&mut self, directory: Id, name: &[u8]) {
        let Some(existing) = self.child(directory, name).filter(|existing| existing.layer < self.layer) else { return };
        self.changes.removed.insert((directory, name.into()));
        self.changes.directories.insert(directory);
        if self.as_directory(existing.inode).is_some() {
            let is_own = self.inodes[existing.inode].layer == self.layer;
            self.hide_below(existing.inode);
            let is_empty = self.as_directory(existing.inode).is_some_and(|directory| directory.names.is_empty());
            if is_own || !is_empty {
                self.make_own(directory, name, existing.inode);
                return;
            }
        }
        if let Some(directory) = self.as_directory_mut(directory) {
            directory.names.remove(name);
        }
    }

    /// A directory of a lower layer that this layer has again, with nothing but its own in it.
    fn make_own(&mut self, parent: Id, name: &[u8], inode: Id) {
        let layer = self.layer;
        if let Some(entry) = self.as_directory_mut(parent).and_then(|parent| parent.names.get_mut(name)) {
            entry.layer = layer;
        }
        if let Some(directory) = self.as_directory_mut(inode) {
            directory.created = layer;
        }
        if self.inodes[inode].layer < layer {
            self.inodes[inode].attributes = Attributes::implicit();
            self.inodes[inode].layer = layer;
        }
        self.changes.directories.insert(inode);
    }

    fn hide_below(&mut self, directory: Id) {
        let names: Vec<Box<[u8]>> =
            self.as_directory(directory).map(|directory| directory.names.keys().cloned().collect()).unwrap_or_default();
        names.iter().for_each(|name| self.hide(directory, name));
    }

    /// Takes a name away, whoever gave it.
    fn remove(&mut self, directory: Id, name: &[u8]) {
        let layer = self.layer;
        let removed = self.as_directory_mut(directory).and_then(|directory| directory.names.remove(name));
        if removed.is_some_and(|removed| removed.layer < layer) {
            self.changes.removed.insert((directory, name.into()));
        }
    }

    fn name(&mut self, directory: Id, name: &[u8], inode: Id) {
        let layer = self.layer;
        if let Some(directory) = self.as_directory_mut(directory) {
            directory.names.insert(name.into(), Name { inode, layer });
        }
        self.changes.directories.insert(directory);
        if self.as_directory(inode).is_some() {
            self.changes.directories.insert(inode);
        }
    }

    fn add(&mut self, kind: Kind, attributes: Attributes) -> Result<Id> {
        self.limits.take(1, attributes.size())?;
        self.inodes.push(Inode { kind, attributes, layer: self.layer, has_links: false });
        Ok(self.inodes.len() - 1)
    }

    /// A directory that is new in this layer.
    fn directory(&self, parent: Id, name: &[u8]) -> Result<Kind> {
        let length = self.length(parent, name)?;
        // Its path is kept until all are written.
        self.limits.take(0, length)?;
        let names = BTreeMap::new();
        Ok(Kind::Directory(Directory { parent, names, created: self.layer, name: name.into(), length }))
    }

    /// Bytes of the path of a name, which links may make longer than any archive says.
    fn length(&self, parent: Id, name: &[u8]) -> Result<usize> {
        let length = self.as_directory(parent).map_or(0, |parent| parent.length) + 1 + name.len();
        if length > PATH {
            return Err(Error::input(format!("its path has more than {PATH} bytes")));
        }
        Ok(length)
    }

    fn child(&self, directory: Id, name: &[u8]) -> Option<Name> {
        self.as_directory(directory)?.names.get(name).copied()
    }

    pub(super) fn as_directory(&self, inode: Id) -> Option<&Directory> {
        match &self.inodes[inode].kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn as_directory_mut(&mut self, inode: Id) -> Option<&mut Directory> {
        match &mut self.inodes[inode].kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// The directory at a path, through symbolic links; those that are missing are made.
    fn make_directory(&mut self, parts: &[&[u8]]) -> Result<Id> {
        let mut way = Way::new(parts);
        let mut at = ROOT;
        while let Some(part) = way.next() {
            let step = self.step(at, &part, &mut way).map_err(|error| Error::input(error.message().to_owned()))?;
            match step {
                Some(next) => at = next,
                None => {
                    let directory = self.directory(at, &part)?;
                    let made = self.add(directory, Attributes::implicit())?;
                    self.name(at, &part, made);
                    at = made;
                }
            }
        }
        Ok(at)
    }

    /// The directory at a path, through symbolic links; `None` if it is not there.
    fn find_directory(&self, parts: &[&[u8]]) -> Result<Option<Id>> {
        let mut way = Way::new(parts);
        let mut at = ROOT;
        while let Some(part) = way.next() {
            match self.step(at, &part, &mut way) {
                Ok(Some(next)) => at = next,
                Ok(None) => return Ok(None),
                // A file where a directory would be has nothing below it either.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(at))
    }

    /// One part further; `None` if there is no such name.
    fn step(&self, at: Id, part: &[u8], way: &mut Way) -> Result<Option<Id>> {
        match part {
            b"." => return Ok(Some(at)),
            b".." => return Ok(self.as_directory(at).map(|directory| directory.parent)),
            _ => {}
        }
        let Some(child) = self.child(at, part) else { return Ok(None) };
        match &self.inodes[child.inode].kind {
            Kind::Directory(_) => Ok(Some(child.inode)),
            Kind::Symlink(target) => {
                let is_absolute = target.starts_with(b"/");
                way.follow(target)?;
                Ok(Some(if is_absolute { ROOT } else { at }))
            }
            _ => {
                let part = String::from_utf8_lossy(part).escape_debug().to_string();
                Err(Error::new(ErrorKind::NotFound, format!("`{part}` on the way to it is not a directory")))
            }
        }
    }

    /// A file of a lower layer that got a name in this one has all of its names in this one: overlayfs
    /// cannot link across layers.
    fn share_links(&mut self) {
        if self.changes.linked.is_empty() {
            return;
        }
        let layer = self.layer;
        for id in 0..self.inodes.len() {
            let linked = &self.changes.linked;
            let Kind::Directory(directory) = &mut self.inodes[id].kind else { continue };
            for name in directory.names.values_mut().filter(|name| linked.contains_key(&name.inode)) {
                name.layer = layer;
                self.changes.directories.insert(id);
            }
        }
        for inode in self.changes.linked.keys() {
            self.inodes[*inode].layer = layer;
        }
    }
}

/// A link that is longer than any path leads nowhere.
fn check_target(target: &[u8]) -> Result<()> {
    if target.len() > PATH {
        return Err(Error::input(format!("it links to {} bytes, more than {PATH}", target.len())));
    }
    Ok(())
}
