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
mod whole;

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

use attributes::Attributes;

use crate::cancel::Cancel;
use crate::error::{Context, Result};
use crate::progress::Progress;

pub use overlay::{mount, mount_options};
pub use snapshots::{SnapshotWriter, Snapshots, chain_ids, unpack_snapshots};
pub use whole::unpack;

/// Prefix of a file that stands for a deleted one (image-spec, layer.md, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
/// File that hides what lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

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
    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).attempt(|| format!("cannot open {}", path.display()))
}
