//! Files under temporary names, where they differ from what is there.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use longshore_content::{MadeDirectories, ScratchDirectory, Work, directory_of, remove_leftovers};
use longshore_oci::{Context, Error, ErrorKind, Result};
use rustix::fs::{FileType, Mode, OFlags, fgetxattr, flistxattr, makedev, mknodat, readlinkat, symlinkat};
use rustix::io::Errno;

use super::{FilesDirectory, StagedFiles, Step, What, is_ours, open_below, open_root, split};
use crate::archive::{Entry, EntryKind};
use crate::files::FileEntries;
use crate::tree::merged::Attributes;
use crate::unpack::Writer;

/// Bytes that are read and written in one call.
const BUFFER: usize = 256 << 10;
/// Bytes of zeros that become a hole.
const HOLE: usize = 4 << 10;

impl FilesDirectory {
    /// Writes the files that are missing or different under temporary names. `fill` gives all entries, directories
    /// before what is in them.
    ///
    /// # Errors
    /// Errors of `fill`; as [`check`](Self::check); a file where a directory is, or the other way round, unless what is
    /// there may be removed; I/O errors.
    pub fn stage(&self, work: &Work, fill: impl FnOnce(&mut FileEntries<'_>) -> Result<()>) -> Result<StagedFiles> {
        self.check()?;
        let is_new = !self.root.exists();
        let lock = if is_new { None } else { Some(self.lock()?) };
        let parent = directory_of(&self.root);
        let parents = if is_new { MadeDirectories::make(parent)? } else { MadeDirectories::default() };
        // A run that made the directory and died may have left its files beside it.
        remove_leftovers(parent);
        let scratch = ScratchDirectory::new_in(if is_new { parent } else { &self.root })?;
        let mut stage = Stage {
            staging: open_root(scratch.path())?,
            present: if is_new { None } else { Some(open_root(&self.root)?) },
            deletes: self.deletes,
            writer: Writer::new(work),
            work,
            steps: Vec::new(),
            skipped: HashSet::new(),
            count: 0,
            buffers: (vec![0; BUFFER], vec![0; BUFFER]),
        };
        let filled = fill(&mut |entry, content| {
            stage.add(entry, content).attempt(|| format!("cannot write `{}`", entry.display()))
        });
        filled.attempt(|| format!("cannot write to {}", self.root.display()))?;
        let steps = stage.steps;
        let is_marked = self.deletes || stage.present.as_ref().is_none_or(is_ours);
        if steps.is_empty() && self.deletes && !self.may_delete_all && !is_new {
            let message = format!("there are no files, so mode=delete would empty {}", self.root.display());
            return Err(Error::option(message).with_hint("check include and exclude, or add allow-delete=true"));
        }
        Ok(StagedFiles { directory: self.clone(), steps, scratch, is_new, is_marked, _lock: lock, _parents: parents })
    }

    fn lock(&self) -> Result<File> {
        let lock = File::from(open_root(&self.root)?);
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = format!("another export is writing to {}", self.root.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            _ => Ok(lock),
        }
    }
}

struct Stage<'a> {
    staging: OwnedFd,
    /// The directory as it is, if it is there.
    present: Option<OwnedFd>,
    deletes: bool,
    writer: Writer<'a>,
    work: &'a Work,
    steps: Vec<Step>,
    /// Devices that only root may make.
    skipped: HashSet<Vec<u8>>,
    count: u32,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Stage<'_> {
    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.work.check()?;
        if split(&entry.path).1.is_empty() || entry.path.split(|byte| *byte == b'/').any(|part| part == b"..") {
            return Err(Error::input("its path leads out of the directory"));
        }
        self.check_kind(entry)?;
        let attributes = Attributes::of(entry)?;
        let what = match entry.kind {
            EntryKind::Directory => What::Directory,
            EntryKind::HardLink if self.skipped.contains(&entry.link) => return Ok(()),
            EntryKind::HardLink => What::Link(entry.link.clone()),
            EntryKind::File => self.file(entry, &attributes, content)?,
            EntryKind::Symlink if self.is_same_link(entry, &attributes) => What::Nothing,
            EntryKind::CharDevice | EntryKind::BlockDevice if !self.writer.is_root => {
                self.skipped.insert(entry.path.clone());
                let path = entry.display();
                self.work.progress.warn_once("a device of an ordinary user", || {
                    format!("skipped device `{path}`: only root may create it (further ones are not listed)")
                });
                return Ok(());
            }
            _ => self.special(entry, &attributes)?,
        };
        self.steps.push(Step { path: entry.path.clone(), what, attributes });
        Ok(())
    }

    /// Fails if a directory is in the way of a file, or a file in that of a directory, and must stay.
    fn check_kind(&self, entry: &Entry) -> Result<()> {
        let found = match self.metadata(&entry.path) {
            Err(Errno::XDEV) => {
                return Err(Error::option("something is mounted there").with_hint("unmount it, or exclude the path"));
            }
            Err(_) => return Ok(()),
            Ok(found) => found,
        };
        let wants_directory = entry.kind == EntryKind::Directory;
        if self.deletes || found.is_dir() == wants_directory {
            return Ok(());
        }
        let kind = if found.is_dir() {
            "a directory"
        } else if found.file_type().is_symlink() {
            "a symbolic link"
        } else {
            "a file"
        };
        let wanted = if wants_directory { "a directory".to_owned() } else { format!("a {}", entry.kind) };
        Err(Error::option(format!("there is {kind}, where the image has {wanted}"))
            .with_hint("remove it, or add mode=delete"))
    }

    /// Returns the metadata of what is at `path`, of a link itself.
    fn metadata(&self, path: &[u8]) -> rustix::io::Result<fs::Metadata> {
        let present = self.present.as_ref().ok_or(Errno::NOENT)?;
        let file = File::from(open_below(present.as_fd(), path, OFlags::PATH)?);
        file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn is_same_link(&self, entry: &Entry, attributes: &Attributes) -> bool {
        let Ok(found) = self.metadata(&entry.path) else { return false };
        let Some(present) = &self.present else { return false };
        let (directory, name) = split(&entry.path);
        let target = open_below(present.as_fd(), directory, OFlags::PATH | OFlags::DIRECTORY)
            .and_then(|directory| readlinkat(&directory, name, Vec::new()));
        found.file_type().is_symlink()
            && target.is_ok_and(|target| target.as_bytes() == entry.link)
            && found.mtime() == attributes.mtime
            && has_owner(&found, attributes, self.writer.is_root)
            && attributes.xattrs().next().is_none()
    }

    fn special(&mut self, entry: &Entry, attributes: &Attributes) -> Result<What> {
        let number = self.next();
        let name = number.to_string();
        let (staging, mode) = (self.staging.as_fd(), Mode::RUSR | Mode::WUSR);
        match entry.kind {
            EntryKind::Symlink => symlinkat(entry.link.as_slice(), staging, &name)?,
            EntryKind::Fifo => mknodat(staging, &name, FileType::Fifo, mode, 0)?,
            kind => {
                let file_type =
                    if kind == EntryKind::BlockDevice { FileType::BlockDevice } else { FileType::CharacterDevice };
                mknodat(staging, &name, file_type, mode, makedev(entry.device.0, entry.device.1))?;
            }
        }
        let is_link = entry.kind == EntryKind::Symlink;
        self.writer.set_at(staging, name.as_bytes(), is_link, attributes, &|| entry.display())?;
        Ok(What::Move(number))
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// Compares a file with the one that is there, as long as they are the same, and writes it where they are not.
    fn file(&mut self, entry: &Entry, attributes: &Attributes, content: &mut dyn Read) -> Result<What> {
        let present = self.present.as_ref().and_then(|present| {
            let file = open_below(present.as_fd(), &entry.path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
            let file = File::from(file);
            let found = file.metadata().ok()?;
            // A file with several names may be more than this one in another tree.
            let is_alike = found.is_file() && found.len() == entry.size && found.nlink() == 1;
            (is_alike && has_xattrs(&file, attributes)).then_some((file, found))
        });
        let mut same = 0;
        let (buffer, other) = (&mut self.buffers.0, &mut self.buffers.1);
        let mut left_over = 0;
        if let Some((file, found)) = &present {
            loop {
                self.work.cancel.check()?;
                let count = fill(content, buffer)?;
                if count == 0 {
                    return Ok(match is_as_it_should(found, attributes, self.writer.is_root) {
                        true => What::Nothing,
                        false => What::Change,
                    });
                }
                let is_same =
                    file.read_exact_at(&mut other[..count], same).is_ok() && buffer[..count] == other[..count];
                if !is_same {
                    left_over = count;
                    break;
                }
                same += count as u64;
            }
        }
        let number = self.next();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.staging, number.to_string(), flags, Mode::RUSR | Mode::WUSR)?;
        let mut out = File::from(file);
        if let Some((file, _)) = &present {
            io::copy(&mut Read::take(file, same), &mut out)?;
        }
        let (buffer, cancel) = (&mut self.buffers.0, &self.work.cancel);
        let mut length = same;
        let mut count = left_over;
        loop {
            if count == 0 {
                cancel.check()?;
                count = fill(content, buffer)?;
            }
            if count == 0 {
                break;
            }
            write_with_holes(&mut out, &buffer[..count])?;
            length += count as u64;
            count = 0;
        }
        out.set_len(length)?;
        self.writer.set_file(out.as_fd(), attributes, &|| entry.display())?;
        Ok(What::Move(number))
    }
}

/// Reads until the buffer is full, or there is no more.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match content.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Writes all of `bytes`, or leaves a hole where there are enough zeros.
fn write_with_holes(out: &mut File, bytes: &[u8]) -> io::Result<()> {
    let mut start = 0;
    for (at, block) in bytes.chunks(HOLE).enumerate() {
        if block.len() == HOLE && block.iter().all(|byte| *byte == 0) {
            out.write_all(&bytes[start..at * HOLE])?;
            out.seek(SeekFrom::Current(HOLE as i64))?;
            start = (at + 1) * HOLE;
        }
    }
    out.write_all(&bytes[start..])
}

/// Returns whether a file has its owner, as far as the user can set it.
fn has_owner(found: &fs::Metadata, attributes: &Attributes, is_root: bool) -> bool {
    !is_root || (found.uid(), found.gid()) == (attributes.uid, attributes.gid)
}

fn is_as_it_should(found: &fs::Metadata, attributes: &Attributes, is_root: bool) -> bool {
    let has_times = (found.mtime(), found.mtime_nsec()) == (attributes.mtime, 0);
    has_owner(found, attributes, is_root) && has_times && found.mode() & 0o7777 == attributes.mode
}

/// Returns whether a file has these extended attributes and no others, but for what the system gives every file.
fn has_xattrs(file: &File, attributes: &Attributes) -> bool {
    let mut names = vec![0u8; 64 << 10];
    let Ok(length) = flistxattr(file, &mut names[..]) else { return attributes.xattrs().next().is_none() };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut found: Vec<&[u8]> = names.filter(|name| *name != b"security.selinux").collect();
    found.sort_unstable();
    let value = |name: &[u8]| {
        let mut value = vec![0u8; 64 << 10];
        fgetxattr(file, name, &mut value[..]).ok().map(|length| value[..length].to_vec())
    };
    found.iter().copied().eq(attributes.xattrs().map(|(name, _)| name))
        && attributes.xattrs().all(|(name, own)| value(name).as_deref() == Some(own))
}
