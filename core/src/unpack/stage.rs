//! Layers onto the disk, before it is known what of them survives: the content of each file under a
//! number, with its attributes, and everything else in memory.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use longshore_content::{Cancel, Hashing, Work, for_each, read_ahead};
use longshore_oci::{Context, Error, ErrorKind, Hasher, Result};
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, openat};

use super::attributes::{Attributes, Writer};
use super::limits::Limits;
use super::open_directory;
use crate::archive::{Entry, EntryKind, Reader};
use crate::compression::decoder;
use crate::layer::{BlobSource, WHITEOUT};

/// Bytes of a file that are written at once.
const BUFFER: usize = 256 << 10;

/// The entries of a layer in their order, each with the number of its content, if it has any.
pub(super) type Entries = Vec<(Entry, Option<usize>)>;

/// Reads a layer and verifies its diffID. With a directory, its files go there; without, only what they
/// are is read.
pub(super) fn stage(
    layer: &BlobSource,
    directory: Option<&OwnedFd>,
    writer: Writer<'_>,
    limits: &Limits,
    work: &Work,
) -> Result<Entries> {
    let digest = &layer.descriptor.digest;
    let task = work.progress.task(format!("unpack {digest}"), None);
    let read = || -> Result<Entries> {
        // The diffID covers every byte that is used, so the blob need not be hashed as well.
        let (_, tar) = decoder(layer.provider.open(digest, 0)?)?;
        let hasher = Hasher::new(layer.diff_id.algorithm());
        let mut hashing = Hashing { inner: tar, hasher, cancel: &work.cancel };
        let entries = read_ahead(&mut hashing, |tar| {
            let mut reader = Reader::new(tar);
            let mut entries = Entries::new();
            let mut buffer = vec![0; BUFFER];
            let mut number = 0;
            while let Some(entry) = reader.next_entry()? {
                work.check()?;
                limits.take_entry(&entry)?;
                let mut staged = None;
                if let Some(directory) = directory.filter(|_| has_content(&entry)) {
                    write(&entry, &mut reader, directory, number, &mut buffer, (writer, &work.cancel))
                        .attempt(|| format!("cannot write `{}`", entry.display()))?;
                    staged = Some(number);
                    number += 1;
                }
                task.advance(entry.size);
                entries.push((entry, staged));
            }
            reader.drain()?;
            Ok(entries)
        })?;
        let found = hashing.hasher.finish();
        if found != layer.diff_id {
            return Err(Error::corrupt(format!("it has the diffID {found}, its config says {}", layer.diff_id)));
        }
        Ok(entries)
    };
    let entries = read().attempt(|| format!("cannot unpack layer {digest}"))?;
    task.done("");
    Ok(entries)
}

fn has_content(entry: &Entry) -> bool {
    let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&entry.path);
    entry.kind == EntryKind::File && entry.size > 0 && !name.starts_with(WHITEOUT)
}

fn write(
    entry: &Entry,
    content: &mut impl Read,
    directory: &OwnedFd,
    number: usize,
    buffer: &mut [u8],
    (writer, cancel): (Writer<'_>, &Cancel),
) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(openat(directory, number.to_string(), flags, Mode::RUSR | Mode::WUSR)?);
    loop {
        cancel.check()?;
        match content.read(buffer) {
            Ok(0) => break,
            Ok(count) => file.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Attributes::of(entry)?.set(file.as_fd(), writer)
}

/// Reads all layers, several at a time: those that are written each into a directory of its own in
/// `place`.
pub(super) fn stage_all(
    layers: &[BlobSource],
    place: &Path,
    is_written: &(dyn Fn(usize) -> bool + Sync),
    writer: Writer<'_>,
    limits: &Limits,
    work: &Work,
) -> Result<(Vec<OwnedFd>, Vec<Entries>)> {
    let mut staging = Vec::new();
    for number in 0..layers.len() {
        let directory = place.join(number.to_string());
        fs::create_dir(&directory).attempt(|| format!("cannot make {}", directory.display()))?;
        staging.push(open_directory(&directory)?);
    }
    let slots: Vec<Mutex<Option<Entries>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let work = &work.child();
    let items = layers.iter().zip(&slots).zip(&staging).enumerate().collect();
    for_each(items, work.jobs().get(), &work.cancel, |(at, ((layer, slot), directory))| {
        let staged = stage(layer, Some(directory).filter(|_| is_written(at)), writer, limits, work)?;
        *slot.lock() = Some(staged);
        Ok(())
    })?;
    let missing = || Error::new(ErrorKind::Other, "a layer was not read");
    let staged = slots.into_iter().map(|slot| slot.into_inner().ok_or_else(missing));
    Ok((staging, staged.collect::<Result<_>>()?))
}
