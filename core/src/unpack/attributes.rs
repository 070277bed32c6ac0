//! Owner, mode, extended attributes and time of a file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use longshore_content::{Progress, Work, is_root};
use longshore_oci::{Error, ErrorKind, Result};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr, futimens,
    lsetxattr, utimensat,
};
use rustix::io::Errno;

use crate::archive::Entry;

/// What belongs to a file besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

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
}

impl Attributes {
    /// Those of a directory that no layer describes.
    pub(super) fn implicit() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
    }

    pub(super) fn of(entry: &Entry) -> Result<Self> {
        let id = |what: &str, id: u64| {
            let valid = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            valid.ok_or_else(|| Error::input(format!("its {what} is {id}, which is none")))
        };
        let (uid, gid) = (id("owner", entry.uid)?, id("group", entry.gid)?);
        let is_of_overlay = |name: &[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        if let Some(name) = entry.xattrs.keys().find(|name| is_of_overlay(name)) {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            let message = format!("its attribute `{name}` is for overlayfs, not for a layer");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("make the layer from the merged tree, not from a directory of an overlay"));
        }
        let xattrs = entry.xattrs.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { mode: entry.mode & 0o7777, uid, gid, mtime: entry.mtime, xattrs })
    }

    /// Bytes that they take up beyond their fixed part.
    pub(super) fn size(&self) -> usize {
        self.xattrs.iter().map(|(name, value)| name.len() + value.len() + 128).sum()
    }

    /// Sets them on an open file or directory.
    pub(super) fn set(&self, file: BorrowedFd<'_>, writer: Writer<'_>) -> Result<()> {
        if writer.is_root {
            fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        }
        // A change of the owner takes set-user-ID and capabilities away, so they come after it; a file that
        // is read-only takes no attributes from an ordinary user, so its mode comes last.
        for (name, value) in &self.xattrs {
            self.xattr(name, fsetxattr(file, name.as_slice(), value, XattrFlags::empty()), writer)?;
        }
        fchmod(file, Mode::from_raw_mode(self.mode | writer.access))?;
        Ok(futimens(file, &self.times())?)
    }

    /// Sets them on a name in a directory that is no directory and cannot be opened: a link, a device.
    pub(super) fn set_at(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        is_link: bool,
        writer: Writer<'_>,
    ) -> Result<()> {
        if writer.is_root {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if !is_link {
            chmodat(directory, name, Mode::from_raw_mode(self.mode), AtFlags::empty())?;
        }
        for (key, value) in &self.xattrs {
            let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
            path.extend_from_slice(name);
            self.xattr(key, lsetxattr(path, key.as_slice(), value, XattrFlags::empty()), writer)?;
        }
        Ok(utimensat(directory, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn xattr(&self, name: &[u8], set: rustix::io::Result<()>, writer: Writer<'_>) -> Result<()> {
        let name = || String::from_utf8_lossy(name).escape_debug().to_string();
        match set {
            Err(Errno::NOTSUP) => {
                writer.progress.warn(format!("attribute `{}` left out: the file system has none", name()));
                Ok(())
            }
            Err(Errno::PERM) if !writer.is_root => {
                writer.progress.warn(format!("attribute `{}` left out: only root may set it", name()));
                Ok(())
            }
            set => set.map_err(|error| Error::from(error).context(format!("cannot set attribute `{}`", name()))),
        }
    }

    fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime, tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    }
}
