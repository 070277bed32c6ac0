//! Stages layers on disk, before it is known which of their files survive: the content of each file under a
//! number, with its attributes, and everything else in memory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use longshore_content::{Cancel, Work, for_each};
use longshore_oci::{Context, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::attributes::Writer;
use super::below::{create, open_directory};
use crate::archive::{Entry, EntryKind};
use crate::layer::BlobSource;
use crate::tree::merged::{Attributes, MergedTree, Quota, WHITEOUT};

/// Bytes of a file that are read and written in one call.
pub(super) const BUFFER: usize = 256 << 10;

/// The place of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The file is empty.
    Empty,
    /// In its layer, of which only the entries were read.
    Unread,
    /// In the staging directory of a layer, as one of its files.
    Staged { layer: u32, number: u32 },
    /// In the file that is at its path, whose attributes are the same or not.
    Present { is_same: bool },
}

/// An entry of a layer, and the place of its content.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) entry: Entry,
    /// The offset of its header in the archive, in bytes.
    pub(super) offset: u64,
    pub(super) content: Content,
}

/// The entries of a layer in their order.
pub(super) type Entries = Vec<Staged>;

/// Returns the description of a failed attempt to unpack an entry.
pub(super) fn cannot_unpack(entry: &Entry, offset: u64) -> String {
    format!("cannot unpack the tar entry `{}` at byte {offset}", entry.display())
}

/// Reads a layer and verifies its diffID. With a directory, the contents of files are written there; otherwise
/// only the entries are read.
pub(super) fn stage(
    (at, layer): (u32, &BlobSource),
    directory: Option<&OwnedFd>,
    writer: Writer<'_>,
    quota: &Quota,
    work: &Work,
) -> Result<Entries> {
    let digest = &layer.descriptor.digest;
    let task = work.progress.task(format!("unpack {digest}"), None);
    let mut entries = Entries::new();
    let mut buffer = vec![0; BUFFER];
    let mut number = 0;
    let read = layer.entries_at(work, &mut |entry, offset, data| {
        let cannot = || cannot_unpack(&entry, offset);
        quota.take_entry(&entry).attempt(cannot)?;
        let mut found = if entry.size > 0 { Content::Unread } else { Content::Empty };
        if let Some(directory) = directory.filter(|_| has_content(&entry)) {
            let file = create(directory, number.to_string()).attempt(cannot)?;
            copy(data, &file, &mut buffer, &work.cancel, &cannot)?;
            let set = |attributes| writer.set_file(file.as_fd(), &attributes, &|| entry.display());
            Attributes::of(&entry).and_then(set).attempt(cannot)?;
            found = Content::Staged { layer: at, number };
            number += 1;
        }
        task.advance(entry.size);
        entries.push(Staged { entry, offset, content: found });
        Ok(())
    });
    read.attempt(|| format!("cannot unpack layer {digest}"))?;
    task.done("");
    Ok(entries)
}

fn has_content(entry: &Entry) -> bool {
    let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or(&entry.path);
    entry.kind == EntryKind::File && entry.size > 0 && !name.starts_with(WHITEOUT)
}

/// Copies the data of an entry. The reader reports its own errors.
fn copy(
    data: &mut dyn Read,
    mut file: &File,
    buffer: &mut [u8],
    cancel: &Cancel,
    cannot: &dyn Fn() -> String,
) -> Result<()> {
    loop {
        cancel.check()?;
        match data.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&buffer[..count]).attempt(cannot)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads all layers, several at a time, writing each of those to be written into its own directory in `place`,
/// which is returned open. Only a few directories are open at a time, however many layers there are.
pub(super) fn stage_all(
    layers: &[BlobSource],
    place: &Path,
    is_written: &(dyn Fn(usize) -> bool + Sync),
    writer: Writer<'_>,
    work: &Work,
) -> Result<(OwnedFd, Vec<Entries>)> {
    let staging = open_directory(place)?;
    let slots: Vec<Mutex<Option<Entries>>> = layers.iter().map(|_| Mutex::new(None)).collect();
    let work = &work.child();
    // Separate from the tree's quota: entries of layers that wait for lower ones are kept in addition.
    let quota = Quota::default();
    let items = (0..).zip(layers).zip(&slots).collect();
    for_each(items, work.jobs().get(), &work.cancel, |((at, layer), slot): ((u32, _), _)| {
        let directory = is_written(at as usize).then(|| make_directory(&place.join(at.to_string())));
        let staged = stage((at, layer), directory.transpose()?.as_ref(), writer, &quota, work)?;
        *slot.lock() = Some(staged);
        Ok(())
    })?;
    let missing = || Error::new(ErrorKind::Other, "a layer was not read");
    let staged = slots.into_iter().map(|slot| slot.into_inner().ok_or_else(missing));
    Ok((staging, staged.collect::<Result<_>>()?))
}

fn make_directory(path: &Path) -> Result<OwnedFd> {
    fs::create_dir(path).attempt(|| format!("cannot make {}", path.display()))?;
    open_directory(path)
}

/// Applies the next layer, whose entries have been read.
pub(super) fn apply(
    tree: &mut MergedTree<Content>,
    layer: &BlobSource,
    entries: Entries,
    cancel: &Cancel,
) -> Result<()> {
    let mut next = tree.next_layer();
    for Staged { entry, offset, content } in entries {
        cancel.check()?;
        let applied = next.entry(&entry, content).attempt(|| cannot_unpack(&entry, offset));
        applied.attempt(|| format!("cannot unpack layer {}", layer.descriptor.digest))?;
    }
    next.finish();
    Ok(())
}
