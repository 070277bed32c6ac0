//! The file system that layers make when they are applied in order, in memory.
//!
//! Nothing here touches a file, so nothing that an archive says can reach one: links are followed in
//! the tree that the layers themselves made, and its root is its own parent. What is written
//! afterwards is a tree without a path that has to be followed.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::Limits;
use super::{Attributes, OPAQUE, WHITEOUT};
use crate::archive::{Entry, EntryKind, entry_path};
use crate::error::{Error, ErrorKind, Result};

/// The root.
pub(super) const ROOT: Id = 0;
/// Symbolic links that are followed on the way to one file, as in Linux and in containerd.
const LINKS: usize = 255;
/// Longest name, in bytes (`NAME_MAX`), and longest path (`PATH_MAX` with its end).
const NAME: usize = 255;
const PATH: usize = 4095;

/// A file of any kind, by its place in the table. Names of one file share it.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) struct Inode {
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    /// The layer that said last what it is.
    pub(super) layer: usize,
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
    parent: Id,
    names: BTreeMap<Box<[u8]>, Name>,
    /// The layer in which it came, with nothing of lower layers in it.
    created: usize,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    inode: Id,
    /// The layer that gave it.
    layer: usize,
}

/// What the layer that is being applied did to what was there.
#[derive(Debug, Default)]
struct Changes {
    /// Directories with new names, new attributes, or less in them.
    directories: BTreeSet<Id>,
    /// Names of lower layers that went, some of which came back as something else.
    removed: BTreeSet<(Id, Box<[u8]>)>,
    /// Directories that show nothing of lower layers any more.
    opaque: BTreeSet<Id>,
    /// Files of lower layers that got another name, and where they are: the layer, and a path in it.
    linked: BTreeMap<Id, (usize, Vec<u8>)>,
}

/// The tree after the layers that were applied so far.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    inodes: Vec<Inode>,
    /// The number of the layer that is being applied.
    layer: usize,
    changes: Changes,
    limits: &'a Limits,
}

/// What a visit comes across, in an order in which it can be written: a directory, what is in it that is
/// no directory, then its directories.
#[derive(Debug)]
pub(super) enum Visit<'v> {
    /// A directory, by its path from the root; `opaque` if it hides what lower layers have there.
    Directory { path: &'v [u8], inode: Id, opaque: bool },
    /// A name in the directory that was visited last.
    Name { name: &'v [u8], inode: Id },
    /// A name that lower layers have in the directory that was visited last, and that is gone.
    Gone { name: &'v [u8] },
}

impl<'a> Merge<'a> {
    /// An empty root.
    pub(super) fn new(limits: &'a Limits) -> Self {
        let root = Inode { kind: directory(ROOT, 0), attributes: Attributes::implicit(), layer: 0 };
        Self { inodes: vec![root], layer: 0, changes: Changes::default(), limits }
    }

    pub(super) fn inode(&self, id: Id) -> &Inode {
        &self.inodes[id]
    }

    /// Applies a whole layer: its entries in their order, each with the number of its staged content.
    pub(super) fn apply(&mut self, layer: usize, entries: Vec<(Entry, Option<usize>)>) -> Result<()> {
        self.layer = layer;
        self.changes = Changes::default();
        for (entry, staged) in entries {
            let name = entry.display();
            self.entry(entry, staged).map_err(|error| error.context(format!("cannot apply `{name}`")))?;
        }
        self.share_links();
        Ok(())
    }

    fn entry(&mut self, entry: Entry, staged: Option<usize>) -> Result<()> {
        let path = entry_path(&entry)?;
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
    fn root(&mut self, entry: Entry) -> Result<()> {
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

    fn put(&mut self, parent: Id, name: &[u8], entry: Entry, staged: Option<usize>) -> Result<()> {
        if entry.kind == EntryKind::HardLink {
            return self.link(parent, name, &entry);
        }
        let existing = self.child(parent, name).map(|existing| existing.inode);
        if let Some(existing) = existing.filter(|existing| self.as_directory(*existing).is_some())
            && entry.kind == EntryKind::Directory
        {
            self.set_attributes(existing, Attributes::of(entry)?);
            return Ok(());
        }
        let kind = match entry.kind {
            EntryKind::Directory => directory(parent, self.layer),
            EntryKind::File => Kind::File(match staged {
                Some(number) => Content::Staged { layer: self.layer, number },
                None if entry.size > 0 => Content::Unread,
                None => Content::Empty,
            }),
            EntryKind::Symlink => Kind::Symlink(entry.link.clone()),
            EntryKind::CharDevice if entry.device == (0, 0) => {
                return Err(Error::new(ErrorKind::Unsupported, "a device 0/0 would be a whiteout of overlayfs"));
            }
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                let is_block = entry.kind == EntryKind::BlockDevice;
                Kind::Device { is_block, major: entry.device.0, minor: entry.device.1 }
            }
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::HardLink => return Ok(()),
        };
        let attributes = Attributes::of(entry)?;
        self.remove(parent, name);
        let inode = self.add(kind, attributes)?;
        self.name(parent, name, inode);
        Ok(())
    }

    /// Another name of a file that is there, in this layer or a lower one.
    fn link(&mut self, parent: Id, name: &[u8], entry: &Entry) -> Result<()> {
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
            self.changes.linked.insert(inode, (home, path));
        }
        self.limits.take(1, name.len())?;
        self.remove(parent, name);
        self.name(parent, name, inode);
        Ok(())
    }

    /// Where a name is, from the root.
    fn path_of(&self, mut directory: Id, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name.to_vec()];
        while directory != ROOT {
            let parent = self.as_directory(directory).map_or(ROOT, |directory| directory.parent);
            let names = self.as_directory(parent).into_iter().flat_map(|parent| &parent.names);
            let own = names.filter(|(_, name)| name.inode == directory).map(|(name, _)| name.to_vec()).next();
            parts.extend(own);
            directory = parent;
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
        self.inodes.push(Inode { kind, attributes, layer: self.layer });
        Ok(self.inodes.len() - 1)
    }

    fn child(&self, directory: Id, name: &[u8]) -> Option<Name> {
        self.as_directory(directory)?.names.get(name).copied()
    }

    fn as_directory(&self, inode: Id) -> Option<&Directory> {
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
                    let made = self.add(directory(at, self.layer), Attributes::implicit())?;
                    self.limits.take(0, part.len())?;
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

    /// Visits the whole tree.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(Visit<'_>) -> Result<()>) -> Result<()> {
        self.visit_from(ROOT, &mut Vec::new(), None, false, visit)
    }

    /// Visits what the layer that was applied last changed: what an overlay's directory for it has.
    pub(super) fn visit_changes(&self, visit: &mut dyn FnMut(Visit<'_>) -> Result<()>) -> Result<()> {
        let mut needed = BTreeSet::from([ROOT]);
        for directory in &self.changes.directories {
            let mut at = *directory;
            while needed.insert(at) {
                at = self.as_directory(at).map_or(ROOT, |directory| directory.parent);
            }
        }
        self.visit_from(ROOT, &mut Vec::new(), Some(&needed), false, visit)
    }

    fn visit_from(
        &self,
        id: Id,
        path: &mut Vec<u8>,
        needed: Option<&BTreeSet<Id>>,
        opaque: bool,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(directory) = self.as_directory(id) else { return Ok(()) };
        let is_all = needed.is_none();
        let opaque = opaque || (!is_all && self.changes.opaque.contains(&id));
        visit(Visit::Directory { path, inode: id, opaque })?;
        let mut below = Vec::new();
        for (name, Name { inode, layer }) in &directory.names {
            if self.as_directory(*inode).is_some() {
                if needed.is_none_or(|needed| needed.contains(inode)) {
                    below.push((name, *inode));
                }
            } else if is_all || *layer == self.layer {
                visit(Visit::Name { name, inode: *inode })?;
            }
        }
        let start = (id, Box::default());
        let removed = self.changes.removed.range(start..).take_while(|(of, _)| *of == id).map(|(_, name)| name);
        let gone = removed.filter(|name| !is_all && !opaque && !directory.names.contains_key(*name));
        for name in gone.filter(|_| directory.created < self.layer || id == ROOT) {
            visit(Visit::Gone { name })?;
        }
        for (name, inode) in below {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            // A directory that is new where something else was must not show what lower layers have there.
            let is_new = self.as_directory(inode).is_some_and(|directory| directory.created == self.layer);
            let opaque = !is_all && is_new && self.changes.removed.contains(&(id, name.clone()));
            self.visit_from(inode, path, needed, opaque, visit)?;
            path.truncate(length);
        }
        Ok(())
    }
}

fn directory(parent: Id, created: usize) -> Kind {
    Kind::Directory(Directory { parent, names: BTreeMap::new(), created })
}

/// The parts of a path that are still to come, the next one last.
struct Way {
    parts: Vec<Vec<u8>>,
    links: usize,
}

impl Way {
    fn new(parts: &[&[u8]]) -> Self {
        Self { parts: parts.iter().rev().map(|part| part.to_vec()).collect(), links: 0 }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        self.parts.pop()
    }

    fn follow(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > LINKS {
            return Err(Error::input(format!("more than {LINKS} symbolic links on the way to it")));
        }
        let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        self.parts.extend(parts.map(<[u8]>::to_vec).rev());
        Ok(())
    }
}
