//! Layers of entries, and what they become on a disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{MemoryStore, Mount};
use longshore_core::layer::BlobSource;
use longshore_core::oci::{Digest, MediaType};
use longshore_core::unpack::{unpack, unpack_snapshots};
use longshore_core::{Budget, Result, Work};
use longshore_store::EmbeddedStore;

/// An entry and its content.
pub(crate) type Item = (Entry, Vec<u8>);

pub(crate) fn entry(path: &str, kind: EntryKind, link: &str) -> Item {
    (Entry { link: link.into(), mtime: 1_600_000_000, ..Entry::new(path, kind, 0o755) }, Vec::new())
}

pub(crate) fn file(path: &str, content: &str) -> Item {
    let (entry, _) = entry(path, EntryKind::File, "");
    (Entry { mode: 0o644, ..entry }, content.into())
}

pub(crate) fn directory(path: &str) -> Item {
    entry(path, EntryKind::Directory, "")
}

pub(crate) fn symlink(path: &str, target: &str) -> Item {
    entry(path, EntryKind::Symlink, target)
}

pub(crate) fn hard_link(path: &str, target: &str) -> Item {
    entry(path, EntryKind::HardLink, target)
}

pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (entry, content) in items {
        let entry = Entry { size: content.len() as u64, ..entry.clone() };
        tar.append(&entry, &mut &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

/// A layer of a tar stream, compressed in one of the ways there are.
pub(crate) fn layer_of(tar: &[u8], algorithm: Algorithm) -> BlobSource {
    let store = MemoryStore::default();
    let encoding = Encoding::new(algorithm, None).unwrap();
    let blob = tar.chunks(1 << 20).flat_map(|block| encoding.encode(block).unwrap()).collect::<Vec<u8>>();
    let descriptor = store.put(MediaType::layer(algorithm), &blob);
    BlobSource::new(descriptor, Digest::of(tar), Arc::new(store))
}

pub(crate) fn layers(stack: &[Vec<Item>]) -> Vec<BlobSource> {
    let algorithms = [Algorithm::Gzip, Algorithm::Uncompressed, Algorithm::Zstd];
    stack
        .iter()
        .zip(algorithms.into_iter().cycle())
        .map(|(items, algorithm)| layer_of(&tar(items), algorithm))
        .collect()
}

fn work() -> Work {
    Work::default().with_budget(Budget::new(std::num::NonZeroUsize::new(2).unwrap()))
}

pub(crate) fn unpack_to(layers: &[BlobSource], to: &Path) -> Result<()> {
    unpack(layers, to, &work())
}

pub(crate) fn snapshots(layers: &[BlobSource], store: &EmbeddedStore) -> Result<Option<Mount>> {
    unpack_snapshots(layers, store, &work())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Everything below a directory, by path: a line that says all that matters of a file.
pub(crate) fn read_tree(root: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut names = BTreeMap::new();
    read(root, "", &mut tree, &mut names);
    // Names and not counts: overlayfs counts names of lower layers that are gone.
    for names in names.into_values().filter(|names| names.len() > 1) {
        for name in &names {
            tree.entry(name.clone()).and_modify(|line: &mut String| *line = format!("{line} with {}", names[0]));
        }
    }
    tree
}

fn read(path: &Path, name: &str, tree: &mut BTreeMap<String, String>, names: &mut BTreeMap<(u64, u64), Vec<String>>) {
    let found = fs::symlink_metadata(path).unwrap();
    let kind = found.file_type();
    let what = if kind.is_dir() {
        "directory".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", fs::read_link(path).unwrap().as_os_str().as_bytes().escape_ascii())
    } else if kind.is_file() {
        format!("file {}", Digest::of(&fs::read(path).unwrap()).short())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        format!("device {} {:#x}", kind.is_block_device(), found.rdev())
    };
    if !kind.is_dir() {
        names.entry((found.dev(), found.ino())).or_default().push(name.to_owned());
    }
    let owner = if is_root() { format!("{}:{} ", found.uid(), found.gid()) } else { String::new() };
    let mode = if kind.is_symlink() { 0 } else { found.mode() & 0o7777 };
    tree.insert(name.to_owned(), format!("{what} {owner}{mode:04o} {}", found.mtime()));
    if kind.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        entries.sort();
        for entry in entries {
            let below = entry.as_bytes().escape_ascii().to_string();
            let name = if name.is_empty() { below } else { format!("{name}/{below}") };
            read(&path.join(&entry), &name, tree, names);
        }
    }
}
