//! A tree on the disk, as text.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use longshore_core::oci::Digest;

/// Returns whether the tests run as root, who may set owners.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns everything below a directory, by path: a line that says all that matters of a file. The root has an empty path.
pub fn read_tree(root: &Path) -> BTreeMap<String, String> {
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
