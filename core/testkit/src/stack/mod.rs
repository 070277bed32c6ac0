//! Stacks of layers: entries by hand or from a seed, and what they become by a model.

mod oracle;
mod random;
mod tree;

use longshore_core::archive::{Entry, EntryKind, Writer};

pub use random::{Stack, random};
pub use tree::{is_root, read_tree};

/// An entry and its content.
pub type Item = (Entry, Vec<u8>);

/// Returns an entry without content, of 2020, with the mode 0755.
pub fn entry(path: &str, kind: EntryKind, link: &str) -> Item {
    (Entry { link: link.into(), mtime: 1_600_000_000, ..Entry::new(path, kind, 0o755) }, Vec::new())
}

/// Returns a file with the mode 0644.
pub fn file(path: &str, content: &str) -> Item {
    let (entry, _) = entry(path, EntryKind::File, "");
    (Entry { mode: 0o644, ..entry }, content.into())
}

/// Returns a directory.
pub fn directory(path: &str) -> Item {
    entry(path, EntryKind::Directory, "")
}

/// Returns a symbolic link.
pub fn symlink(path: &str, target: &str) -> Item {
    entry(path, EntryKind::Symlink, target)
}

/// Returns another name of the file at `target`.
pub fn hard_link(path: &str, target: &str) -> Item {
    entry(path, EntryKind::HardLink, target)
}

/// Returns a layer as a tar stream.
pub fn tar(items: &[Item]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (entry, content) in items {
        let entry = Entry { size: content.len() as u64, ..entry.clone() };
        tar.append(&entry, &mut &content[..]).expect("writing to memory");
    }
    tar.finish().expect("writing to memory")
}
