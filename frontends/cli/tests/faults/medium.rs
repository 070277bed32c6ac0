//! What is on a medium when the power is cut, while a command is followed: nothing that was not flushed.
//!
//! A file is on it as it was when it was last flushed (`fsync`, `fdatasync`, `syncfs`), a directory with the names that it
//! had when it was last flushed itself. What a call flushes is taken when it begins, and counts once it has succeeded.
//! The state when the command starts is on the medium.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsString, c_long};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::Pid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, openat, utimensat};

use crate::trace::Observer;

/// What a medium does with what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Names and contents are lost.
    Strict,
    /// Names are there, contents are lost: as with delayed allocation.
    Names,
    /// Names are there, and the first half of what was written.
    Half,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Strict => "names and data lost",
            Self::Names => "data lost",
            Self::Half => "half of the data lost",
        })
    }
}

/// A file or directory, by its number, which is not given again while this is held.
struct Node {
    _held: OwnedFd,
    metadata: Metadata,
    content: Content,
}

#[derive(Clone)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<OsString, u64>),
    Link(PathBuf),
    Other,
}

/// The files below a directory, as they are on the medium.
pub struct Medium {
    root: PathBuf,
    top: u64,
    nodes: HashMap<u64, Node>,
    /// What is on the medium once the call of a thread has succeeded.
    flushing: HashMap<Pid, HashMap<u64, Node>>,
}

impl Medium {
    /// Everything that is below `root` now.
    pub fn new(root: &Path) -> Self {
        let mut nodes = HashMap::new();
        let top = take_all(root, &mut nodes).unwrap();
        Self { root: root.to_owned(), top, nodes, flushing: HashMap::new() }
    }

    /// What a flush of the file or directory at `path` puts on the medium.
    fn flushed(&self, path: &Path) -> io::Result<HashMap<u64, Node>> {
        let mut flushed = HashMap::new();
        let (number, node) = take(path, true)?;
        if let Content::Directory(names) = &node.content {
            for (name, number) in names {
                let named = path.join(name);
                // The name of a new file is there, what is in it is not.
                let fresh = match take(&named, false) {
                    Ok((found, node)) if found == *number => node.emptied(),
                    _ => continue,
                };
                if !self.nodes.contains_key(number) {
                    flushed.insert(*number, fresh);
                }
            }
        }
        flushed.insert(number, node);
        Ok(flushed)
    }

    /// Writes what is left after a cut of the power to the directory `to`. For another medium than the strict one, the
    /// directory that the command ran in is as it left it.
    pub fn replay(&self, cut: Cut, to: &Path) {
        let mut links = HashMap::new();
        match cut {
            Cut::Strict => self.write_node(self.top, to, &mut links),
            Cut::Names | Cut::Half => self.write_present(cut, &self.root, to, &mut links),
        }
        links.values().for_each(|path| renumber(path, &links));
    }

    fn write_node(&self, number: u64, to: &Path, links: &mut HashMap<u64, PathBuf>) {
        let Some(node) = self.nodes.get(&number) else { return };
        write(number, &node.metadata, &node.content, to, links);
        if let Content::Directory(names) = &node.content {
            for (name, below) in names {
                self.write_node(*below, &to.join(name), links);
            }
            set_attributes(&node.metadata, to);
        }
    }

    /// Writes what is at `from`, with as much of the contents as is left.
    fn write_present(&self, cut: Cut, from: &Path, to: &Path, links: &mut HashMap<u64, PathBuf>) {
        let (number, mut node) = take(from, false).unwrap();
        if let Content::File(now) = &mut node.content {
            let flushed = match self.nodes.get(&number).map(|node| &node.content) {
                Some(Content::File(flushed)) => flushed.as_slice(),
                _ => &[],
            };
            if now != flushed {
                *now = match cut {
                    Cut::Half => half(flushed, now),
                    _ => flushed.to_vec(),
                };
            }
        }
        write(number, &node.metadata, &node.content, to, links);
        if let Content::Directory(names) = &node.content {
            names.keys().for_each(|name| self.write_present(cut, &from.join(name), &to.join(name), links));
            set_attributes(&node.metadata, to);
        }
    }
}

impl Observer for Medium {
    fn begins(&mut self, thread: Pid, call: c_long, [descriptor, ..]: [u64; 3]) {
        let flushed = match call {
            libc::SYS_fsync | libc::SYS_fdatasync => {
                self.flushed(Path::new(&format!("/proc/{thread}/fd/{descriptor}")))
            }
            libc::SYS_syncfs | libc::SYS_sync => {
                let mut all = HashMap::new();
                take_all(&self.root, &mut all).map(|_| all)
            }
            _ => return,
        };
        self.flushing.insert(thread, flushed.unwrap_or_default());
    }

    fn ended(&mut self, thread: Pid, result: i64) {
        let Some(flushed) = self.flushing.remove(&thread) else { return };
        if result == 0 {
            self.nodes.extend(flushed);
        }
    }
}

impl Node {
    /// As it is before anything in it is flushed.
    fn emptied(mut self) -> Self {
        match &mut self.content {
            Content::File(bytes) => bytes.clear(),
            Content::Directory(names) => names.clear(),
            Content::Link(_) | Content::Other => {}
        }
        self
    }
}

/// Reads what is at `path`. `follows` is for the links to open files in proc(5).
fn take(path: &Path, follows: bool) -> io::Result<(u64, Node)> {
    let metadata = if follows { fs::metadata(path) } else { fs::symlink_metadata(path) }?;
    let flags = OFlags::PATH | OFlags::CLOEXEC | if follows { OFlags::empty() } else { OFlags::NOFOLLOW };
    let held = openat(CWD, path, flags, Mode::empty())?;
    let content = if metadata.is_file() {
        Content::File(fs::read(path)?)
    } else if metadata.is_dir() {
        let number = |entry: fs::DirEntry| Some((entry.file_name(), entry.metadata().ok()?.ino()));
        Content::Directory(fs::read_dir(path)?.flatten().filter_map(number).collect())
    } else if metadata.is_symlink() {
        Content::Link(fs::read_link(path)?)
    } else {
        Content::Other
    };
    Ok((metadata.ino(), Node { _held: held, metadata, content }))
}

/// Reads everything at and below `path`; returns the number of what is there.
fn take_all(path: &Path, nodes: &mut HashMap<u64, Node>) -> io::Result<u64> {
    let (number, node) = take(path, false)?;
    if let Content::Directory(names) = &node.content {
        for name in names.keys() {
            match take_all(&path.join(name), nodes) {
                // Another thread removed it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                taken => drop(taken?),
            }
        }
    }
    nodes.insert(number, node);
    Ok(number)
}

/// What was flushed, with the first half of what differs from it.
fn half(flushed: &[u8], now: &[u8]) -> Vec<u8> {
    let same = flushed.iter().zip(now).take_while(|(one, other)| one == other).count();
    let written = same + (now.len() - same) / 2;
    let rest = flushed.get(written..).unwrap_or_default();
    [&now[..written], &rest[..rest.len().min(now.len() - written)]].concat()
}

fn write(number: u64, metadata: &Metadata, content: &Content, to: &Path, links: &mut HashMap<u64, PathBuf>) {
    match content {
        Content::Directory(_) => fs::create_dir(to).unwrap(),
        Content::File(_) if links.contains_key(&number) => return fs::hard_link(&links[&number], to).unwrap(),
        Content::File(bytes) => fs::write(to, bytes).unwrap(),
        Content::Link(target) => symlink(target, to).unwrap(),
        Content::Other => return,
    }
    links.insert(number, to.to_owned());
    set_attributes(metadata, to);
}

/// Files keep their numbers when the power is cut, but not when they are written again: the list that `unpack` makes of
/// them gets the new ones.
fn renumber(path: &Path, written: &HashMap<u64, PathBuf>) {
    const HEAD: &[u8] = b"longshore: moved here\0";
    let Some(bytes) = fs::symlink_metadata(path).unwrap().is_file().then(|| fs::read(path).unwrap()) else { return };
    let Some(items) = bytes.strip_prefix(HEAD) else { return };
    let item = |item: &[u8]| {
        let at = item.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let number: Option<u64> = std::str::from_utf8(&item[..at]).ok().and_then(|number| number.parse().ok());
        let path = number.and_then(|number| written.get(&number));
        let number = path.map_or(0, |path| fs::symlink_metadata(path).unwrap().ino());
        [number.to_string().as_bytes(), &item[at..]].concat()
    };
    let items: Vec<Vec<u8>> = items.split_inclusive(|byte| *byte == 0).map(item).collect();
    fs::write(path, [HEAD, &items.concat()].concat()).unwrap();
}

fn set_attributes(metadata: &Metadata, to: &Path) {
    lchown(to, Some(metadata.uid()), Some(metadata.gid())).unwrap();
    if !metadata.is_symlink() {
        fs::set_permissions(to, PermissionsExt::from_mode(metadata.mode() & 0o7777)).unwrap();
    }
    let time = Timespec { tv_sec: metadata.mtime(), tv_nsec: metadata.mtime_nsec() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// The names and contents of the files in a directory.
    fn files(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let file =
            |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
        let mut files: Vec<_> = entries.map(file).collect();
        files.sort();
        files
    }

    /// Notes a flush of this process.
    fn flush(medium: &mut Medium, path: &Path) {
        use std::os::fd::AsRawFd;
        let file = File::open(path).unwrap();
        let thread = Pid::this();
        medium.begins(thread, libc::SYS_fsync, [file.as_raw_fd().try_into().unwrap(), 0, 0]);
        medium.ended(thread, 0);
    }

    #[test]
    fn what_was_not_flushed_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        for name in ["kept", "renamed", "removed", "changed"] {
            fs::write(root.join(name), "old").unwrap();
        }
        let mut medium = Medium::new(&root);
        fs::write(root.join("flushed"), "content").unwrap();
        flush(&mut medium, &root.join("flushed"));
        fs::write(root.join("empty"), "content").unwrap();
        flush(&mut medium, &root);
        fs::rename(root.join("renamed"), root.join("other")).unwrap();
        fs::remove_file(root.join("removed")).unwrap();
        fs::write(root.join("changed"), "new one").unwrap();
        fs::write(root.join("late"), "content").unwrap();
        flush(&mut medium, &root.join("late"));
        let after = |cut: Cut| {
            let to = place.path().join(cut.to_string());
            medium.replay(cut, &to);
            files(&to)
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
        };
        let strict = [
            ("changed", "old"),
            ("empty", ""),
            ("flushed", "content"),
            ("kept", "old"),
            ("removed", "old"),
            ("renamed", "old"),
        ];
        assert_eq!(after(Cut::Strict), pairs(&strict));
        let names = [
            ("changed", "old"),
            ("empty", ""),
            ("flushed", "content"),
            ("kept", "old"),
            ("late", "content"),
            ("other", "old"),
        ];
        assert_eq!(after(Cut::Names), pairs(&names));
        let half = [
            ("changed", "new"),
            ("empty", "con"),
            ("flushed", "content"),
            ("kept", "old"),
            ("late", "content"),
            ("other", "old"),
        ];
        assert_eq!(after(Cut::Half), pairs(&half));
    }
}
