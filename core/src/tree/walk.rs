//! The walk: sorted, relative to directory handles, and never through a symbolic link.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_content::is_scratch;
use longshore_oci::{Context, Error, Result};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::node::{Node, Place};
use super::{Matched, Patterns};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How many of the deepest directories are kept open. Those above are reopened on the way back.
const OPEN: usize = 64;

/// Calls `visit` for each file below `root` that `excludes` leaves in, parents first, the names of a
/// directory sorted by their bytes. The root itself is not visited.
///
/// A directory that is excluded is visited all the same before the first file in it that a `!`
/// pattern includes again. A temporary directory of Longshore is visited, but not what is in it, which
/// may vanish at any time, and so is a directory that [`exclude_directory`](Patterns::exclude_directory) names.
///
/// # Errors
/// Errors of `visit`; a directory that cannot be read, by name.
pub fn walk(root: &Path, excludes: &Patterns, visit: &mut dyn FnMut(&Node<'_>) -> Result<()>) -> Result<()> {
    let open = || openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let directory = open().attempt(|| format!("cannot open {}", root.display()))?;
    let device = fstat(&directory).attempt(|| format!("cannot open {}", root.display()))?.st_dev;
    let mut walk = Walk { root, device, excludes, visit, path: Vec::new(), stack: Vec::new() };
    walk.enter(directory, None, excludes.root())?;
    walk.run()
}

struct Walk<'a> {
    root: &'a Path,
    /// The file system of the root.
    device: u64,
    excludes: &'a Patterns,
    visit: &'a mut dyn FnMut(&Node<'_>) -> Result<()>,
    path: Vec<u8>,
    stack: Vec<Level>,
}

/// A directory on the path from the root to the current one.
struct Level {
    /// Open, unless it is far above the current one.
    directory: Option<OwnedFd>,
    /// Its device and inode numbers, which identify it.
    identity: (u64, u64),
    /// Names still to visit, the next one last.
    names: Vec<CString>,
    /// Its own name and metadata; `None` for the root.
    own: Option<(CString, Stat)>,
    visited: bool,
    matched: Matched,
    path_length: usize,
    /// The length of the path to its mount point, if its file system is not the root's.
    mounted: Option<usize>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<()> {
        while let Some(level) = self.stack.last_mut() {
            let Some(name) = level.names.pop() else {
                self.leave()?;
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

    /// Handles one name in the directory on top of the stack.
    fn step(&mut self, name: CString) -> Result<()> {
        let Some((level, directory)) = self.top() else { return Ok(()) };
        let matched = self.excludes.enter(&level.matched, &self.path);
        let is_scratch = is_scratch(OsStr::from_bytes(name.to_bytes()));
        let stat = match statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) if is_scratch => return Ok(()),
            stat => stat.map_err(|error| self.failed(error))?,
        };
        let is_left_out = || is_scratch || self.excludes.excluded_directory((stat.st_dev, stat.st_ino)).is_some();
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && !is_left_out() {
            if matched.is_excluded() && !self.excludes.may_reinclude_below(&self.path) {
                return Ok(());
            }
            let directory = openat(directory, &name, DIRECTORY, Mode::empty()).map_err(|error| self.failed(error))?;
            let is_excluded = matched.is_excluded();
            self.enter(directory, Some((name, stat)), matched)?;
            return if is_excluded { Ok(()) } else { self.visit_directories() };
        }
        if matched.is_excluded() {
            return Ok(());
        }
        self.visit_directories()?;
        // The device number of a file itself is no help: overlayfs reports that of a layer.
        let Some(Level { directory: Some(directory), mounted, .. }) = self.stack.last() else { return Ok(()) };
        let mounted = *mounted;
        let place = Place { root: self.root, path: &self.path, mounted };
        (self.visit)(&Node { place, parent: directory.as_fd(), name: &name, directory: None, stat })
    }

    /// Returns the current directory.
    fn top(&self) -> Option<(&Level, &OwnedFd)> {
        let level = self.stack.last()?;
        Some((level, level.directory.as_ref()?))
    }

    /// Returns to the parent directory.
    fn leave(&mut self) -> Result<()> {
        let Some(Level { directory: Some(below), own: Some(_), .. }) = self.stack.pop() else { return Ok(()) };
        let Some(level) = self.stack.last_mut().filter(|level| level.directory.is_none()) else { return Ok(()) };
        let path = &self.path[..level.path_length];
        let place = Place { root: self.root, path, mounted: level.mounted };
        let open = || -> Result<(OwnedFd, Stat), Errno> {
            let directory = openat(&below, "..", DIRECTORY, Mode::empty())?;
            let stat = fstat(&directory)?;
            Ok((directory, stat))
        };
        let (directory, stat) = open().map_err(|error| place.failed(error))?;
        if (stat.st_dev, stat.st_ino) != level.identity {
            return Err(place.changed("was moved"));
        }
        level.directory = Some(directory);
        Ok(())
    }

    /// Visits the directories on the stack that have not been visited yet, from the root down.
    fn visit_directories(&mut self) -> Result<()> {
        for depth in 1..self.stack.len() {
            let (above, rest) = self.stack.split_at_mut(depth);
            let (parent, level) = (&above[depth - 1], &mut rest[0]);
            let Some((name, stat)) = level.own.as_ref().filter(|_| !level.visited) else { continue };
            let (Some(parent), Some(directory)) = (&parent.directory, &level.directory) else { continue };
            let place = Place { root: self.root, path: &self.path[..level.path_length], mounted: level.mounted };
            let directory = Some(directory.as_fd());
            let node = Node { place, parent: parent.as_fd(), name, directory, stat: *stat };
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
        let stat = fstat(&directory).map_err(|error| self.failed(error))?;
        let (identity, directory) = ((stat.st_dev, stat.st_ino), Some(directory));
        let path_length = self.path.len();
        let above = self.stack.last().and_then(|level| level.mounted);
        let mounted = above.or_else(|| (stat.st_dev != self.device).then_some(path_length));
        self.stack.push(Level { directory, identity, names, own, visited: false, matched, path_length, mounted });
        // An unvisited directory is still needed, and so is its parent.
        if let Some([level, next, ..]) = self.stack.len().checked_sub(OPEN).and_then(|at| self.stack.get_mut(at..))
            && next.visited
        {
            level.directory = None;
        }
        Ok(())
    }

    /// Returns an error about the current path.
    fn failed(&self, error: Errno) -> Error {
        let mounted = self.stack.last().and_then(|level| level.mounted);
        Place { root: self.root, path: &self.path, mounted }.failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;

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

    /// Returns what `change` does to a file after the walk found it and before it is read.
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
