//! Space on the file system of a store, which SQLite needs to prune a store on a full disk.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use longshore_content::ScratchFile;
use longshore_oci::{ErrorKind, Result};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Bytes needed to open a database, besides the file itself.
const NEEDED: u64 = 64 << 10;

/// Size of the ballast in bytes: enough for the log of a transaction that forgets thousands of blobs.
const BALLAST: u64 = 4 << 20;

/// The ballast is created if the free space is at least this many times its size.
const PART: u64 = 4;

fn ballast(root: &Path) -> PathBuf {
    root.join("ballast")
}

fn free(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Returns whether there is room beside `database` to open it. A quota only shows when something is written.
pub(crate) fn is_left(database: &Path) -> bool {
    let takes = || database.parent().is_none_or(|root| !is_refused(&probe(root)));
    free(database).is_none_or(|free| free >= NEEDED) && takes()
}

/// Writes as much as a database needs, and removes it again.
fn probe(root: &Path) -> Result<()> {
    let mut file = ScratchFile::new_in(root)?;
    file.file().write_all(&[0; NEEDED as usize])?;
    Ok(file.file().sync_all()?)
}

/// Other errors of a directory are not about space.
fn is_refused(written: &Result<()>) -> bool {
    written.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
}

/// Creates the ballast of the store in `root`, if it is missing and there is room. A store without one can be pruned
/// until the disk is full.
pub(crate) fn reserve(root: &Path) {
    let path = ballast(root);
    let is_missing = fs::metadata(&path).map_or(true, |found| found.len() < BALLAST);
    if is_missing && free(root).is_some_and(|free| free / PART >= BALLAST) {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let _ = file.map(|file| fallocate(file, FallocateFlags::empty(), 0, BALLAST));
    }
}

/// Frees the space of the ballast.
pub(crate) fn release(root: &Path) {
    let _ = fs::remove_file(ballast(root));
}

#[cfg(test)]
mod tests {
    use longshore_oci::Error;
    use rustix::io::Errno;

    use super::*;

    /// SQLite tells a full disk, but says "disk I/O error" of a full quota.
    #[test]
    fn a_full_quota_is_as_a_full_disk() {
        for (errno, expected) in [
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::IO, false),
            (Errno::ROFS, false),
            (Errno::ACCESS, false),
        ] {
            assert_eq!(is_refused(&Err(Error::from(errno))), expected, "{errno}");
        }
        let root = tempfile::tempdir().unwrap();
        assert!(is_left(&root.path().join("store.db")) && !is_refused(&probe(root.path())));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(probe(&root.path().join("missing")).is_err() && is_left(&root.path().join("missing/store.db")));
    }
}
