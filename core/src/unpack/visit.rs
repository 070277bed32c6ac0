//! A merged tree, and what one layer changed in it, in an order in which they can be written.

use std::collections::BTreeSet;

use longshore_oci::Result;

use super::merge::{Id, Merge, Name, ROOT};

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

impl Merge<'_> {
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
        for name in gone.filter(|_| directory.created < self.layer) {
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
