//! How a directory tells that all its files are of exports: an attribute has the digest of the list of them. A file that
//! someone adds changes the list.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use longshore_content::is_scratch;
use longshore_oci::{Context, Digest, Error, Hasher, Result};
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;

use crate::unpack::below::{join, names, open_directory_below, shown};

/// The attribute.
const MARK: &str = "user.longshore.files";

/// Returns whether all files in a directory are of exports.
pub(super) fn is_ours(root: &OwnedFd) -> bool {
    match marked(root) {
        None => names(root).is_ok_and(|names| names.iter().all(|(name, _)| is_scratch(OsStr::from_bytes(name)))),
        noted => listing(root).is_ok_and(|list| list.is_none() || list == noted),
    }
}

/// Returns the digest of the list of files below a directory; `None` if there are none.
///
/// # Errors
/// A mount point below it; I/O errors.
pub(super) fn listing(root: &OwnedFd) -> Result<Option<Digest>> {
    let mut hasher = Hasher::sha256();
    let mut left: Vec<Vec<u8>> = vec![Vec::new()];
    let mut is_empty = true;
    while let Some(path) = left.pop() {
        let directory = match open_directory_below(root, &path) {
            Err(Errno::XDEV) => {
                let message = format!("something is mounted on `{}`, whose files would be removed", shown(&path));
                return Err(Error::option(message).with_hint("unmount it, or leave out mode=delete"));
            }
            directory => directory.attempt(|| format!("cannot list `{}`", shown(&path)))?,
        };
        let mut names = names(&directory)?;
        names.sort();
        for (name, is_directory) in names {
            if path.is_empty() && is_scratch(OsStr::from_bytes(&name)) {
                continue;
            }
            is_empty = false;
            let below = join(&path, &name);
            hasher.update(&below);
            hasher.update(if is_directory { b"/\0" } else { b"\0\0" });
            if is_directory {
                left.push(below);
            }
        }
    }
    Ok((!is_empty).then(|| hasher.finish()))
}

/// Returns the list that was noted for a directory.
pub(super) fn marked(root: &OwnedFd) -> Option<Digest> {
    let mut value = [0u8; 128];
    let length = fgetxattr(root, MARK, &mut value[..]).ok()?;
    std::str::from_utf8(&value[..length]).ok()?.parse().ok()
}

/// Notes the list of all files, where the file system can hold the note and the files can be listed: an owner may be
/// unable to list what an image has.
pub(super) fn mark(root: &OwnedFd) {
    if let Ok(Some(list)) = listing(root) {
        let _ = fsetxattr(root, MARK, list.to_string().as_bytes(), XattrFlags::empty());
    }
}
