//! Directory trees of any depth, walked with a few descriptors and without long paths.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, chmodat, fchmod, fstat, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An entry below a directory.
#[derive(Debug, Clone, Copy)]
struct Below<'a> {
    /// The directory that contains it.
    directory: BorrowedFd<'a>,
    /// Its name there.
    name: &'a CStr,
    is_directory: bool,
}

/// Returns the bytes of the files below a directory, each counted once.
///
/// # Errors
/// I/O errors; a directory that is moved meanwhile.
pub fn size_below(root: &Path) -> io::Result<u64> {
    let mut size = 0;
    descend(root, &mut |below| {
        if !below.is_directory {
            let stat = statat(below.directory, below.name, AtFlags::SYMLINK_NOFOLLOW)?;
            #[allow(clippy::useless_conversion, reason = "its type depends on the machine")]
            let names = u64::from(stat.st_nlink).max(1);
            size = u64::saturating_add(size, stat.st_size.cast_unsigned() / names);
        }
        Ok(())
    })?;
    Ok(size)
}

/// Calls `visit` with everything below `root`, the contents of a directory before the directory itself.
/// Symbolic links are not followed.
fn descend(root: &Path, visit: &mut dyn FnMut(Below<'_>) -> io::Result<()>) -> io::Result<()> {
    let open = |directory: BorrowedFd<'_>, name: &CStr| openat(directory, name, DIRECTORY, Mode::empty());
    Descent { open: &open, visit }.run(openat(CWD, root, DIRECTORY, Mode::empty())?)
}

/// Removes a file, or a directory with everything below it, even where the owner may not write or read.
/// Files that vanish meanwhile are no error.
///
/// # Errors
/// I/O errors.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    remove(CWD, &CString::new(path.as_os_str().as_bytes())?, &open_to_remove)
}

/// As [`remove_tree`], for a name in an open directory. Neither a symbolic link nor a mount point is entered: what is
/// mounted somewhere below is an error, and stays.
///
/// # Errors
/// I/O errors; `EXDEV` for a mount point.
pub fn remove_tree_at(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let open_here = |directory: BorrowedFd<'_>, name: &CStr| {
        let here = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        // Refuses what is mounted there before anything is changed in it.
        match openat2(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), here) {
            Err(Errno::LOOP) | Ok(_) => open_to_remove(directory, name),
            Err(error) => Err(error),
        }
    };
    remove(directory, &CString::new(name)?, &open_here)
}

/// Opens a directory in another one.
type Open<'a> = dyn Fn(BorrowedFd<'_>, &CStr) -> rustix::io::Result<OwnedFd> + 'a;

fn remove(directory: BorrowedFd<'_>, name: &CStr, open: &Open<'_>) -> io::Result<()> {
    match open(directory, name) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return gone(unlinkat(directory, name, AtFlags::empty())),
        root => {
            let mut remove = |Below { directory, name, is_directory }: Below<'_>| {
                gone(unlinkat(directory, name, if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() }))
            };
            Descent { open, visit: &mut remove }.run(root?)?;
        }
    }
    gone(unlinkat(directory, name, AtFlags::REMOVEDIR))
}

/// Opens a directory, making sure that its owner may remove its contents.
fn open_to_remove(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let opened = match openat(directory, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(directory, name, Mode::RWXU, AtFlags::empty())?;
            openat(directory, name, DIRECTORY, Mode::empty())?
        }
        opened => opened?,
    };
    let mode = fstat(&opened)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        // If this fails, removing the contents fails too.
        let _ = fchmod(&opened, Mode::from_raw_mode(mode | 0o700));
    }
    Ok(opened)
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct Descent<'a> {
    /// Opens a directory in another one.
    open: &'a Open<'a>,
    visit: &'a mut dyn FnMut(Below<'_>) -> io::Result<()>,
}

/// A directory on the current path.
struct Level {
    /// Its device and inode numbers, which identify it.
    identity: (u64, u64),
    /// Subdirectories still to visit.
    left: Vec<CString>,
    /// The subdirectory being visited.
    entered: CString,
}

impl Descent<'_> {
    fn run(mut self, root: OwnedFd) -> io::Result<()> {
        let mut stack: Vec<Level> = Vec::new();
        let mut left = self.read(&root)?;
        let mut at = root;
        loop {
            if let Some(entered) = left.pop() {
                let below = match (self.open)(at.as_fd(), &entered) {
                    Err(Errno::NOENT) => continue,
                    below => below?,
                };
                stack.push(Level { identity: identity(&at)?, left, entered });
                left = self.read(&below)?;
                at = below;
            } else if let Some(level) = stack.pop() {
                let above = openat(&at, "..", DIRECTORY, Mode::empty())?;
                if identity(&above)? != level.identity {
                    return Err(io::Error::other("a directory was moved meanwhile"));
                }
                (self.visit)(Below { directory: above.as_fd(), name: &level.entered, is_directory: true })?;
                (at, left) = (above, level.left);
            } else {
                return Ok(());
            }
        }
    }

    /// Visits everything in `directory` except subdirectories; returns those.
    fn read(&mut self, directory: &OwnedFd) -> io::Result<Vec<CString>> {
        let entries = Dir::read_from(directory)?.collect::<Result<Vec<_>, _>>()?;
        let mut directories = Vec::new();
        for entry in entries.iter().filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b"..")) {
            let name = entry.file_name();
            let kind = match entry.file_type() {
                FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => continue,
                    stat => FileType::from_raw_mode(stat?.st_mode),
                },
                kind => kind,
            };
            if kind == FileType::Directory {
                directories.push(name.to_owned());
            } else {
                (self.visit)(Below { directory: directory.as_fd(), name, is_directory: false })?;
            }
        }
        Ok(directories)
    }
}

fn identity(directory: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_is_below_comes_before_its_directory() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/file"), "").unwrap();
        symlink("a", root.path().join("link")).unwrap();
        let mut names = Vec::new();
        descend(root.path(), &mut |below| {
            names.push((below.name.to_str().unwrap().to_owned(), below.is_directory));
            Ok(())
        })
        .unwrap();
        let expected = [("link", false), ("file", false), ("b", true), ("a", true)];
        assert_eq!(names, expected.map(|(name, is_directory)| (name.to_owned(), is_directory)));
    }

    /// Paths longer than any call takes, and directories that may be neither read nor written.
    #[test]
    fn deep_and_closed_trees_are_removed() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("theirs"), "").unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut at = openat(CWD, &root, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = openat(&at, "deep", DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        for mode in [0o500, 0o000, 0o300] {
            let closed = root.join(format!("{mode:o}"));
            fs::create_dir(&closed).unwrap();
            fs::write(closed.join("file"), "").unwrap();
            symlink("../../theirs", closed.join("link")).unwrap();
            fs::set_permissions(&closed, PermissionsExt::from_mode(mode)).unwrap();
        }
        fs::set_permissions(&root, PermissionsExt::from_mode(0o500)).unwrap();
        remove_tree(&root).unwrap();
        remove_tree(&root).unwrap();
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["theirs"]);
    }
}
