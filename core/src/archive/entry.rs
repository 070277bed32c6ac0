//! A file as its tar header describes it.

use std::collections::BTreeMap;

/// What kind of file an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// Another name of the file at [`Entry::link`].
    #[strum(serialize = "hard link")]
    HardLink,
    /// A symbolic link to [`Entry::link`].
    #[strum(serialize = "symbolic link")]
    Symlink,
    /// A character device.
    #[strum(serialize = "character device")]
    CharDevice,
    /// A block device.
    #[strum(serialize = "block device")]
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A file in an archive. Names are bytes: they need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path without a slash at the end; without one at the start where we wrote it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Where it points, for links.
    pub link: Vec<u8>,
    /// Bytes of data that follow; 0 for all but regular files.
    pub size: u64,
    /// Permissions with set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// When it was last changed, in seconds since 1970, rounded down.
    pub mtime: i64,
    /// Major and minor number, for devices.
    pub device: (u32, u32),
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Entry {
    /// Creates an entry owned by root and last changed in 1970.
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            link: Vec::new(),
            size: 0,
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            device: (0, 0),
            xattrs: BTreeMap::new(),
        }
    }

    /// Creates a regular file of `size` bytes.
    pub fn file(path: impl Into<Vec<u8>>, mode: u32, size: u64) -> Self {
        Self { size, ..Self::new(path, EntryKind::File, mode) }
    }

    /// Returns the path for display.
    pub fn display(&self) -> String {
        shown(&self.path)
    }
}

/// Returns a path for display.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}
