//! The walk: sorted, relative to directory handles, and never through a symbolic link.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use longshore_oci::{Context, Error, Result};
pub use rustix::fs::FileType;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat, fgetxattr, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{Matched, Patterns};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// `NONBLOCK`, because what was a file when it was listed may be a pipe when it is opened.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file as the walk found it, without following it if it is a symbolic link.
#[derive(Debug)]
pub struct Node<'a> {
    root: &'a Path,
    parent: BorrowedFd<'a>,
    name: &'a CStr,
    /// For a directory, the directory itself.
    directory: Option<BorrowedFd<'a>>,
    path: &'a [u8],
    stat: Stat,
}

/// Calls `visit` for each file below `root` that `excludes` leaves in, parents first, the names of a
/// directory sorted by their bytes. The root itself is not visited.
///
/// A directory that is excluded is visited all the same before the first file in it that a `!`
/// pattern includes again.
///
/// # Errors
/// Those of `visit`; a directory that cannot be read, by name.
pub fn walk(root: &Path, excludes: &Patterns, visit: &mut dyn FnMut(&Node<'_>) -> Result<()>) -> Result<()> {
    let open = || openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let directory = open().attempt(|| format!("cannot open {}", root.display()))?;
    let mut walk = Walk { root, excludes, visit, path: Vec::new(), stack: Vec::new() };
    walk.enter(directory, None, excludes.root())?;
    walk.run()
}

struct Walk<'a> {
    root: &'a Path,
    excludes: &'a Patterns,
    visit: &'a mut dyn FnMut(&Node<'_>) -> Result<()>,
    path: Vec<u8>,
    stack: Vec<Level>,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    directory: OwnedFd,
    /// Its names that are still to come, the next one last.
    names: Vec<CString>,
    /// Its own name and what was found of it; `None` for the root.
    own: Option<(CString, Stat)>,
    visited: bool,
    matched: Matched,
    path_length: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(level) = self.stack.last_mut() {
            let Some(name) = level.names.pop() else {
                self.stack.pop();
                continue;
            };
            self.path.truncate(level.path_length);
            if level.path_length > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name.to_bytes());
            self.step(name)?;
        }
        Ok(())
    }

    /// Looks at one name of the directory on top of the stack.
    fn step(&mut self, name: CString) -> Result<()> {
        let Some(level) = self.stack.last() else { return Ok(()) };
        let matched = self.excludes.enter(&level.matched, &self.path);
        let stat = statat(&level.directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| self.failed(error))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            if matched.is_excluded() && !self.excludes.may_reinclude_below(&self.path) {
                return Ok(());
            }
            let directory =
                openat(&level.directory, &name, DIRECTORY, Mode::empty()).map_err(|error| self.failed(error))?;
            let is_excluded = matched.is_excluded();
            self.enter(directory, Some((name, stat)), matched)?;
            return if is_excluded { Ok(()) } else { self.visit_directories() };
        }
        if matched.is_excluded() {
            return Ok(());
        }
        self.visit_directories()?;
        let Some(level) = self.stack.last() else { return Ok(()) };
        let node = Node {
            root: self.root,
            parent: level.directory.as_fd(),
            name: &name,
            directory: None,
            path: &self.path,
            stat,
        };
        (self.visit)(&node)
    }

    /// Visits the directories on the stack that were not visited yet, from the root down.
    fn visit_directories(&mut self) -> Result<()> {
        for depth in 1..self.stack.len() {
            let (above, rest) = self.stack.split_at_mut(depth);
            let (parent, level) = (&above[depth - 1], &mut rest[0]);
            let Some((name, stat)) = level.own.as_ref().filter(|_| !level.visited) else { continue };
            let node = Node {
                root: self.root,
                parent: parent.directory.as_fd(),
                name,
                directory: Some(level.directory.as_fd()),
                path: &self.path[..level.path_length],
                stat: *stat,
            };
            (self.visit)(&node)?;
            level.visited = true;
        }
        Ok(())
    }

    fn enter(&mut self, directory: OwnedFd, own: Option<(CString, Stat)>, matched: Matched) -> Result<()> {
        let mut names = Vec::new();
        let entries = Dir::read_from(&directory).map_err(|error| self.failed(error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.failed(error))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        let path_length = self.path.len();
        self.stack.push(Level { directory, names, own, visited: false, matched, path_length });
        Ok(())
    }

    fn failed(&self, error: Errno) -> Error {
        failed(error, self.root, &self.path)
    }
}

fn failed(error: Errno, root: &Path, path: &[u8]) -> Error {
    let file = display(root, path);
    if error == Errno::NOENT {
        return changed(&format!("{file} vanished while it was read"));
    }
    Error::from(error).context(format!("cannot read {file}"))
}

fn changed(message: &str) -> Error {
    Error::input(message).with_hint("export a tree that nobody writes to, such as a snapshot")
}

fn display(root: &Path, path: &[u8]) -> String {
    root.join(Path::new(std::ffi::OsStr::from_bytes(path))).display().to_string()
}

impl Node<'_> {
    /// Its path from the root of the walk.
    pub fn path(&self) -> &[u8] {
        self.path
    }

    /// Its name in its directory.
    pub fn name(&self) -> &[u8] {
        self.name.to_bytes()
    }

    /// Its full path, for messages.
    pub fn display(&self) -> String {
        display(self.root, self.path)
    }

    /// What the system says about it.
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens a regular file. It yields exactly the bytes that its size promised, or fails.
    ///
    /// # Errors
    /// A file that cannot be opened, or that is not the one that was found.
    pub fn open(&self) -> Result<NodeFile> {
        let opened = openat(self.parent, self.name, FILE, Mode::empty()).map_err(|error| self.failed(error))?;
        let stat = fstat(&opened).map_err(|error| self.failed(error))?;
        if (stat.st_dev, stat.st_ino) != (self.stat.st_dev, self.stat.st_ino) {
            return Err(changed(&format!("{} was replaced while it was read", self.display())));
        }
        let path = PathBuf::from(self.display());
        Ok(NodeFile { file: File::from(opened), path, left: self.stat.st_size.cast_unsigned() })
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    /// A link that cannot be read.
    pub fn read_link(&self) -> Result<Vec<u8>> {
        let target = readlinkat(self.parent, self.name, Vec::new()).map_err(|error| self.failed(error))?;
        Ok(target.into_bytes())
    }

    /// An extended attribute of a directory.
    ///
    /// # Errors
    /// An attribute that cannot be read; that there is none is not an error.
    pub fn directory_xattr(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(directory) = self.directory else { return Ok(None) };
        xattr(directory, name).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: Errno) -> Error {
        failed(error, self.root, self.path)
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
    file: File,
    path: PathBuf,
    left: u64,
}

impl NodeFile {
    /// An extended attribute.
    ///
    /// # Errors
    /// An attribute that cannot be read; that there is none is not an error.
    pub fn xattr(&self, name: &str) -> Result<Option<Vec<u8>>> {
        xattr(self.file.as_fd(), name).attempt(|| format!("cannot read {name} of {}", self.path.display()))
    }
}

impl Read for NodeFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size_changed = || changed(&format!("{} changed its size while it was read", self.path.display()));
        let count = match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            read => read.attempt(|| format!("cannot read {}", self.path.display()))?,
        };
        if count as u64 > self.left || (count == 0 && self.left > 0 && !buffer.is_empty()) {
            return Err(size_changed().into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn visited(root: &Path, patterns: &[&str]) -> Vec<String> {
        let mut paths = Vec::new();
        walk(root, &Patterns::new(patterns).unwrap(), &mut |node| {
            paths.push(String::from_utf8_lossy(node.path()).into_owned());
            Ok(())
        })
        .unwrap();
        paths
    }

    #[test]
    fn sorted_by_bytes_parents_first() {
        let root = tempfile::tempdir().unwrap();
        for file in ["b/z", "b-", "b.d/a", "a", "b/é", "Z"] {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::write(root.path().join(file), "").unwrap();
        }
        assert_eq!(visited(root.path(), &[]), ["Z", "a", "b", "b/z", "b/é", "b-", "b.d", "b.d/a"]);
        assert_eq!(visited(root.path(), &["b*", "!b/z"]), ["Z", "a", "b", "b/z"]);
        assert_eq!(visited(root.path(), &["b/**"]), ["Z", "a", "b", "b-", "b.d", "b.d/a"]);
    }

    /// What `change` does to a file after the walk found it and before it is read.
    fn reading_after(change: impl Fn(&Path)) -> Error {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, [1; 1000]).unwrap();
        walk(root.path(), &Patterns::default(), &mut |node| {
            change(&file);
            Ok(node.open()?.read_to_end(&mut Vec::new()).map(drop)?)
        })
        .unwrap_err()
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_named() {
        type Change = fn(&Path);
        let cases: [(&str, Change); 5] = [
            ("vanished", |file| fs::remove_file(file).unwrap()),
            ("changed its size", |file| fs::write(file, [1; 999]).unwrap()),
            ("changed its size", |file| fs::write(file, [1; 1001]).unwrap()),
            ("changed its size", |file| fs::write(file, [1; 500_000]).unwrap()),
            ("was replaced", |file| {
                fs::write(file.with_extension("new"), [1; 1000]).unwrap();
                fs::rename(file.with_extension("new"), file).unwrap();
            }),
        ];
        for (expected, change) in cases {
            let error = reading_after(change);
            assert!(error.message().contains("/file ") && error.message().contains(expected), "{expected}: {error}");
        }
    }
}
