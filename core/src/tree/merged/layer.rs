//! Applying a layer to the tree.

use longshore_oci::{Context, Error, ErrorKind, Result};

use super::inode::{Directory, Inode, InodeId, Stored};
use super::names::Name;
use super::way::Way;
use super::{Attributes, MergedTree, OPAQUE, ROOT, WHITEOUT};
use crate::archive::{Entry, EntryKind, entry_path};

/// Longest name, in bytes (`NAME_MAX`), and longest path (`PATH_MAX` with its NUL).
const NAME: usize = 255;
const PATH: usize = 4095;

/// The layer that is being applied to a [`MergedTree`].
///
/// Its entries come in the order of the archive. A layer that fails, or that is dropped without
/// [`finish`](Self::finish), leaves a tree that is neither with nor without it: drop that too.
#[derive(Debug)]
#[must_use = "a layer changes the tree when its entries are applied, and must be finished"]
pub struct NextLayer<'t, C> {
    pub(super) tree: &'t mut MergedTree<C>,
    pub(super) layer: u32,
}

impl<C> NextLayer<'_, C> {
    /// Returns the number of the layer; the base is 0.
    pub fn number(&self) -> usize {
        self.layer as usize
    }

    /// Applies an entry. `content` stands for the content of a regular file; for other entries it is dropped.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an entry that cannot be applied: one outside of the
    /// root, below a file, beyond too many links, with names that no file system takes, a hard link to a
    /// missing file; and for one beyond the [limits](super::Limits). [`Unsupported`](ErrorKind::Unsupported)
    /// for devices and attributes that mean something to overlayfs.
    pub fn apply(&mut self, entry: &Entry, content: C) -> Result<()> {
        self.entry(entry, content).attempt(|| format!("cannot apply `{}`", entry.display()))
    }

    /// Ends the layer: the tree is what the layers up to this one make, and can be visited.
    pub fn finish(mut self) {
        self.share_links();
    }

    /// Like [`apply`](Self::apply), for callers whose errors say more than the path of the entry.
    pub(crate) fn entry(&mut self, entry: &Entry, content: C) -> Result<()> {
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
                self.put(&parent, name, entry, content)
            }
        }
    }

    /// The root itself, which layers may list as `./`.
    fn root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != EntryKind::Directory {
            return Err(Error::input(format!("the root cannot be a {}", entry.kind)));
        }
        self.set_attributes(ROOT, Attributes::of(entry)?);
        Ok(())
    }

    fn set_attributes(&mut self, directory: InodeId, attributes: Attributes) {
        let layer = self.layer;
        let inode = self.tree.inode_mut(directory);
        inode.attributes = attributes;
        inode.layer = layer;
        self.tree.changes.directories.insert(directory);
    }

    fn put(&mut self, parent: &Way<'_>, name: &[u8], entry: &Entry, content: C) -> Result<()> {
        let existing = self.tree.child(parent.at, name).map(|existing| existing.inode);
        if let Some(existing) = existing.filter(|existing| self.tree.directory(*existing).is_some())
            && entry.kind == EntryKind::Directory
        {
            self.set_attributes(existing, Attributes::of(entry)?);
            return Ok(());
        }
        let stored = match entry.kind {
            EntryKind::Directory => self.directory(parent, name)?,
            EntryKind::File => Stored::File(content),
            EntryKind::Symlink => {
                check_target(&entry.link)?;
                self.tree.quota.take(0, entry.link.len())?;
                Stored::Symlink(entry.link.as_slice().into())
            }
            EntryKind::CharDevice if entry.device == (0, 0) => {
                return Err(Error::new(ErrorKind::Unsupported, "a device 0/0 would be a whiteout of overlayfs"));
            }
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                let is_block = entry.kind == EntryKind::BlockDevice;
                Stored::Device { is_block, major: entry.device.0, minor: entry.device.1 }
            }
            EntryKind::Fifo => Stored::Fifo,
            EntryKind::HardLink => return self.link(parent, name, entry),
        };
        length(parent, name)?;
        let attributes = Attributes::of(entry)?;
        self.remove(parent.at, name);
        let inode = self.add(stored, attributes)?;
        self.name(parent.at, name, inode)
    }

    /// Adds another name for a file in this layer or a lower one.
    fn link(&mut self, parent: &Way<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        check_target(&entry.link)?;
        let shown = String::from_utf8_lossy(&entry.link).escape_debug().to_string();
        let target = Entry::new(entry.link.clone(), EntryKind::File, 0);
        let target = entry_path(&target)?;
        let mut parts: Vec<&[u8]> = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        let missing = || Error::input(format!("it is a hard link to `{shown}`, which is missing"));
        let last = parts.pop().ok_or_else(missing)?;
        let mut found = self.tree.find_directory(&parts)?.ok_or_else(missing)?;
        let inode = self.tree.child(found.at, last).ok_or_else(missing)?.inode;
        if self.tree.directory(inode).is_some() {
            return Err(Error::input(format!("it is a hard link to `{shown}`, which is a directory")));
        }
        if self.tree.child(parent.at, name).is_some_and(|existing| existing.inode == inode) {
            return Ok(());
        }
        let home = self.tree.inode(inode).layer;
        if home < self.layer && !self.tree.changes.linked.contains_key(&inode) {
            // Directories never move, so the path that led to it is the one in its layer.
            found.enter(inode, last);
            self.tree.quota.take(0, found.path.len())?;
            self.tree.changes.linked.insert(inode, (home, found.path.into()));
        }
        self.tree.quota.take(1, length(parent, name)?)?;
        self.tree.inode_mut(inode).has_links = true;
        self.remove(parent.at, name);
        self.name(parent.at, name, inode)
    }

    /// Hides entries of lower layers, wherever it comes in its layer (image-spec, layer.md, "Whiteouts").
    fn whiteout(&mut self, parents: &[&[u8]], name: &[u8], hidden: &[u8]) -> Result<()> {
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::input("it is a whiteout of nothing"));
        }
        // aufs keeps its own metadata under names with this prefix.
        if hidden.starts_with(WHITEOUT) && name != OPAQUE {
            return Ok(());
        }
        // A missing directory has nothing to hide.
        let Some(Way { at: directory, .. }) = self.tree.find_directory(parents)? else { return Ok(()) };
        if name == OPAQUE {
            self.tree.changes.opaque.insert(directory);
            self.tree.changes.directories.insert(directory);
            self.hide_below(directory);
        } else {
            self.hide(directory, hidden);
        }
        Ok(())
    }

    /// Removes a name that lower layers have, but keeps what this layer put there.
    fn hide(&mut self, directory: InodeId, name: &[u8]) {
        let existing = self.tree.child(directory, name).filter(|existing| existing.layer < self.layer);
        let Some(Name { inode, .. }) = existing else { return };
        self.tree.changes.removed.insert((directory, name.into()));
        self.tree.changes.directories.insert(directory);
        if self.tree.directory(inode).is_some() {
            let is_own = self.tree.inode(inode).layer == self.layer;
            self.hide_below(inode);
            let is_empty = self.tree.directory(inode).is_some_and(|directory| directory.names.is_empty());
            if is_own || !is_empty {
                self.make_own(directory, name, inode);
                return;
            }
        }
        if let Some(directory) = self.tree.directory_mut(directory) {
            directory.names.remove(name);
        }
    }

    /// Reduces a directory of a lower layer, which this layer adds again, to the contents from this layer.
    fn make_own(&mut self, parent: InodeId, name: &[u8], id: InodeId) {
        let layer = self.layer;
        if let Some(of) = self.tree.directory_mut(parent).and_then(|parent| parent.names.get_mut(name)) {
            of.layer = layer;
        }
        if let Some(directory) = self.tree.directory_mut(id) {
            directory.created = layer;
        }
        let inode = self.tree.inode_mut(id);
        if inode.layer < layer {
            inode.attributes = Attributes::implicit();
            inode.layer = layer;
        }
        self.tree.changes.directories.insert(id);
    }

    fn hide_below(&mut self, directory: InodeId) {
        let names = self.tree.directory(directory).into_iter().flat_map(|directory| directory.names.iter());
        let names: Vec<Box<[u8]>> = names.map(|(name, _)| name.into()).collect();
        names.iter().for_each(|name| self.hide(directory, name));
    }

    /// Removes a name of any layer.
    fn remove(&mut self, directory: InodeId, name: &[u8]) {
        let removed = self.tree.directory_mut(directory).and_then(|directory| directory.names.remove(name));
        if removed.is_some_and(|removed| removed.layer < self.layer) {
            self.tree.changes.removed.insert((directory, name.into()));
        }
    }

    fn name(&mut self, directory: InodeId, name: &[u8], inode: InodeId) -> Result<()> {
        self.tree.quota.take(0, name.len())?;
        let layer = self.layer;
        if let Some(directory) = self.tree.directory_mut(directory) {
            directory.names.insert(name, Name { inode, layer });
        }
        self.tree.changes.directories.insert(directory);
        if self.tree.directory(inode).is_some() {
            self.tree.changes.directories.insert(inode);
        }
        Ok(())
    }

    fn add(&mut self, stored: Stored<C>, attributes: Attributes) -> Result<InodeId> {
        self.tree.add(Inode { stored, attributes, layer: self.layer, has_links: false })
    }

    /// Returns a directory that is new in this layer.
    fn directory(&self, parent: &Way<'_>, name: &[u8]) -> Result<Stored<C>> {
        // Writers of the tree keep the path of each directory until all are written.
        self.tree.quota.take(0, length(parent, name)?)?;
        Ok(Stored::Directory(Box::new(Directory::new(parent.at, self.layer))))
    }

    /// Finds the directory at a path, following symbolic links, and creates missing ones.
    fn make_directory<'p>(&mut self, parts: &[&'p [u8]]) -> Result<Way<'p>> {
        let mut way = Way::new(parts);
        while let Some(part) = way.next() {
            let step = self.tree.step(&part, &mut way);
            if !step.map_err(|error| Error::input(error.message().to_owned()))? {
                let directory = self.directory(&way, &part)?;
                let made = self.add(directory, Attributes::implicit())?;
                self.name(way.at, &part, made)?;
                way.enter(made, &part);
            }
        }
        Ok(way)
    }

    /// Moves all names of a file of a lower layer to this layer if it got a name here: overlayfs
    /// cannot link across layers.
    fn share_links(&mut self) {
        let (layer, tree) = (self.layer, &mut *self.tree);
        let linked = &tree.changes.linked;
        if linked.is_empty() {
            return;
        }
        for (id, inode) in (0..).map(InodeId).zip(&mut tree.inodes) {
            let Stored::Directory(directory) = &mut inode.stored else { continue };
            for name in directory.names.values_mut().filter(|name| linked.contains_key(&name.inode)) {
                name.layer = layer;
                tree.changes.directories.insert(id);
            }
        }
        for id in linked.keys() {
            tree.inodes[id.0 as usize].layer = layer;
        }
    }
}

/// Returns the length in bytes of a name's path, which links may make longer than any in an archive.
fn length(parent: &Way<'_>, name: &[u8]) -> Result<usize> {
    let length = parent.length(name);
    if length > PATH {
        return Err(Error::input(format!("its path has more than {PATH} bytes")));
    }
    Ok(length)
}

/// Refuses a link target longer than any path, which leads nowhere.
fn check_target(target: &[u8]) -> Result<()> {
    if target.len() > PATH {
        return Err(Error::input(format!("it links to {} bytes, more than {PATH}", target.len())));
    }
    Ok(())
}
