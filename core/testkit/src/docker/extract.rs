//! Extracts layers like dockerd in a chroot: links are resolved inside the root, and nothing is written
//! outside it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::archive::{Archive, Kind, Member, shown};

/// How many symbolic links are followed to one file, as in Linux.
const LINKS: usize = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of aufs's own files, and of [`OPAQUE`].
const METADATA: &[u8] = b".wh..wh.";

/// How to treat whiteouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whiteouts {
    /// Delete what they name.
    Apply,
    /// Keep them as ordinary files, for aufs.
    Keep,
    /// Leave them out: only root can create those of overlayfs.
    Skip,
}

/// Extracts the files, directories and links of an archive to the directory `root`, with their modes and
/// times; devices and pipes are left out.
pub(super) fn extract(archive: &Archive<'_>, root: &Path, whiteouts: Whiteouts) -> io::Result<()> {
    let mut extraction = Extraction { root, whiteouts, own: HashSet::new() };
    for member in &archive.members {
        let placed = extraction.place(member);
        placed.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown(&member.name))))?;
    }
    Ok(())
}

struct Extraction<'a> {
    root: &'a Path,
    whiteouts: Whiteouts,
    /// Paths written by this layer, which opaque directories keep.
    own: HashSet<PathBuf>,
}

impl Extraction<'_> {
    fn place(&mut self, member: &Member<'_>) -> io::Result<()> {
        let parts = clean(&member.name);
        let Some((last, parents)) = parts.split_last().filter(|_| member.kind != Kind::Global) else { return Ok(()) };
        let directory = self.directory(parents)?;
        if last.starts_with(WHITEOUT) && self.whiteouts != Whiteouts::Keep {
            return if self.whiteouts == Whiteouts::Apply { self.white_out(&directory, last) } else { Ok(()) };
        }
        let path = directory.join(OsStr::from_bytes(last));
        let stays = member.kind == Kind::Directory && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        if !stays {
            remove(&path)?;
            self.make(member, &path)?;
        }
        self.own.insert(path);
        Ok(())
    }

    fn make(&self, member: &Member<'_>, path: &Path) -> io::Result<()> {
        match member.kind {
            Kind::File => fs::write(path, member.content),
            Kind::Directory => fs::create_dir(path),
            Kind::Symlink => symlink(OsStr::from_bytes(&member.link), path),
            Kind::HardLink => {
                let parts = clean(&member.link);
                let (last, parents) = parts.split_last().ok_or(io::ErrorKind::IsADirectory)?;
                let target = self.directory(parents)?.join(OsStr::from_bytes(last));
                fs::hard_link(target, path)
            }
            Kind::Special | Kind::Global => Ok(()),
        }
    }

    /// Returns the real directory that `parts` lead to, creating missing ones.
    fn directory(&self, parts: &[&[u8]]) -> io::Result<PathBuf> {
        let mut ahead: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        // From the root and only through directories, so that `..` is the parent.
        let mut behind = PathBuf::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == b".." {
                behind.pop();
                continue;
            }
            let next = behind.join(OsStr::from_bytes(&part));
            let path = self.root.join(&next);
            match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&path)?,
                Err(error) => return Err(error),
                Ok(found) if found.is_symlink() => {
                    links += 1;
                    if links > LINKS {
                        return Err(io::Error::other(format!("more than {LINKS} symbolic links on the way to it")));
                    }
                    let target = fs::read_link(&path)?;
                    if target.is_absolute() {
                        behind.clear();
                    }
                    ahead.extend(split(target.as_os_str().as_bytes()).map(<[u8]>::to_vec).rev());
                    continue;
                }
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            }
            behind = next;
        }
        Ok(self.root.join(behind))
    }

    /// Deletes what a whiteout in `directory` names.
    fn white_out(&self, directory: &Path, name: &[u8]) -> io::Result<()> {
        if name == OPAQUE {
            return self.keep_own(directory);
        }
        if name.starts_with(METADATA) {
            return Ok(());
        }
        match &name[WHITEOUT.len()..] {
            b"" | b"." | b".." => Err(io::Error::other("a whiteout of nothing")),
            name => remove(&directory.join(OsStr::from_bytes(name))),
        }
    }

    /// Deletes everything in `directory` that is not from this layer.
    fn keep_own(&self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if !self.own.contains(&path) {
                remove(&path)?;
            } else if fs::symlink_metadata(&path)?.is_dir() {
                self.keep_own(&path)?;
            }
        }
        Ok(())
    }
}

/// Copies a tree with its links to `to`, which is created.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fn copy(from: &Path, to: &Path, copied: &mut HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let found = entry.metadata()?;
            if found.is_dir() {
                copy(&from, &to, copied)?;
            } else if found.is_symlink() {
                symlink(fs::read_link(&from)?, &to)?;
            } else if let Some(same) = copied.get(&(found.dev(), found.ino())) {
                fs::hard_link(same, &to)?;
            } else {
                fs::copy(&from, &to)?;
                copied.insert((found.dev(), found.ino()), to);
            }
        }
        Ok(())
    }
    copy(from, to, &mut HashMap::new())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns the parts of a name after Go's `filepath.Clean("/" + name)`: `..` removes the part before it, even if
/// that is a link, and stops at the root.
fn clean(name: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    for part in split(name) {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."))
}
