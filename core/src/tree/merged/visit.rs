//! A merged tree, or the changes of one layer, in an order in which they can be written.

use std::collections::BTreeSet;

use longshore_oci::Result;

use super::inode::InodeId;
use super::{MergedTree, ROOT};

/// One step of a visit.
///
/// A directory comes first, then the names in it that are no directories, then names that are gone from it,
/// then its directories, each in the same way. Names come in the order of their bytes. The root comes first
/// of all, with an empty path; no path has a slash at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit<'v> {
    /// A directory.
    Directory {
        /// Its path from the root, through no link.
        path: &'v [u8],
        /// The directory.
        inode: InodeId,
        /// Whether it hides what lower layers have at its path. False when the whole tree is visited.
        opaque: bool,
    },
    /// A name in the directory that was visited last, of anything but a directory. Hard links are names of
    /// the same inode.
    Name {
        /// The name, without the path of its directory.
        name: &'v [u8],
        /// The file that has the name.
        inode: InodeId,
    },
    /// A name that lower layers have in the directory that was visited last, and that the last layer
    /// removed. Only when changes are visited.
    Gone {
        /// The name, without the path of its directory.
        name: &'v [u8],
    },
}

impl<C> MergedTree<C> {
    /// Visits the whole tree.
    ///
    /// # Errors
    /// Errors of `visit`, which end the visit.
    pub fn visit(&self, visit: &mut dyn FnMut(Visit<'_>) -> Result<()>) -> Result<()> {
        self.visit_from(ROOT, &mut Vec::new(), None, false, visit)
    }

    /// Visits the whole tree as a walk of its directories would: names in the order of their bytes, and each directory at
    /// once before what is below it. `visit` gets the path from the root, which comes first with an empty one.
    ///
    /// # Errors
    /// Errors of `visit`, which end the walk.
    pub fn walk(&self, visit: &mut dyn FnMut(&[u8], InodeId) -> Result<()>) -> Result<()> {
        self.walk_from(ROOT, &mut Vec::new(), visit)
    }

    fn walk_from(
        &self,
        id: InodeId,
        path: &mut Vec<u8>,
        visit: &mut dyn FnMut(&[u8], InodeId) -> Result<()>,
    ) -> Result<()> {
        visit(path, id)?;
        let Some(directory) = self.directory(id) else { return Ok(()) };
        for (name, of) in directory.names.iter() {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            self.walk_from(of.inode, path, visit)?;
            path.truncate(length);
        }
        Ok(())
    }

    /// Visits what the last layer changed: what the directory of an overlay for this layer has.
    ///
    /// The root is never opaque: an opaque marker there becomes a name that is gone for each name below.
    /// Directories on the way to a change are visited too, with the attributes that they have by then.
    ///
    /// # Errors
    /// Errors of `visit`, which end the visit.
    pub fn visit_changes(&self, visit: &mut dyn FnMut(Visit<'_>) -> Result<()>) -> Result<()> {
        let mut needed = BTreeSet::from([ROOT]);
        for directory in &self.changes.directories {
            let mut at = *directory;
            while needed.insert(at) {
                at = self.directory(at).map_or(ROOT, |directory| directory.parent);
            }
        }
        self.visit_from(ROOT, &mut Vec::new(), Some(&needed), false, visit)
    }

    fn visit_from(
        &self,
        id: InodeId,
        path: &mut Vec<u8>,
        needed: Option<&BTreeSet<InodeId>>,
        opaque: bool,
        visit: &mut dyn FnMut(Visit<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(directory) = self.directory(id) else { return Ok(()) };
        let is_all = needed.is_none();
        // Overlayfs reads no attributes from the root of a layer, so everything hidden there is removed by name.
        let opaque = opaque || (!is_all && id != ROOT && self.changes.opaque.contains(&id));
        visit(Visit::Directory { path, inode: id, opaque })?;
        let mut below = Vec::new();
        for (name, of) in directory.names.iter() {
            if self.directory(of.inode).is_some() {
                if needed.is_none_or(|needed| needed.contains(&of.inode)) {
                    below.push((name, of.inode));
                }
            } else if is_all || of.layer == self.last() {
                visit(Visit::Name { name, inode: of.inode })?;
            }
        }
        if !is_all && !opaque && directory.created < self.last() {
            let removed = self.changes.removed.range((id, Box::default())..).take_while(|(of, _)| *of == id);
            for (_, name) in removed.filter(|(_, name)| directory.names.get(name).is_none()) {
                visit(Visit::Gone { name })?;
            }
        }
        for (name, inode) in below {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            // A new directory in place of something else must not show the contents of lower layers.
            let is_new = self.directory(inode).is_some_and(|directory| directory.created == self.last());
            let opaque = !is_all && is_new && self.changes.removed.contains(&(id, name.into()));
            self.visit_from(inode, path, needed, opaque, visit)?;
            path.truncate(length);
        }
        Ok(())
    }
}
