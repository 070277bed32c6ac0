//! Two trees, compared file by file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What is below a directory, by path. The directory itself is not: no layer says what it is.
#[derive(Debug)]
pub(crate) struct Tree(BTreeMap<PathBuf, Node>);

#[derive(Debug)]
struct Node {
    /// Where its content is.
    path: PathBuf,
    metadata: Metadata,
    mtime: Option<i64>,
    target: Option<PathBuf>,
    capability: Option<Vec<u8>>,
    /// The first name of its inode, where it has several in this tree.
    links_to: Option<PathBuf>,
}

impl Tree {
    /// # Panics
    /// When something cannot be read.
    pub(crate) fn read(root: &Path) -> Self {
        let mut nodes = BTreeMap::new();
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(root.join(&directory)).unwrap() {
                let relative = directory.join(entry.unwrap().file_name());
                let node = Node::read(root.join(&relative));
                if node.metadata.is_dir() {
                    directories.push(relative.clone());
                }
                nodes.insert(relative, node);
            }
        }
        let mut names: BTreeMap<(u64, u64), Vec<PathBuf>> = BTreeMap::new();
        for (path, node) in nodes.iter().filter(|(_, node)| !node.metadata.is_dir()) {
            names.entry((node.metadata.dev(), node.metadata.ino())).or_default().push(path.clone());
        }
        for linked in names.into_values().filter(|names| names.len() > 1) {
            for name in &linked {
                nodes.get_mut(name).unwrap().links_to = Some(linked[0].clone());
            }
        }
        Self(nodes)
    }

    /// This tree with a layer over it that replaces nothing but the metadata of directories.
    pub(crate) fn with(mut self, layer: Self) -> Self {
        self.0.extend(layer.0);
        self
    }

    /// This tree with no times of directories to compare.
    pub(crate) fn without_root(mut self) -> Self {
        self.0.remove(&PathBuf::new());
        self
    }

    pub(crate) fn without_directory_times(mut self) -> Self {
        for node in self.0.values_mut().filter(|node| node.metadata.is_dir()) {
            node.mtime = None;
        }
        self
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// What is different in `found`, a line each.
    pub(crate) fn differences(&self, found: &Self) -> Vec<String> {
        let paths: BTreeSet<&PathBuf> = self.0.keys().chain(found.0.keys()).collect();
        let mut differences = Vec::new();
        for path in paths {
            match (self.0.get(path), found.0.get(path)) {
                (Some(expected), Some(found)) => {
                    differences.extend(expected.differences(found).map(|text| format!("{}: {text}", path.display())));
                }
                (Some(_), None) => differences.push(format!("{}: missing", path.display())),
                (None, _) => differences.push(format!("{}: not in the source", path.display())),
            }
        }
        differences
    }
}

impl Node {
    fn read(path: PathBuf) -> Self {
        let metadata = path.symlink_metadata().unwrap();
        let mtime = Some(metadata.mtime());
        let target = metadata.is_symlink().then(|| path.read_link().unwrap());
        let capability = if metadata.is_file() { capability(&path) } else { None };
        Self { path, metadata, mtime, target, capability, links_to: None }
    }

    fn differences(&self, found: &Self) -> impl Iterator<Item = String> {
        let pairs = self.facts().into_iter().zip(found.facts());
        let facts = pairs.filter(|(expected, found)| expected != found);
        let facts = facts.map(|((what, expected), (_, found))| format!("{what} is {found}, not {expected}"));
        let content = (!self.same_content(found)).then(|| "another content".to_owned());
        facts.chain(content)
    }

    fn facts(&self) -> [(&'static str, String); 9] {
        let metadata = &self.metadata;
        let kind = metadata.file_type();
        let is_device = kind.is_char_device() || kind.is_block_device();
        [
            ("mode with type", format!("{:o}", metadata.mode())),
            ("uid", metadata.uid().to_string()),
            ("gid", metadata.gid().to_string()),
            // What a directory's size is, its file system decides.
            ("size", if metadata.is_dir() { String::new() } else { metadata.len().to_string() }),
            ("mtime", format!("{:?}", self.mtime)),
            ("device", if is_device { metadata.rdev().to_string() } else { String::new() }),
            ("target", format!("{:?}", self.target)),
            ("capability", format!("{:?}", self.capability)),
            ("first link", format!("{:?}", self.links_to)),
        ]
    }

    fn same_content(&self, found: &Self) -> bool {
        if !self.metadata.is_file() || !found.metadata.is_file() || self.metadata.len() != found.metadata.len() {
            return true; // Said already, as mode or size.
        }
        fs::read(&self.path).unwrap() == fs::read(&found.path).unwrap()
    }
}

fn capability(path: &Path) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    match rustix::fs::lgetxattr(path, "security.capability", &mut value[..]) {
        Ok(length) => Some(value[..length].to_vec()),
        Err(Errno::NODATA | Errno::NOTSUP) => None,
        Err(error) => panic!("cannot read the capability of {}: {error}", path.display()),
    }
}

#[test]
fn the_comparison_sees_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    for (path, one, other) in [("same", "s", "s"), ("content", "a", "b"), ("size", "a", "ab")] {
        write(&format!("one/{path}"), one);
        write(&format!("other/{path}"), other);
    }
    write("one/gone", "");
    write("other/new", "");
    let at = |path: &str| directory.path().join(path);
    for (side, target, linked, mode) in [("one", "a", "same", 0o640), ("other", "b", "content", 0o600)] {
        std::os::unix::fs::symlink(target, at(side).join("symlink")).unwrap();
        fs::hard_link(at(side).join(linked), at(side).join("linked")).unwrap();
        write(&format!("{side}/mode"), "");
        fs::set_permissions(at(side).join("mode"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let (one, other) = (Tree::read(&at("one")), Tree::read(&at("other")));
    assert_eq!(one.differences(&one), Vec::<String>::new());
    let found = one.differences(&other);
    for expected in [
        "content: another content",
        "content: first link is Some(\"content\"), not None",
        "gone: missing",
        "linked: another content",
        "linked: first link is Some(\"content\"), not Some(\"linked\")",
        "mode: mode with type is 100600, not 100640",
        "new: not in the source",
        "same: first link is None, not Some(\"linked\")",
        "size: size is 2, not 1",
        "symlink: target is Some(\"b\"), not Some(\"a\")",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected} is not in {found:#?}");
    }
}
