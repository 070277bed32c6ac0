//! Directories that others write to: what is read has a limit, and no link leads out.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use longshore_core::{Context, Error, ErrorKind, Result};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

/// An open directory, and where it is.
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = rustix::fs::open(path, DIRECTORY, Mode::empty());
        let fd = opened.map_err(error_of).attempt(|| format!("cannot open {}", path.display()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory below, through no link.
    pub(crate) fn directory(&self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fd = self.open_below(path, DIRECTORY)?;
        Ok(Self { fd, path: self.path.join(path) })
    }

    /// Opens a file below, through no link.
    pub(crate) fn file(&self, path: impl AsRef<Path>) -> Result<File> {
        Ok(File::from(self.open_below(path.as_ref(), FILE)?))
    }

    /// Reads a file below of at most `limit` bytes; `None` if it is not there.
    pub(crate) fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let file = match self.file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        let shown = || self.path.join(path).display().to_string();
        file.take(limit + 1).read_to_end(&mut bytes).attempt(|| format!("cannot read {}", shown()))?;
        if bytes.len() as u64 > limit {
            return Err(Error::input(format!("{} has more than {limit} bytes", shown())));
        }
        Ok(Some(bytes))
    }

    /// As [`read`](Self::read), for a file of one line.
    pub(crate) fn read_line(&self, path: impl AsRef<Path>) -> Result<Option<String>> {
        let path = path.as_ref();
        let Some(bytes) = self.read(path, LINE)? else { return Ok(None) };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Error::corrupt(format!("{} is not text", self.path.join(path).display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// The names in a directory below, sorted; none if it is not there.
    pub(crate) fn names(&self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let directory = match self.directory(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            directory => directory?,
        };
        let list = || -> rustix::io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&directory.fd)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            Ok(names)
        };
        let listed = list().map_err(error_of);
        let mut names = listed.attempt(|| format!("cannot list {}", directory.path.display()))?;
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    /// Opens a regular file at a path in the image whose root this directory is: links are followed as
    /// they would be followed in a container, and lead nowhere else.
    ///
    /// `RESOLVE_BENEATH` would refuse what dockerd extracted in a chroot: `lib -> /usr/lib`, then `lib/x`.
    pub(crate) fn open_in_root(&self, path: &Path) -> Result<(File, u64)> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let fd = openat2(&self.fd, path, FILE, Mode::empty(), resolve).map_err(error_of)?;
        regular(fd)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn open_below(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let opened = openat2(self.fd.as_fd(), path, flags, Mode::empty(), resolve);
        opened.map_err(error_of).attempt(|| format!("cannot open {}", self.path.join(path).display()))
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.path).finish()
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Without `NONBLOCK` a named pipe would wait for a writer.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Far more than a digest or a number.
const LINE: u64 = 4 << 10;

fn regular(fd: OwnedFd) -> Result<(File, u64)> {
    let stat = fstat(&fd).map_err(error_of)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::corrupt("it is not a regular file"));
    }
    Ok((File::from(fd), stat.st_size.cast_unsigned()))
}

fn error_of(errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::corrupt("it is a symbolic link"),
        Errno::NOSYS => Error::new(ErrorKind::Unsupported, "this kernel has no openat2 (Linux 5.6)"),
        errno => std::io::Error::from(errno).into(),
    }
}
