//! Files onto the disk: layers, or the files of an image, into a directory, or a directory for each layer.
//!
//! 1. Everything is staged beside its place: the content of each file under a number, everything else in a tree in
//!    memory ([`merged`](crate::tree::merged)), to which layers are applied in order: whiteouts, links, replaced files.
//!    Layers are read several at a time and their diffIDs verified (`stage`); the files of an output are compared with
//!    those that are there (`directory::stage`).
//! 2. The tree is written (`place`): directories are created, and contents moved to their names. That is a directory
//!    which appears as a whole, or whose files are replaced one by one (`directory`), or a directory per layer for
//!    overlayfs (`snapshots`).
//!
//! No path of an archive is ever handed to the kernel but below a directory that is open, through no link, so nothing in
//! one can reach outside.

mod attributes;
mod below;
mod directory;
mod onto;
mod overlay;
mod place;
mod snapshots;
mod stage;

pub use directory::{FileEntries, FilesDirectory, StagedFiles, unpack};
pub use overlay::{mount, mount_options};
pub use snapshots::{unpack_image, unpack_snapshots};
