//! Paths below a directory, opened through no link and no mount.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_content::is_scratch;
use longshore_oci::{Context, Error, Result};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

/// Opens a directory that this process made.
pub(super) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).attempt(|| format!("cannot open {}", path.display()))
}

/// Opens the directory itself that someone named: the path to it may lead through links.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd> {
    let opened = File::open(root).attempt(|| format!("cannot open {}", root.display()))?;
    if !opened.metadata()?.is_dir() {
        return Err(Error::option(format!("{} is not a directory", root.display())));
    }
    Ok(opened.into())
}

/// Opens what is at `path` below `root`; an empty path is the root.
pub(super) fn open_below(root: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    openat2(root, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a directory below `root`.
pub(super) fn open_directory_below(root: impl AsFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    open_below(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Creates a regular file, which only its owner can read until it has its attributes.
pub(super) fn create(directory: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Returns the names in a directory, and whether each is that of a directory.
pub(super) fn names(directory: &OwnedFd) -> Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => FileType::from_raw_mode(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            kind => kind,
        };
        names.push((name.to_bytes().to_vec(), kind == FileType::Directory));
    }
    Ok(names)
}

/// Returns the metadata of what is at `path`, of a link itself.
pub(super) fn metadata_below(root: impl AsFd, path: &[u8]) -> rustix::io::Result<std::fs::Metadata> {
    let file = File::from(open_below(root, path, OFlags::PATH)?);
    file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Returns whether a path has the name of a temporary file in it.
pub(super) fn has_scratch(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| is_scratch(OsStr::from_bytes(name)))
}

/// Splits a path into its directory and its name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Joins the path of a directory, empty for the root, and a name in it.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

/// Returns a path in the image, for display.
pub(super) fn shown(path: &[u8]) -> String {
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    String::from_utf8_lossy(path).escape_debug().to_string()
}
