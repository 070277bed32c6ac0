//! Layers: correctly declared compression, and archives that every reader reads as the same files.

use std::collections::HashSet;
use std::io::{self, Read};

use longshore_core::Result;
use longshore_core::archive::{EntryKind, Reader};
use longshore_core::compression::{Algorithm, decoder};
use longshore_core::content::Provider;
use longshore_core::oci::{Descriptor, Digest, Hasher};

use super::Problems;

/// The findings from reading a layer.
#[derive(Debug, Clone)]
pub(super) struct ReadLayer {
    pub(super) algorithm: Algorithm,
    pub(super) diff_id: Digest,
    pub(super) entries: usize,
}

/// Reads the layer that `descriptor` references, whatever its media type says.
pub(super) fn read(provider: &dyn Provider, descriptor: &Descriptor, problems: &mut Problems) -> Option<ReadLayer> {
    let what = format!("layer {}", descriptor.digest);
    let opened = provider.open(&descriptor.digest, 0).and_then(decoder);
    let (algorithm, tar) = problems.check(opened, &what)?;
    let mut hashing = Hashing { inner: tar, hasher: Hasher::sha256() };
    let files = files(&mut hashing, &what, problems);
    let entries = problems.check(files, &what)?;
    Some(ReadLayer { algorithm, diff_id: hashing.hasher.finish(), entries })
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Reads an archive to the end of its input; returns its number of entries.
fn files(input: impl Read, layer: &str, problems: &mut Problems) -> Result<usize> {
    let mut reader = Reader::new(input);
    // Possible targets of hard links, and everything else.
    let (mut linkable, mut others): (HashSet<Vec<u8>>, HashSet<Vec<u8>>) = Default::default();
    while let Some(entry) = reader.next_entry()? {
        let mut problem = |what: &str| problems.add(format!("{layer}: `{}` {what}", entry.display()));
        let Some(path) = clean(&entry.path) else {
            problem("leads out of the layer");
            continue;
        };
        if linkable.contains(&path) || others.contains(&path) {
            problem("is there twice");
        }
        if entry.kind == EntryKind::HardLink && !clean(&entry.link).is_some_and(|target| linkable.contains(&target)) {
            problem("is a hard link to nothing that comes before it");
        }
        if entry.kind == EntryKind::Symlink && entry.link.is_empty() {
            problem("is a symbolic link to nothing");
        }
        if entry.kind == EntryKind::Directory {
            others.insert(path)
        } else {
            linkable.insert(path)
        };
    }
    reader.drain()?;
    Ok(linkable.len() + others.len())
}

/// Returns a path without a leading `.`; `None` for one that is absolute or has a `..`.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| *part != b".").collect();
    let leads_out = path.starts_with(b"/") || parts.contains(&&b".."[..]) || parts.contains(&&b""[..]);
    (!leads_out).then(|| parts.join(&b'/'))
}
