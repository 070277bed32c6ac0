//! Unpacking layers into a root file system.
//!
//! 1. Every layer is read once, several at a time: its diffID is verified, the content of each file goes to
//!    a staging directory under a number, everything else stays in memory.
//! 2. The layers are applied in order to a tree in memory ([`merged`](crate::tree::merged)): whiteouts,
//!    links, replaced files.
//! 3. The tree is written (`place`): directories are created, and contents moved to their names; either whole
//!    (`whole`), or as one directory per layer for overlayfs (`snapshots`).
//!
//! No path of an archive is ever handed to the kernel, so nothing in one can reach outside.

mod attributes;
mod filling;
mod overlay;
mod place;
mod snapshots;
mod stage;
mod whole;

use std::os::fd::OwnedFd;
use std::path::Path;

use longshore_content::Cancel;
use longshore_oci::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::layer::BlobSource;
use crate::tree::merged::MergedTree;
use stage::{Content, Entries, Staged};

pub(crate) use attributes::Writer;
pub use overlay::{mount, mount_options};
pub use snapshots::{unpack_image, unpack_snapshots};
pub use whole::unpack;

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).attempt(|| format!("cannot open {}", path.display()))
}

/// Applies the next layer, whose entries have been read.
fn apply(tree: &mut MergedTree<Content>, layer: &BlobSource, entries: Entries, cancel: &Cancel) -> Result<()> {
    let mut next = tree.next_layer();
    for Staged { entry, offset, content } in entries {
        cancel.check()?;
        let applied = next.entry(&entry, content).attempt(|| stage::cannot_unpack(&entry, offset));
        applied.attempt(|| format!("cannot unpack layer {}", layer.descriptor.digest))?;
    }
    next.finish();
    Ok(())
}
