//! Layers become a root file system.
//!
//! 1. Every layer is read once, several at a time: its diffID is verified, the content of each file goes to
//!    a staging directory under a number, everything else stays in memory.
//! 2. The layers are applied in order to a tree in memory (`merge`): whiteouts, links, replaced files.
//! 3. The tree is written (`place`): directories are made, and contents moved to their names; as a whole
//!    (`whole`), or as a directory a layer for overlayfs (`snapshots`).
//!
//! No path of an archive is ever handed to the kernel, so nothing in one can reach outside.

mod attributes;
mod limits;
mod merge;
mod overlay;
mod place;
mod snapshots;
mod stage;
mod visit;
mod way;
mod whole;

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;

use longshore_content::{Cancel, Progress, is_root};
use longshore_oci::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use attributes::{Attributes, Writer};

pub use overlay::{mount, mount_options};
pub use snapshots::{unpack_image, unpack_snapshots};
pub use whole::unpack;

/// What unpacking works with.
#[derive(Debug, Clone, Copy)]
pub struct Unpacking<'a> {
    /// Layers that are read at the same time.
    pub jobs: NonZeroUsize,
    /// Where to report what is under way.
    pub progress: &'a Progress,
    /// What says when to stop.
    pub cancel: &'a Cancel,
}

impl Unpacking<'_> {
    /// How files are written: as root's in the first user namespace, where owners, devices and attributes
    /// of the system can be set. Root of another namespace is an ordinary user here.
    fn writer(&self) -> Writer<'_> {
        Writer { is_root: is_root(), access: 0, progress: self.progress }
    }

    /// As [`writer`](Self::writer), for snapshots: what an ordinary user could not read or remove again
    /// stays accessible to them.
    fn snapshot_writer(&self) -> Writer<'_> {
        let writer = self.writer();
        Writer { access: if writer.is_root { 0 } else { 0o700 }, ..writer }
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).attempt(|| format!("cannot open {}", path.display()))
}
