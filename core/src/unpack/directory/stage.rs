//! The files of an output, staged where they differ from what is there.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use longshore_content::Work;
use longshore_oci::{Context, Error, Result};
use rustix::fs::{OFlags, fgetxattr, flistxattr};
use rustix::io::Errno;

use super::{FileEntries, FilesDirectory, StagedFiles, State};
use crate::archive::{Entry, EntryKind};
use crate::tree::merged::{Attributes, Limits, MergedTree, NextLayer};
use crate::unpack::attributes::Writer;
use crate::unpack::below::{create, has_scratch, metadata_below, open_below, open_directory, open_root};
use crate::unpack::stage::{BUFFER, Content};

/// Bytes of zeros that become a hole.
const HOLE: usize = 4 << 10;

impl FilesDirectory {
    /// Writes the files that are missing or different under temporary names. `fill` gives all entries.
    ///
    /// # Errors
    /// Errors of `fill`; as [`check`](Self::check); a file where a directory is, or the other way round, unless what is
    /// there may be removed; I/O errors.
    pub fn stage(&self, work: &Work, fill: impl FnOnce(&mut FileEntries<'_>) -> Result<()>) -> Result<StagedFiles> {
        self.check()?;
        let staged = self.stage_entries(work, fill);
        staged.attempt(|| format!("cannot write to {}", self.root.display()))
    }

    fn stage_entries(&self, work: &Work, fill: impl FnOnce(&mut FileEntries<'_>) -> Result<()>) -> Result<StagedFiles> {
        let place = self.place()?;
        let present = if place.state == State::HasFiles { Some(open_root(&place.root)?) } else { None };
        // As those of a layer: its number is 0.
        let staging = place.scratch.path().join("0");
        fs::create_dir(&staging).attempt(|| format!("cannot create {}", staging.display()))?;
        // What is too much of an archive was refused when layers were merged; a directory may have any number.
        let mut tree = MergedTree::new(Limits::default().with_files(usize::MAX).with_bytes(usize::MAX));
        let mut stage = Stage {
            next: tree.next_layer(),
            staging: open_directory(&staging)?,
            present: present.as_ref(),
            deletes: self.deletes,
            writer: Writer::new(work),
            work,
            is_empty: true,
            count: 0,
            buffers: (vec![0; BUFFER], vec![0; BUFFER]),
        };
        fill(&mut |entry, content| {
            stage.add(entry, content).attempt(|| format!("cannot write `{}`", entry.display()))
        })?;
        let is_empty = stage.is_empty;
        stage.next.finish();
        if is_empty && self.deletes && !self.may_delete_all && present.is_some() {
            let message = format!("there are no files, so mode=delete would empty {}", self.root.display());
            return Err(Error::option(message).with_hint("check include and exclude, or add allow-delete=true"));
        }
        Ok(StagedFiles { directory: self.clone(), tree, place })
    }
}

struct Stage<'a> {
    next: NextLayer<'a, Content>,
    staging: OwnedFd,
    /// The directory as it is, if it has files.
    present: Option<&'a OwnedFd>,
    deletes: bool,
    writer: Writer<'a>,
    work: &'a Work,
    is_empty: bool,
    /// How many files were written.
    count: u32,
    buffers: (Vec<u8>, Vec<u8>),
}

impl Stage<'_> {
    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        self.work.check()?;
        self.check_kind(entry)?;
        let staged = match entry.kind {
            EntryKind::File => self.file(entry, &Attributes::of(entry)?, content)?,
            _ => Content::Empty,
        };
        self.is_empty = false;
        self.next.entry(entry, staged)
    }

    /// Fails if a directory is in the way of a file, or a file in that of a directory, and must stay.
    fn check_kind(&self, entry: &Entry) -> Result<()> {
        let Some(present) = self.present else { return Ok(()) };
        let found = match metadata_below(present, &entry.path) {
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
            .with_hint("remove it, or choose another directory"))
    }

    /// Compares a file with the one that is there, as long as they are the same, and writes it where they are not.
    fn file(&mut self, entry: &Entry, attributes: &Attributes, content: &mut dyn Read) -> Result<Content> {
        let present = self.present.filter(|_| !has_scratch(&entry.path)).and_then(|present| {
            let file = File::from(open_below(present, &entry.path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?);
            let found = file.metadata().ok()?;
            // A file with several names may be more than this one in another tree.
            let is_alike = found.is_file() && found.len() == entry.size && found.nlink() == 1;
            (is_alike && self.writer.may_change(&found) && has_xattrs(&file, attributes)).then_some((file, found))
        });
        let mut same = 0;
        let (buffer, other) = (&mut self.buffers.0, &mut self.buffers.1);
        let mut left_over = 0;
        if let Some((file, found)) = &present {
            loop {
                self.work.cancel.check()?;
                let count = fill(content, buffer)?;
                if count == 0 {
                    return Ok(Content::Present { is_same: self.is_same(found, attributes) });
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
        let number = self.count;
        self.count += 1;
        let mut out = create(&self.staging, number.to_string())?;
        if let Some((file, _)) = &present
            && io::copy(&mut Read::take(file, same), &mut out)? != same
        {
            return Err(Error::input("the file that is there changed while it was compared")
                .with_hint("let nothing else write to the directory"));
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
        Ok(Content::Staged { layer: 0, number })
    }

    fn is_same(&self, found: &fs::Metadata, attributes: &Attributes) -> bool {
        let has_times = (found.mtime(), found.mtime_nsec()) == (attributes.mtime, 0);
        self.writer.has_owner(found, attributes) && has_times && found.mode() & 0o7777 == attributes.mode
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
