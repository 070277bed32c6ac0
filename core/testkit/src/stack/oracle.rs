//! What layers become, by the rules of image-spec (layer.md) alone: a table of paths, slow and plain.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::collections::BTreeMap;

use longshore_core::archive::{Entry, EntryKind};
use longshore_core::oci::Digest;

use super::{Item, is_root};

type Path = Vec<String>;

#[derive(Debug, Clone)]
struct Node {
    /// Names of one file have the same number.
    file: usize,
    /// The layer that put it there, or said what it is.
    layer: usize,
    /// The layer that gave the name.
    named: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Oracle {
    nodes: BTreeMap<Path, Node>,
    files: Vec<(Entry, Vec<u8>)>,
    layer: usize,
}

fn parts(path: &[u8]) -> Path {
    let text = String::from_utf8(path.to_vec()).unwrap();
    text.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

impl Oracle {
    pub(super) fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// Applies one entry; `None` if it cannot be applied, and then nothing is changed.
    pub(super) fn apply(&mut self, (entry, content): &Item) -> Option<()> {
        let before = self.clone();
        let applied = self.try_apply(entry, content);
        if applied.is_none() {
            *self = before;
        }
        applied
    }

    fn try_apply(&mut self, entry: &Entry, content: &[u8]) -> Option<()> {
        let mut path = parts(&entry.path);
        let name = path.pop()?;
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let Ok(parent) = self.resolve(&path, false) else { return None };
            let Some(parent) = parent else { return Some(()) };
            if name == ".wh..wh..opq" {
                self.children(&parent).iter().for_each(|child| self.hide(child));
            } else {
                self.hide(&[parent, vec![hidden.to_owned()]].concat());
            }
            return Some(());
        }
        let parent = self.resolve(&path, true).ok()??;
        let path = [parent, vec![name]].concat();
        if entry.kind == EntryKind::HardLink {
            let mut target = parts(&entry.link);
            let last = target.pop()?;
            let directory = self.resolve(&target, false).ok()??;
            let target = [directory, vec![last]].concat();
            let node = self.nodes.get(&target)?.clone();
            if self.is_directory(&target) {
                return None;
            }
            if self.nodes.get(&path).is_some_and(|present| present.file == node.file) {
                return Some(());
            }
            self.remove(&path);
            self.nodes.insert(path, Node { named: self.layer, ..node });
            return Some(());
        }
        if entry.kind == EntryKind::Directory && self.is_directory(&path) {
            let layer = self.layer;
            let node = self.nodes.get_mut(&path)?;
            node.layer = layer;
            self.files[node.file] = (entry.clone(), Vec::new());
            return Some(());
        }
        self.remove(&path);
        self.add(path, entry.clone(), content.to_vec());
        Some(())
    }

    fn add(&mut self, path: Path, entry: Entry, content: Vec<u8>) {
        self.files.push((entry, content));
        self.nodes.insert(path, Node { file: self.files.len() - 1, layer: self.layer, named: self.layer });
    }

    fn is_directory(&self, path: &[String]) -> bool {
        path.is_empty() || self.nodes.get(path).is_some_and(|node| self.files[node.file].0.kind == EntryKind::Directory)
    }

    fn children(&self, path: &[String]) -> Vec<Path> {
        let is_child = |other: &&Path| other.len() == path.len() + 1 && other.starts_with(path);
        self.nodes.keys().filter(is_child).cloned().collect()
    }

    fn remove(&mut self, path: &[String]) {
        self.nodes.retain(|other, _| !other.starts_with(path));
    }

    /// Takes away what lower layers have at a path; directories with something of this layer stay.
    fn hide(&mut self, path: &[String]) {
        let Some(node) = self.nodes.get(path).cloned().filter(|node| node.named < self.layer) else { return };
        if !self.is_directory(path) {
            self.remove(path);
            return;
        }
        self.children(path).iter().for_each(|child| self.hide(child));
        let is_own = node.layer == self.layer;
        if !is_own && self.children(path).is_empty() {
            self.remove(path);
            return;
        }
        if !is_own {
            self.files[node.file] = (implicit(), Vec::new());
        }
        let layer = self.layer;
        if let Some(node) = self.nodes.get_mut(path) {
            (node.layer, node.named) = (layer, layer);
        }
    }

    /// The directory at a path, links followed within the tree. `Err` where no directory can be.
    fn resolve(&mut self, path: &[String], make: bool) -> Result<Option<Path>, ()> {
        let mut left: Vec<String> = path.iter().rev().cloned().collect();
        let mut at: Path = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            let next = [at.clone(), vec![part]].concat();
            match self.nodes.get(&next).map(|node| self.files[node.file].0.clone()) {
                None if make => {
                    self.add(next.clone(), implicit(), Vec::new());
                    at = next;
                }
                None => return Ok(None),
                Some(found) if found.kind == EntryKind::Directory => at = next,
                Some(found) if found.kind == EntryKind::Symlink => {
                    links += 1;
                    if links > 255 {
                        return Err(());
                    }
                    if found.link.starts_with(b"/") {
                        at.clear();
                    }
                    left.extend(parts(&found.link).into_iter().rev());
                }
                Some(_) if make => return Err(()),
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// What [`read_tree`](super::read_tree) must find.
    pub(super) fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        let mut first: BTreeMap<usize, String> = BTreeMap::new();
        let mut names: BTreeMap<usize, usize> = BTreeMap::new();
        self.nodes.values().for_each(|node| *names.entry(node.file).or_default() += 1);
        for (path, node) in &self.nodes {
            let (entry, content) = &self.files[node.file];
            let name = path.join("/");
            let what = match entry.kind {
                EntryKind::Directory => "directory".to_owned(),
                EntryKind::Symlink => format!("link to {}", entry.link.escape_ascii()),
                EntryKind::File => format!("file {}", Digest::of(content).short()),
                EntryKind::Fifo => "fifo".to_owned(),
                kind => panic!("the tests have no {kind}"),
            };
            let shared = if names[&node.file] > 1 {
                format!(" with {}", first.entry(node.file).or_insert_with(|| name.clone()))
            } else {
                String::new()
            };
            let owner = if is_root() { format!("{}:{} ", entry.uid, entry.gid) } else { String::new() };
            let mode = if entry.kind == EntryKind::Symlink { 0 } else { entry.mode };
            tree.insert(name, format!("{what} {owner}{mode:04o} {}{shared}", entry.mtime));
        }
        let owner = if is_root() { "0:0 " } else { "" };
        tree.insert(String::new(), format!("directory {owner}0755 0"));
        tree
    }
}

fn implicit() -> Entry {
    Entry::new("", EntryKind::Directory, 0o755)
}
