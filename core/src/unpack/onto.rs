//! Writing into a directory that has files: what is the same stays, and the rest is replaced by a rename.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use longshore_content::{is_scratch, remove_tree_at};
use longshore_oci::{Context, Result};
use rustix::fs::{AtFlags, Mode, chmodat, fchmod, fstat, mkdirat, readlinkat, unlinkat};
use rustix::io::Errno;

use super::below::{join, metadata_below, names, open_directory_below, shown, split};
use super::place::{Onto, Placer};
use crate::tree::merged::Attributes;

impl Placer<'_> {
    /// Makes a directory where there may be one. Its attributes come last: until then things are put into it.
    pub(super) fn make_directory_onto(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = split(path);
        let parent = open_directory_below(self.root, parent)?;
        match mkdirat(&parent, name, Mode::RWXU) {
            Err(Errno::EXIST) => match open_directory_below(self.root, path) {
                Ok(directory) => make_writable(&directory),
                Err(Errno::ACCESS) => Ok(chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?),
                // Any other error says nothing of what is there.
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    self.make_way(parent.as_fd(), name)?;
                    Ok(mkdirat(&parent, name, Mode::RWXU)?)
                }
                Err(error) => Err(error.into()),
            },
            made => Ok(made?),
        }
    }

    /// Moves a staged file over what has its name in the current directory.
    pub(super) fn move_onto(&self, staged: &[u8], name: &[u8]) -> Result<()> {
        match self.rename(staged, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.make_way(self.current.as_fd(), name)?;
                Ok(self.rename(staged, name)?)
            }
            renamed => {
                renamed?;
                // A rename over another name of the same file does nothing (rename(2)).
                match unlinkat(self.staging, staged, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Removes what is at a name, if it may be: it was seen when the files were staged, or came since.
    fn make_way(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        if !matches!(self.onto, Onto::Files { deletes: true }) {
            return Err(Errno::EXIST.into());
        }
        Ok(remove_tree_at(parent, name)?)
    }

    /// Returns whether a symbolic link is there already.
    pub(super) fn is_present_link(&self, name: &[u8], target: &[u8], attributes: &Attributes) -> bool {
        if !matches!(self.onto, Onto::Files { .. }) {
            return false;
        }
        let Ok(found) = metadata_below(&self.current, name) else { return false };
        // One with several names may be more than this one in another tree.
        found.file_type().is_symlink()
            && found.nlink() == 1
            && readlinkat(&self.current, name, Vec::new()).is_ok_and(|found| found.as_bytes() == target)
            && found.mtime() == attributes.mtime
            && self.writer.has_owner(&found, attributes)
            && attributes.xattrs().next().is_none()
    }

    /// Removes what the tree does not have.
    pub(super) fn delete_others(&self) -> Result<()> {
        for (path, inode) in &self.directories {
            let listed = open_directory_below(self.root, path).map_err(Into::into);
            let listed = listed.and_then(|opened| names(&opened).map(|names| (opened, names)));
            let (opened, names) = listed.attempt(|| format!("cannot list `{}`", shown(path)))?;
            for (name, _) in names {
                let is_kept = self.tree.has_name(*inode, &name);
                if is_kept || path.is_empty() && is_scratch(OsStr::from_bytes(&name)) {
                    continue;
                }
                let removed = remove_tree_at(opened.as_fd(), &name);
                removed.attempt(|| format!("cannot remove `{}`", shown(&join(path, &name))))?;
            }
        }
        Ok(())
    }
}

/// Lets an owner who is not root put things into a directory.
fn make_writable(directory: &OwnedFd) -> Result<()> {
    let mode = fstat(directory)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        fchmod(directory, Mode::from_raw_mode(mode | 0o700))?;
    }
    Ok(())
}
