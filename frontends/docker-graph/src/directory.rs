//! Directories that others write to: reads are limited, and no link leads outside.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use longshore_core::{Context, Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat};
use rustix::io::Errno;

/// An open directory, and its path.
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = rustix::fs::open(path, DIRECTORY, Mode::empty());
        let fd = opened.map_err(error_of).attempt(|| format!("cannot open {}", path.display()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory below this one, through no link.
    pub(crate) fn directory(&self, path: impl AsRef<Path>) -> Result<Self> {
        let below = path.as_ref();
        let path = self.path.join(below);
        let opened = self.resolve(below, DIRECTORY, BELOW).map_err(error_of);
        let fd = opened.attempt(|| format!("cannot open {}", path.display()))?;
        Ok(Self { fd, path })
    }

    /// Opens a regular file below this directory, through no link.
    pub(crate) fn file(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        let opened = self.resolve(path, FILE, BELOW).map_err(error_of).and_then(regular);
        let (file, _) = opened.attempt(|| format!("cannot open {}", self.path.join(path).display()))?;
        Ok(file)
    }

    /// Reads a file below this directory, of at most `limit` bytes; `None` if it is missing.
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

    /// Like [`read`](Self::read), for a file of one line.
    pub(crate) fn read_line(&self, path: impl AsRef<Path>) -> Result<Option<String>> {
        let path = path.as_ref();
        let Some(bytes) = self.read(path, LINE)? else { return Ok(None) };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Error::corrupt(format!("{} is not text", self.path.join(path).display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Returns the sorted names in a directory below this one; none if it is missing.
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

    /// Opens a directory at a path in the image with this directory as root. Links are followed as in a
    /// container, and lead nowhere else.
    ///
    /// `RESOLVE_BENEATH` would refuse paths that dockerd extracted in a chroot: `lib -> /usr/lib`, then `lib/x`.
    pub(crate) fn directory_in_root(&self, path: &Path) -> Result<Self> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let fd = self.resolve(path, DIRECTORY | OFlags::PATH, resolve).map_err(error_in_image)?;
        Ok(Self { fd, path: self.path.join(path) })
    }

    /// Opens a regular file of an image in this directory, and returns its size in bytes.
    ///
    /// Its type is checked first: images may have devices, and opening some has side effects, such as starting a
    /// watchdog.
    pub(crate) fn file_of_image(&self, name: &OsStr) -> Result<(File, u64)> {
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(error_in_image)?;
        size(&found)?;
        let fd = self.resolve(Path::new(name), FILE, BELOW | ResolveFlags::NO_XDEV).map_err(error_in_image)?;
        regular(fd)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn resolve(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        let open = || openat2(&self.fd, path, flags, Mode::empty(), resolve);
        for attempt in 0..ATTEMPTS {
            match open() {
                Err(Errno::AGAIN) if attempt >= QUICK_ATTEMPTS => thread::sleep(Duration::from_millis(1)),
                Err(Errno::AGAIN) => {}
                opened => return opened,
            }
        }
        open()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Directory").field(&self.path).finish()
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// `NONBLOCK`, because a file may have been replaced by a pipe since it was checked.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Through no link, and not outside the directory.
const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// How often a path is resolved while other processes rename: then the kernel cannot trust a `..` in a link, and
/// wants a retry (`EAGAIN` of openat2).
const ATTEMPTS: usize = 5_000;
const QUICK_ATTEMPTS: usize = 100;
/// Far more than a digest or a number.
const LINE: u64 = 4 << 10;

/// Returns an open descriptor as a regular file, with its size.
fn regular(fd: OwnedFd) -> Result<(File, u64)> {
    let size = size(&fstat(&fd).map_err(error_of)?)?;
    Ok((File::from(fd), size))
}

/// Returns the size of a regular file.
fn size(stat: &Stat) -> Result<u64> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat.st_size.cast_unsigned()),
        FileType::Symlink => Err(error_of(Errno::LOOP)),
        _ => Err(Error::corrupt("it is not a regular file")),
    }
}

fn error_of(errno: Errno) -> Error {
    match errno {
        Errno::LOOP => Error::corrupt("it is a symbolic link"),
        Errno::NOSYS => Error::new(ErrorKind::Unsupported, "this kernel has no openat2 (Linux 5.6)"),
        errno => std::io::Error::from(errno).into(),
    }
}

/// Returns why a file of an image cannot be opened. dockerd extracted it, so any obstacle was added later.
fn error_in_image(errno: Errno) -> Error {
    Error::corrupt(match errno {
        Errno::LOOP => "its path has a loop of symbolic links",
        Errno::NOTDIR => "a parent in its path is not a directory",
        Errno::XDEV => "another file system is mounted there",
        Errno::INVAL | Errno::NAMETOOLONG => "its name is not a valid file name",
        errno => return error_of(errno),
    })
}
