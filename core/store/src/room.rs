//! Room on the file system of a store, for what SQLite needs to remove things from a store on a full disk.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Bytes that a database needs to be opened, besides the file itself.
const NEEDED: u64 = 64 << 10;

/// Bytes of the ballast: enough for the log of a transaction that forgets thousands of blobs.
const BALLAST: u64 = 4 << 20;

/// The ballast is made where it takes at most this part of the free space.
const PART: u64 = 4;

fn ballast(root: &Path) -> PathBuf {
    root.join("ballast")
}

fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Whether there is room beside `database` to open it.
pub(crate) fn is_left(database: &Path) -> bool {
    free(database).is_none_or(|free| free >= NEEDED)
}

/// Makes the ballast of the store in `root`, where it is missing and there is room. A store without one is pruned as
/// long as the disk is not full.
pub(crate) fn reserve(root: &Path) {
    let path = ballast(root);
    let is_missing = fs::metadata(&path).map_or(true, |found| found.len() < BALLAST);
    if is_missing && free(root).is_some_and(|free| free / PART >= BALLAST) {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let _ = file.map(|file| fallocate(file, FallocateFlags::empty(), 0, BALLAST));
    }
}

/// Gives the room of the ballast back.
pub(crate) fn release(root: &Path) {
    let _ = fs::remove_file(ballast(root));
}
