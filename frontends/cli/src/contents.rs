//! The files of an image, layer by layer, and what became of each.

use std::collections::{BTreeMap, HashMap};
use std::io;

use longshore_core::archive::EntryKind;
use longshore_core::content::Hashing;
use longshore_core::image::layers_for;
use longshore_core::oci::{Digest, Hasher, Platform};
use longshore_core::{Error, Existing, Result, Work};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// The files of an image for one platform.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// All files of all layers, the base first, in the order of each layer.
    pub(crate) files: Vec<FileEntry>,
    /// Which of them a container sees, by path.
    visible: BTreeMap<String, usize>,
}

/// A file in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) path: String,
    pub(crate) kind: EntryKind,
    /// Its layer, from 0.
    pub(crate) layer: usize,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) link: String,
    /// The digest of a regular file's content.
    pub(crate) digest: Option<Digest>,
    pub(crate) fate: Fate,
}

/// What becomes of a file in the layers above its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Replaced,
    Deleted,
}

/// Bytes of layers that no container needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Waste {
    /// Of files that an upper layer replaces.
    pub(crate) replaced: u64,
    /// Of files that an upper layer deletes.
    pub(crate) deleted: u64,
    /// Of files that are there with the same content under another path.
    pub(crate) duplicate: u64,
}

impl Contents {
    /// Reads the layers of an image for `platform`, each once.
    ///
    /// # Errors
    /// As [`layers_for`]; layers that cannot be read; sizes that exceed 64 bits.
    pub(crate) fn read(existing: &Existing, platform: &Platform, work: &Work) -> Result<Self> {
        let mut contents = Self::default();
        let layers = layers_for(existing, platform, work)?.layers;
        let of = layers.len();
        for (layer, source) in layers.iter().enumerate() {
            let name = format!("layer {} of {of}  {}", layer + 1, source.descriptor.digest);
            let task = work.progress.task(name, None);
            source.entries(work, &mut |entry, content| {
                let mut hashing = Hashing { inner: content, hasher: Hasher::sha256(), cancel: &work.cancel };
                io::copy(&mut hashing, &mut io::sink())?;
                task.advance(entry.size);
                let is_file = entry.kind == EntryKind::File;
                contents.add(FileEntry {
                    path: String::from_utf8_lossy(&entry.path).trim_start_matches("./").to_owned(),
                    kind: entry.kind,
                    layer,
                    size: entry.size,
                    mode: entry.mode,
                    owner: (entry.uid, entry.gid),
                    link: String::from_utf8_lossy(&entry.link).into_owned(),
                    digest: is_file.then(|| hashing.hasher.finish()),
                    fate: Fate::Stays,
                });
                Ok(())
            })?;
            task.done("");
        }
        let total = contents.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size));
        total.ok_or_else(|| Error::input("the sizes of the files exceed 64 bits"))?;
        Ok(contents)
    }

    fn add(&mut self, file: FileEntry) {
        let path = file.path.trim_matches('/').to_owned();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let beside = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        if path.is_empty() || path == "." {
            return;
        }
        if name == OPAQUE {
            self.end_below(directory, file.layer);
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let hidden = beside(hidden);
            self.end_below(&hidden, file.layer);
            self.end(&hidden, Fate::Deleted, file.layer);
        } else {
            if file.kind != EntryKind::Directory {
                self.end_below(&path, file.layer);
            }
            let is_directory = |at: &usize| self.files[*at].kind == EntryKind::Directory;
            // A directory over a directory adds to it.
            let is_same = file.kind == EntryKind::Directory && self.visible.get(&path).is_some_and(is_directory);
            if !is_same {
                self.end(&path, Fate::Replaced, usize::MAX);
            }
            self.visible.insert(path.clone(), self.files.len());
            self.files.push(FileEntry { path, ..file });
        }
    }

    /// Ends a file of the layers below `layer`.
    fn end(&mut self, path: &str, fate: Fate, layer: usize) {
        if let Some(at) = self.visible.get(path).copied().filter(|at| self.files[*at].layer < layer) {
            self.files[at].fate = fate;
            self.visible.remove(path);
        }
    }

    /// Ends all files below a directory.
    fn end_below(&mut self, directory: &str, layer: usize) {
        let start = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let below = self.visible.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| self.end(path, Fate::Deleted, layer));
    }

    /// Returns the files that a container sees, by path.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &FileEntry> {
        self.visible.values().map(|at| &self.files[*at])
    }

    /// Returns the file that a container sees at a path.
    pub(crate) fn at(&self, path: &str) -> Option<&FileEntry> {
        self.visible.get(path).map(|at| &self.files[*at])
    }

    pub(crate) fn waste(&self) -> Waste {
        let of = |fate: Fate| self.files.iter().filter(|file| file.fate == fate).map(|file| file.size).sum();
        let duplicate = self.duplicates().iter().map(|same| same[0].size * (same.len() as u64 - 1)).sum();
        Waste { replaced: of(Fate::Replaced), deleted: of(Fate::Deleted), duplicate }
    }

    /// Returns the files that a container sees several times, those that cost the most first.
    pub(crate) fn duplicates(&self) -> Vec<Vec<&FileEntry>> {
        let mut by_digest: HashMap<&Digest, Vec<&FileEntry>> = HashMap::new();
        for file in self.visible().filter(|file| file.size > 0) {
            if let Some(digest) = &file.digest {
                by_digest.entry(digest).or_default().push(file);
            }
        }
        let mut all: Vec<Vec<&FileEntry>> = by_digest.into_values().filter(|same| same.len() > 1).collect();
        let cost = |same: &Vec<&FileEntry>| same[0].size * (same.len() as u64 - 1);
        all.sort_by(|one, other| cost(other).cmp(&cost(one)).then_with(|| one[0].path.cmp(&other[0].path)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(layers: &[&[(&str, &str)]]) -> Contents {
        let mut contents = Contents::default();
        for (layer, files) in layers.iter().enumerate() {
            for (path, content) in *files {
                let kind = if path.ends_with('/') { EntryKind::Directory } else { EntryKind::File };
                contents.add(FileEntry {
                    path: path.trim_end_matches('/').to_owned(),
                    kind,
                    layer,
                    size: content.len() as u64,
                    mode: 0o644,
                    owner: (0, 0),
                    link: String::new(),
                    digest: (kind == EntryKind::File).then(|| Digest::of(content.as_bytes())),
                    fate: Fate::Stays,
                });
            }
        }
        contents
    }

    #[test]
    fn what_upper_layers_do_to_files_is_known() {
        let contents = contents(&[
            &[
                ("a/", ""),
                ("a/gone", "1234"),
                ("a/kept", "12"),
                ("b/", ""),
                ("b/x", "123"),
                ("c", "1"),
                ("d/", ""),
                ("d/e", "1"),
            ],
            &[
                ("a/", ""),
                ("a/.wh.gone", ""),
                ("b/", ""),
                ("b/y", "12"),
                ("b/.wh..wh..opq", ""),
                ("c", "12345"),
                ("d", "f"),
            ],
        ]);
        let visible: Vec<_> = contents.visible().map(|file| (file.path.as_str(), file.layer)).collect();
        assert_eq!(visible, [("a", 1), ("a/kept", 0), ("b", 1), ("b/y", 1), ("c", 1), ("d", 1)]);
        assert_eq!(contents.waste(), Waste { replaced: 1, deleted: 4 + 3 + 1, duplicate: 2 });
        assert_eq!(contents.duplicates()[0].len(), 2);
        assert_eq!(contents.at("c").map(|file| file.size), Some(5));
    }
}
