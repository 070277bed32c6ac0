//! Sets owner, mode, extended attributes and time of a file.

use std::fs::Metadata;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use longshore_content::{Progress, Work, is_root};
use longshore_oci::{Error, Result};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr, futimens,
    lsetxattr, utimensat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::tree::merged::Attributes;

/// Who writes files: root gives them the owners that the layers say, others keep what they make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) is_root: bool,
    /// Whether files and directories are for a snapshot, in which their owner must be able to read and remove
    /// everything.
    is_for_snapshots: bool,
    pub(super) progress: &'a Progress,
}

/// The path of a file in the image, for messages.
pub(super) type Shown<'a> = &'a dyn Fn() -> String;

impl<'a> Writer<'a> {
    /// Returns how files are written: as root's in the first user namespace, where owners, devices and attributes
    /// of the system can be set. Root of another namespace is an ordinary user here.
    pub(super) fn new(work: &'a Work) -> Self {
        Writer { is_root: is_root(), is_for_snapshots: false, progress: &work.progress }
    }

    /// As [`new`](Self::new), for snapshots: what an ordinary user could not read or remove again stays
    /// accessible to them.
    pub(super) fn for_snapshots(work: &'a Work) -> Self {
        Writer { is_for_snapshots: true, ..Self::new(work) }
    }

    /// Sets the attributes of an open file.
    pub(super) fn set_file(self, file: BorrowedFd<'_>, attributes: &Attributes, shown: Shown<'_>) -> Result<()> {
        self.set(file, attributes, self.access(0o600), shown)
    }

    /// Sets the attributes of an open directory.
    pub(super) fn set_directory(self, file: BorrowedFd<'_>, attributes: &Attributes, shown: Shown<'_>) -> Result<()> {
        self.set(file, attributes, self.access(0o700), shown)
    }

    /// Returns whether a file has its owner, as far as the user can set it.
    pub(super) fn has_owner(self, found: &Metadata, attributes: &Attributes) -> bool {
        let has_owner = !self.is_root || (found.uid(), found.gid()) == (attributes.uid, attributes.gid);
        has_owner && self.may_change(found)
    }

    /// Returns whether the user can set the attributes of a file: those of someone else's can only be replaced.
    pub(super) fn may_change(self, found: &Metadata) -> bool {
        self.is_root || found.uid() == geteuid().as_raw()
    }

    /// Returns the bits of a mode that a file has in any case.
    fn access(self, bits: u32) -> u32 {
        if self.is_for_snapshots && !self.is_root { bits } else { 0 }
    }

    fn set(self, file: BorrowedFd<'_>, attributes: &Attributes, access: u32, shown: Shown<'_>) -> Result<()> {
        if self.is_root {
            fchown(file, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))?;
        }
        // A change of the owner takes set-user-ID and capabilities away, so they come after it; a file that
        // is read-only takes no attributes from an ordinary user, so its mode comes last.
        for (name, value) in attributes.xattrs() {
            self.check_xattr(name, fsetxattr(file, name, value, XattrFlags::empty()), shown)?;
        }
        fchmod(file, Mode::from_raw_mode(attributes.mode | access))?;
        Ok(futimens(file, &times(attributes))?)
    }

    /// Sets the attributes of a name in a directory that is no directory and cannot be opened: a link, a device.
    pub(super) fn set_at(
        self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        is_link: bool,
        attributes: &Attributes,
        shown: Shown<'_>,
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
            self.check_xattr(key, lsetxattr(path, key, value, XattrFlags::empty()), shown)?;
        }
        Ok(utimensat(directory, name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// An attribute that the system does not take is left out with a warning, which names the first file of a
    /// kind. A medium that fails is an error.
    fn check_xattr(self, name: &[u8], set: rustix::io::Result<()>, shown: Shown<'_>) -> Result<()> {
        let Err(error) = set else { return Ok(()) };
        let shown_name = String::from_utf8_lossy(name).escape_debug().to_string();
        let reason = match error {
            Errno::NOTSUP => "the file system does not support it",
            // Attributes of users are those of files and directories (xattr(7)).
            Errno::PERM | Errno::ACCESS if self.is_root || name.starts_with(b"user.") => {
                "a file of this type cannot have it"
            }
            Errno::PERM | Errno::ACCESS => "only root may set it",
            Errno::INVAL | Errno::RANGE | Errno::TOOBIG | Errno::NAMETOOLONG => "the system rejects its value",
            error => return Err(Error::from(error).context(format!("cannot set attribute `{shown_name}`"))),
        };
        let family = name.split(|byte| *byte == b'.').next().unwrap_or(name);
        let kind = format!("attribute {} {reason}", String::from_utf8_lossy(family));
        self.progress.warn_once(&kind, || {
            format!("skipped attribute `{shown_name}` of `{}`: {reason} (further ones are not listed)", shown())
        });
        Ok(())
    }
}

fn times(attributes: &Attributes) -> Timestamps {
    let time = Timespec { tv_sec: attributes.mtime, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
