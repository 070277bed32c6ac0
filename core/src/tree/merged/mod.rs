//! The file system that results from applying layers in order, in memory.
//!
//! [`MergedTree`] takes the entries of one layer after another and knows what the stack of layers is:
//! whiteouts hide files of lower layers, later entries replace earlier ones, hard links share a file, and
//! links in a path are followed within the tree (image-spec, layer.md, "Applying Changesets"). It never
//! touches a file, so nothing in an archive can reach one: the root is its own parent, and a link leads
//! wherever it leads in the tree that the layers themselves made.
//!
//! The tree is generic over `C`, which stands for the content of a regular file: a staged file, or its
//! place in a layer. The tree stores the `C` of each surviving file and never looks into it.
//!
//! ```
//! use longshore_core::archive::{Entry, EntryKind};
//! use longshore_core::tree::merged::{Kind, MergedTree, Visit};
//!
//! # fn main() -> longshore_core::Result<()> {
//! let mut tree = MergedTree::default();
//! let mut base = tree.next_layer();
//! base.apply(&Entry::file("etc/hosts", 0o644, 3), "hosts of the base")?;
//! base.apply(&Entry::file("etc/passwd", 0o644, 3), "passwd of the base")?;
//! base.finish();
//! let mut top = tree.next_layer();
//! top.apply(&Entry::file("etc/.wh.hosts", 0o600, 0), "whiteouts have none")?;
//! top.apply(&Entry::new("etc/link", EntryKind::Symlink, 0o777), "links have none")?;
//! top.finish();
//!
//! let mut lines = Vec::new();
//! tree.visit(&mut |visit| {
//!     match visit {
//!         Visit::Directory { path, .. } => lines.push(format!("/{}", String::from_utf8_lossy(path))),
//!         Visit::Name { name, inode } => {
//!             let name = String::from_utf8_lossy(name);
//!             match tree.inode(inode).kind() {
//!                 Kind::File(content) => lines.push(format!("{name}: {content}")),
//!                 kind => lines.push(format!("{name}: {kind:?}")),
//!             }
//!         }
//!         Visit::Gone { .. } => {} // Only when the changes of a layer are visited.
//!     }
//!     Ok(())
//! })?;
//! assert_eq!(lines, ["/", "/etc", "link: Symlink([])", "passwd: passwd of the base"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Memory
//!
//! An entry takes up at most 200 bytes of heap besides the bytes of its name, of the target of a symbolic
//! link, and of its extended attributes (each of which costs another 100). The figure includes the
//! allocator's rounding, spare capacity, and the notes on what the last layer changed, for a `C` of up to
//! 16 bytes. It counts every file that was ever in the tree: one that an upper layer removes stays in the
//! table until the tree is dropped. `core/tests/merged_memory.rs` measures it; typical entries take up
//! about 120 bytes. [`Limits`] bound how many there can be.

mod attributes;
mod inode;
mod layer;
mod limits;
mod names;
mod visit;
mod way;

use std::collections::{BTreeMap, BTreeSet};

use longshore_oci::{Error, Result};

pub use attributes::Attributes;
pub(crate) use attributes::is_attribute_of_overlay;
use inode::{Directory, Stored};
pub use inode::{Inode, InodeId, Kind};
pub use layer::NextLayer;
pub use limits::Limits;
pub(crate) use limits::Quota;
use names::Name;
pub use visit::Visit;

/// Prefix of a file that stands for a deleted one (image-spec, layer.md, "Whiteouts").
pub(crate) const WHITEOUT: &[u8] = b".wh.";
/// File that hides the contents of lower layers in its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";

/// The root directory, which every tree has.
const ROOT: InodeId = InodeId(0);

/// The tree after the layers applied so far.
#[derive(Debug)]
pub struct MergedTree<C> {
    inodes: Vec<Inode<C>>,
    /// The number of layers begun.
    layers: u32,
    changes: Changes,
    quota: Quota,
}

/// The changes that the last layer made.
#[derive(Debug, Default)]
struct Changes {
    /// Directories with new names, new attributes, or fewer names.
    directories: BTreeSet<InodeId>,
    /// Names of lower layers that were removed, some of which were then added as something else.
    removed: BTreeSet<(InodeId, Box<[u8]>)>,
    /// Directories that no longer show anything of lower layers.
    opaque: BTreeSet<InodeId>,
    /// Files of lower layers that got another name: the layer they come from, and their path in it.
    linked: BTreeMap<InodeId, (u32, Box<[u8]>)>,
}

impl<C> Default for MergedTree<C> {
    /// Creates an empty tree with the default limits.
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl<C> MergedTree<C> {
    /// Returns an empty tree: a root directory that no layer described.
    pub fn new(limits: Limits) -> Self {
        let root = Inode {
            stored: Stored::Directory(Box::new(Directory::new(ROOT, 0))),
            attributes: Attributes::implicit(),
            layer: 0,
            has_links: false,
        };
        Self { inodes: vec![root], layers: 0, changes: Changes::default(), quota: Quota::new(limits) }
    }

    /// Begins the next layer; the first is the base, with the number 0.
    ///
    /// The changes of the layer before it are forgotten.
    pub fn next_layer(&mut self) -> NextLayer<'_, C> {
        let layer = self.layers;
        self.layers += 1;
        self.changes = Changes::default();
        NextLayer { tree: self, layer }
    }

    /// Returns the file with the number `id`, which a visit of this tree gave.
    ///
    /// # Panics
    /// If `id` is of another, larger tree.
    pub fn inode(&self, id: InodeId) -> &Inode<C> {
        &self.inodes[id.0 as usize]
    }

    /// Returns where a file of a lower layer is that got another name in the last layer: the number of the
    /// layer that has it, and its path there.
    ///
    /// Links of overlayfs cannot cross layers. Such a file belongs to the last layer from then on, with all
    /// of its names, and a writer of snapshots copies its content from there.
    pub fn linked(&self, id: InodeId) -> Option<(usize, &[u8])> {
        self.changes.linked.get(&id).map(|(layer, path)| (*layer as usize, &**path))
    }

    /// Returns whether a directory has a name.
    pub(crate) fn has_name(&self, directory: InodeId, name: &[u8]) -> bool {
        self.child(directory, name).is_some()
    }

    /// Returns the number of the last layer.
    fn last(&self) -> u32 {
        self.layers.saturating_sub(1)
    }

    fn directory(&self, id: InodeId) -> Option<&Directory> {
        match &self.inode(id).stored {
            Stored::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn directory_mut(&mut self, id: InodeId) -> Option<&mut Directory> {
        match &mut self.inode_mut(id).stored {
            Stored::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn inode_mut(&mut self, id: InodeId) -> &mut Inode<C> {
        &mut self.inodes[id.0 as usize]
    }

    fn child(&self, directory: InodeId, name: &[u8]) -> Option<Name> {
        self.directory(directory)?.names.get(name)
    }

    fn add(&mut self, inode: Inode<C>) -> Result<InodeId> {
        self.quota.take(1, inode.attributes.size())?;
        let id = u32::try_from(self.inodes.len()).map_err(|_| Error::input("the layers have more than 2^32 files"))?;
        if self.inodes.len() == self.inodes.capacity() {
            // Doubling would leave up to half of the largest table unused.
            self.inodes.reserve_exact(self.inodes.len() / 8 + 16);
        }
        self.inodes.push(inode);
        Ok(InodeId(id))
    }
}
