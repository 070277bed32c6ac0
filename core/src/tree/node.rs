//! A file found by the walk.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_oci::{Context, Error, Result};
pub use rustix::fs::FileType;
use rustix::fs::{CWD, Mode, OFlags, Stat, fgetxattr, flistxattr, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::sparse::SparseFile;

/// `NONBLOCK`, because a file may have been replaced by a pipe since it was listed.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file as the walk found it, without following it if it is a symbolic link.
#[derive(Debug)]
pub struct Node<'a> {
    pub(super) place: Place<'a>,
    pub(super) parent: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
    /// For a directory, the directory itself.
    pub(super) directory: Option<BorrowedFd<'a>>,
    pub(super) stat: Stat,
}

/// Where a file is, for errors about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Path,
    pub(super) path: &'a [u8],
    /// The length of the path to the mount point of its file system, if that is not the root's.
    pub(super) mounted: Option<usize>,
}

impl Place<'_> {
    pub(super) fn display(&self) -> String {
        self.root.join(Path::new(OsStr::from_bytes(self.path))).display().to_string()
    }

    pub(super) fn failed(&self, error: Errno) -> Error {
        if error == Errno::NOENT { self.changed("vanished") } else { self.with_hint(error.into()) }
    }

    /// Returns the error for a file that changed; `what` says when, such as `while it was read`.
    pub(super) fn changed(&self, what: &str) -> Error {
        let error = Error::input(format!("{} {what} while it was read", self.display()));
        error.with_hint(
            self.hint().unwrap_or_else(|| {
                "export a tree that nothing writes to, such as a snapshot, or exclude it".to_owned()
            }),
        )
    }

    fn with_hint(&self, error: Error) -> Error {
        let error = error.context(format!("cannot read {}", self.display()));
        match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Returns a hint about mounted file systems, such as /proc, which are rarely intended.
    fn hint(&self) -> Option<String> {
        let mounted = self.path.get(..self.mounted?)?;
        let mounted = String::from_utf8_lossy(mounted).escape_debug().to_string();
        Some(format!("`{mounted}` is another file system: exclude it"))
    }
}

/// A place that outlives the walk.
#[derive(Debug)]
struct OwnedPlace {
    root: PathBuf,
    path: Vec<u8>,
    mounted: Option<usize>,
}

impl OwnedPlace {
    fn of(place: Place<'_>) -> Self {
        Self { root: place.root.to_owned(), path: place.path.to_owned(), mounted: place.mounted }
    }

    fn get(&self) -> Place<'_> {
        Place { root: &self.root, path: &self.path, mounted: self.mounted }
    }
}

impl Node<'_> {
    /// Returns its path from the root of the walk.
    pub fn path(&self) -> &[u8] {
        self.place.path
    }

    /// Returns its name in its directory.
    pub fn name(&self) -> &[u8] {
        self.name.to_bytes()
    }

    /// Returns its full path, for messages.
    pub fn display(&self) -> String {
        self.place.display()
    }

    /// Returns the metadata of the file.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Returns the type of the file.
    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens a regular file. It yields exactly the bytes that its size promised, or fails.
    ///
    /// # Errors
    /// A file that cannot be opened, or that is not the one that was found.
    pub fn open(&self) -> Result<NodeFile> {
        let opened = openat(self.parent, self.name, FILE, Mode::empty()).map_err(|error| self.place.failed(error))?;
        let stat = fstat(&opened).map_err(|error| self.place.failed(error))?;
        if (stat.st_dev, stat.st_ino) != (self.stat.st_dev, self.stat.st_ino) {
            return Err(self.place.changed("was replaced"));
        }
        let place = OwnedPlace::of(self.place);
        let file = SparseFile::new(File::from(opened), &stat);
        Ok(NodeFile { file, place, left: self.stat.st_size.cast_unsigned() })
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// A link that cannot be read.
    pub fn read_link(&self) -> Result<Vec<u8>> {
        let target = readlinkat(self.parent, self.name, Vec::new()).map_err(|error| self.place.failed(error))?;
        Ok(target.into_bytes())
    }

    /// Returns an extended attribute of a directory.
    ///
    /// # Errors
    /// An attribute that cannot be read; that there is none is not an error.
    pub fn directory_xattr(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(directory) = self.directory else { return Ok(None) };
        xattr(directory, name).map_err(|error| self.place.failed(error))
    }

    /// Returns the names of the extended attributes of a directory.
    ///
    /// # Errors
    /// Those of listing them.
    pub fn directory_xattr_names(&self) -> Result<Vec<Vec<u8>>> {
        let Some(directory) = self.directory else { return Ok(Vec::new()) };
        xattr_names(directory).map_err(|error| self.place.failed(error))
    }
}

/// Returns the names of the extended attributes of the directory at `path`.
pub(crate) fn directory_xattr_names(path: &Path) -> Result<Vec<Vec<u8>>> {
    in_directory(path, xattr_names)
}

/// Returns an extended attribute of the directory at `path`.
pub(crate) fn directory_xattr(path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    in_directory(path, |directory| xattr(directory, name))
}

fn in_directory<T>(path: &Path, read: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>) -> Result<T> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let read = || read(openat(CWD, path, flags, Mode::empty())?.as_fd());
    read().attempt(|| format!("cannot read {}", path.display()))
}

fn xattr_names(file: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = vec![0; 256];
    loop {
        match flistxattr(file, &mut names[..]) {
            Ok(size) => {
                let names = names[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty());
                return Ok(names.map(<[u8]>::to_vec).collect());
            }
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(Errno::RANGE) if names.len() < 64 << 10 => names.resize(64 << 10, 0),
            Err(error) => return Err(error),
        }
    }
}

fn xattr(file: BorrowedFd<'_>, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0; 256];
    loop {
        match fgetxattr(file, name, &mut value[..]) {
            Ok(size) => {
                value.truncate(size);
                return Ok(Some(value));
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(Errno::RANGE) if value.len() < 64 << 10 => value.resize(64 << 10, 0),
            Err(error) => return Err(error),
        }
    }
}

/// A regular file that fails if its size is not what it was when the walk found it.
#[derive(Debug)]
pub struct NodeFile {
    file: SparseFile,
    place: OwnedPlace,
    left: u64,
}

impl NodeFile {
    /// Returns the names of its extended attributes.
    ///
    /// # Errors
    /// Those of listing them.
    pub fn xattr_names(&self) -> Result<Vec<Vec<u8>>> {
        xattr_names(self.file.file.as_fd())
            .attempt(|| format!("cannot read the attributes of {}", self.place.get().display()))
    }

    /// Returns an extended attribute.
    ///
    /// # Errors
    /// An attribute that cannot be read; that there is none is not an error.
    pub fn xattr(&self, name: &str) -> Result<Option<Vec<u8>>> {
        xattr(self.file.file.as_fd(), name).attempt(|| format!("cannot read {name} of {}", self.place.get().display()))
    }
}

impl Read for NodeFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size_changed = || self.place.get().changed("changed its size");
        let count = match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            read => read.map_err(|error| self.place.get().with_hint(error.into()))?,
        };
        if count as u64 > self.left || (count == 0 && self.left > 0 && !buffer.is_empty()) {
            return Err(size_changed().into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}
