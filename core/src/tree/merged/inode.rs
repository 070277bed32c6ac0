//! Files in the tree.

use super::attributes::Attributes;
use super::names::Names;

/// A file of any kind, by its number in one tree. Hard links of a file share its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(super) u32);

/// A file of any kind: what it is, without its names.
#[derive(Debug)]
pub struct Inode<C> {
    pub(super) stored: Stored<C>,
    pub(super) attributes: Attributes,
    /// The last layer that defined the file. All of its names are in the snapshot of this layer.
    pub(super) layer: u32,
    pub(super) has_links: bool,
}

/// What kind of file an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'t, C> {
    /// A directory.
    Directory,
    /// A regular file, with the content that its layer gave it.
    File(&'t C),
    /// A symbolic link to this target, which is not checked.
    Symlink(&'t [u8]),
    /// A device.
    Device {
        /// A block device, not a character device.
        is_block: bool,
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// [`Kind`] as stored in the tree: 24 bytes for a `C` of up to 16. Directories are few and boxed.
#[derive(Debug)]
pub(super) enum Stored<C> {
    Directory(Box<Directory>),
    File(C),
    Symlink(Box<[u8]>),
    Device { is_block: bool, major: u32, minor: u32 },
    Fifo,
}

#[derive(Debug)]
pub(super) struct Directory {
    pub(super) parent: InodeId,
    /// The layer that added it, hiding everything in lower layers.
    pub(super) created: u32,
    pub(super) names: Names,
}

impl Directory {
    pub(super) fn new(parent: InodeId, created: u32) -> Self {
        Self { parent, created, names: Names::default() }
    }
}

impl<C> Inode<C> {
    /// Returns the type of the file.
    pub fn kind(&self) -> Kind<'_, C> {
        match &self.stored {
            Stored::Directory(_) => Kind::Directory,
            Stored::File(content) => Kind::File(content),
            Stored::Symlink(target) => Kind::Symlink(target),
            Stored::Device { is_block, major, minor } => {
                Kind::Device { is_block: *is_block, major: *major, minor: *minor }
            }
            Stored::Fifo => Kind::Fifo,
        }
    }

    /// Returns its owner, mode, time and extended attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Returns the number of the layer that said last what it is.
    pub fn layer(&self) -> usize {
        self.layer as usize
    }

    /// Returns whether it ever had a second name, so that a visit may come across it again.
    pub fn has_links(&self) -> bool {
        self.has_links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_inode_would_break_the_promise_of_200_bytes() {
        assert_eq!(size_of::<Inode<[u32; 3]>>(), 64);
        assert_eq!(size_of::<Inode<[u64; 2]>>(), 64);
        assert_eq!(size_of::<Directory>(), 40);
    }
}
