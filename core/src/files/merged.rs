//! The merged tree of one platform, and the contents of its files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use longshore_content::{Verified, Work};
use longshore_oci::{Context, Error, ErrorKind, Result};

use super::selection::Selection;
use crate::archive::{Entry, EntryKind};
use crate::layer::{Layer, LayerSource, Whiteouts};
use crate::tree::merged::{Inode, InodeId, Kind, MergedTree};

/// Visits the files of `layers`, merged, that `selection` chooses: each directory before what is in it, and names in the
/// order of their bytes. A further name of a file is a hard link to the first.
///
/// Each layer is read once. Where there are several, contents of files wait in a file without a name in `scratch`.
///
/// # Errors
/// Layers that cannot be read or merged; errors of `visit`.
pub(super) fn entries(
    layers: &[Arc<Layer>],
    mut selection: Selection<'_>,
    scratch: &Path,
    work: &Work,
    visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    if let [layer] = layers
        && is_in_order(layer)
        && !selection.selects()
    {
        return layer.entries(work, &mut |entry, content| {
            let mut content = Some(content);
            selection.offer(entry, &mut |entry| match content.take() {
                Some(content) => visit(entry, content),
                None => visit(entry, &mut io::empty()),
            })
        });
    }
    Merged::read(layers, scratch, work)?.entries(selection, work, visit)
}

/// Returns whether the entries of a layer come in the order of a walk, and are what they say: there is nothing below it
/// that a whiteout could hide.
fn is_in_order(layer: &Layer) -> bool {
    match &layer.source {
        LayerSource::Dir(source) => source.whiteouts == Whiteouts::Plain && source.rules.destination.is_empty(),
        LayerSource::Tar(_) | LayerSource::Blob(_) => false,
    }
}

/// A place in the file of contents.
#[derive(Debug, Clone, Copy)]
struct Span {
    offset: u64,
    size: u64,
}

/// Returns what is wrong with a layer that could not be read: with its blob, if that is not what its descriptor says. The
/// digest of a blob is not verified beside that of its tar stream, unless there is an error.
fn blamed(layer: &Layer, error: Error) -> Error {
    let LayerSource::Blob(source) = &layer.source else { return error };
    if error.kind() != ErrorKind::InvalidInput {
        return error;
    }
    let opened = source.provider.open(&source.descriptor.digest, 0);
    let read = opened.and_then(|blob| Ok(io::copy(&mut Verified::new(blob, &source.descriptor), &mut io::sink())?));
    read.err().filter(|blamed| blamed.kind() == ErrorKind::Corrupt).unwrap_or(error)
}

struct Merged {
    tree: MergedTree<Span>,
    contents: File,
}

impl Merged {
    fn read(layers: &[Arc<Layer>], scratch: &Path, work: &Work) -> Result<Self> {
        let contents = tempfile::tempfile_in(scratch).attempt(|| format!("cannot write to {}", scratch.display()))?;
        let mut out = BufWriter::with_capacity(256 << 10, &contents);
        let mut tree = MergedTree::default();
        let mut offset = 0;
        for layer in layers {
            let task = work.progress.task(format!("files of layer {}", layer.name()), None);
            let mut next = tree.next_layer();
            let read = layer.entries(work, &mut |entry, content| {
                let size = match entry.kind {
                    EntryKind::File => {
                        io::copy(content, &mut out).attempt(|| format!("cannot read `{}`", entry.display()))?
                    }
                    _ => 0,
                };
                task.advance(size);
                next.apply(&entry, Span { offset, size })?;
                offset += size;
                Ok(())
            });
            let read = read.map_err(|error| blamed(layer, error));
            read.attempt(|| format!("cannot merge layer {}", layer.name()))?;
            next.finish();
            task.done("");
        }
        out.flush().attempt(|| format!("cannot write to {}", scratch.display()))?;
        drop(out);
        Ok(Self { tree, contents })
    }

    fn entries(
        &self,
        mut selection: Selection<'_>,
        work: &Work,
        visit: &mut dyn FnMut(Entry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut first: HashMap<InodeId, Vec<u8>> = HashMap::new();
        self.tree.walk(&mut |path, id| {
            work.check()?;
            if path.is_empty() {
                return Ok(());
            }
            let inode = self.tree.inode(id);
            let mut entry = entry(path, inode);
            if inode.has_links() && !selection.is_left_out(path) {
                match first.get(&id) {
                    Some(first) => {
                        entry = Entry { kind: EntryKind::HardLink, link: first.clone(), size: 0, ..entry };
                    }
                    None => drop(first.insert(id, path.to_vec())),
                }
            }
            selection.offer(entry, &mut |entry| match inode.kind() {
                Kind::File(span) if entry.kind == EntryKind::File => {
                    visit(entry, &mut Content { file: &self.contents, at: span.offset, left: span.size })
                }
                _ => visit(entry, &mut io::empty()),
            })
        })
    }
}

fn entry(path: &[u8], inode: &Inode<Span>) -> Entry {
    let attributes = inode.attributes();
    let (kind, link, size, device) = match inode.kind() {
        Kind::Directory => (EntryKind::Directory, &[][..], 0, (0, 0)),
        Kind::File(span) => (EntryKind::File, &[][..], span.size, (0, 0)),
        Kind::Symlink(target) => (EntryKind::Symlink, target, 0, (0, 0)),
        Kind::Device { is_block: true, major, minor } => (EntryKind::BlockDevice, &[][..], 0, (major, minor)),
        Kind::Device { major, minor, .. } => (EntryKind::CharDevice, &[][..], 0, (major, minor)),
        Kind::Fifo => (EntryKind::Fifo, &[][..], 0, (0, 0)),
    };
    let xattrs = attributes.xattrs().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let (uid, gid) = (attributes.uid.into(), attributes.gid.into());
    // No file system keeps another mode of a link (symlink(7)).
    let mode = if kind == EntryKind::Symlink { 0o777 } else { attributes.mode };
    let mut entry = Entry::new(path, kind, mode);
    (entry.link, entry.size, entry.device, entry.xattrs) = (link.to_vec(), size, device, xattrs);
    (entry.uid, entry.gid, entry.mtime) = (uid, gid, attributes.mtime);
    entry
}

/// The content of a file, at its place.
struct Content<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file of contents was cut"));
        }
        (self.at, self.left) = (self.at + count as u64, self.left - count as u64);
        Ok(count)
    }
}
