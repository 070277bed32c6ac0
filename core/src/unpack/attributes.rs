//! Sets owner, mode, extended attributes and time of a file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use longshore_content::{Progress, Work, is_root};
use longshore_oci::{Error, Result};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr, futimens,
    lsetxattr, utimensat,
};
use rustix::io::Errno;

use crate::tree::merged::Attributes;

/// Who writes files: root gives them the owners that the layers say, others keep what they make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) is_root: bool,
    /// Bits of the mode that every file and directory has in any case.
    pub(super) access: u32,
    pub(super) progress: &'a Progress,
}

impl<'a> Writer<'a> {
    /// How files are written: as root's in the first user namespace, where owners, devices and attributes
    /// of the system can be set. Root of another namespace is an ordinary user here.
    pub(super) fn new(work: &'a Work) -> Self {
        Writer { is_root: is_root(), access: 0, progress: &work.progress }
    }

    /// As [`new`](Self::new), for snapshots: what an ordinary user could not read or remove again stays
    /// accessible to them.
    pub(super) fn for_snapshots(work: &'a Work) -> Self {
        let writer = Self::new(work);
        Writer { access: if writer.is_root { 0 } else { 0o700 }, ..writer }
    }

    /// Sets the attributes of an open file or directory.
    pub(super) fn set(self, file: BorrowedFd<'_>, attributes: &Attributes) -> Result<()> {
        if self.is_root {
            fchown(file, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
        }
        // A change of the owner takes set-user-ID and capabilities away, so they come after it; a file that
        // is read-only takes no attributes from an ordinary user, so its mode comes last.
        for (name, value) in attributes.xattrs() {
            self.check_xattr(name, fsetxattr(file, name, value, XattrFlags::empty()))?;
        }
        fchmod(file, Mode::from_raw_mode(attributes.mode | self.access))?;
        Ok(futimens(file, &times(attributes))?)
    }

    /// Sets the attributes of a name in a directory that is no directory and cannot be opened: a link, a device.
    pub(super) fn set_at(
        self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        is_link: bool,
        attributes: &Attributes,
    ) -> Result<()> {
        if self.is_root {
            let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
            chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !is_link {
            chmodat(directory, name, Mode::from_raw_mode(attributes.mode), AtFlags::empty())?;
        }
        for (key, value) in attributes.xattrs() {
            let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
            path.extend_from_slice(name);
            self.check_xattr(key, lsetxattr(path, key, value, XattrFlags::empty()))?;
        }
        Ok(utimensat(directory, name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn check_xattr(self, name: &[u8], set: rustix::io::Result<()>) -> Result<()> {
        let name = || String::from_utf8_lossy(name).escape_debug().to_string();
        match set {
            Err(Errno::NOTSUP) => {
                self.progress.warn(format!("attribute `{}` left out: the file system has none", name()));
                Ok(())
            }
            Err(Errno::PERM) if !self.is_root => {
                self.progress.warn(format!("attribute `{}` left out: only root may set it", name()));
                Ok(())
            }
            set => set.map_err(|error| Error::from(error).context(format!("cannot set attribute `{}`", name()))),
        }
    }
}

fn times(attributes: &Attributes) -> Timestamps {
    let time = Timespec { tv_sec: attributes.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
