//! A directory as a tar stream, with the same entries as BuildKit's differ writes for the same tree.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use longshore_content::{Cancel, Progress, is_scratch};
use longshore_oci::{Error, Result};
use rustix::fs::{major, minor};

use super::entries::Visit;
use super::left_out::LeftOut;
use super::{DirSource, Rules, Whiteouts};
use crate::archive::{Entry, EntryKind, Writer};
use crate::tree::merged::{OPAQUE, WHITEOUT, is_attribute_of_overlay};
use crate::tree::{FileType, Node, NodeFile, directory_xattr, directory_xattr_names, walk};

pub(super) const CAPABILITY: &str = "security.capability";

/// Writes the layer of `source` to `out`; returns the newest time of its files.
pub(super) fn write(
    source: &DirSource,
    out: &mut dyn Write,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Option<i64>> {
    let mut tar = Writer::new(out);
    let mut newest = None;
    entries(source, progress, cancel, &mut |entry, content| {
        newest = newest.max(Some(entry.mtime));
        Ok(tar.append(&entry, content)?)
    })?;
    tar.finish()?;
    Ok(newest)
}

/// Visits the entries of the layer of `source`.
pub(super) fn entries(source: &DirSource, progress: &Progress, cancel: &Cancel, visit: &mut Visit<'_>) -> Result<()> {
    if source.whiteouts == Whiteouts::Plain {
        let name = || source.path.display().to_string();
        refuse_attributes_of_overlay(&source.path, &directory_xattr_names(&source.path)?, name)?;
    }
    let (left_out, mut with_files_as_whiteouts) = (LeftOut::default(), HashSet::new());
    if source.whiteouts == Whiteouts::Overlay {
        let of_root = |scope: &&str| directory_xattr(&source.path, &attribute(scope, "opaque"));
        let opaque = SCOPES.iter().map(of_root).collect::<Result<Vec<_>>>()?;
        with_files_as_whiteouts.extend(opaque.contains(&Some(b"x".to_vec())).then(Vec::new));
    }
    let mut layer =
        DirectoryLayer { source, visit, links: HashMap::new(), progress, left_out, with_files_as_whiteouts };
    walk(&source.path, &source.rules.excludes, &mut |node| {
        cancel.check()?;
        layer.add(node)
    })?;
    layer.left_out.say(&source.path, progress);
    Ok(())
}

struct DirectoryLayer<'a> {
    source: &'a DirSource,
    visit: &'a mut Visit<'a>,
    /// The first path of each file with several names, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    progress: &'a Progress,
    left_out: LeftOut,
    /// Directories with whiteouts that are files, if they are overlayfs's (kernel, overlayfs.rst, "Nesting overlayfs
    /// mounts").
    with_files_as_whiteouts: HashSet<Vec<u8>>,
}

impl DirectoryLayer<'_> {
    fn add(&mut self, node: &Node<'_>) -> Result<()> {
        if is_scratch(OsStr::from_bytes(node.name())) {
            self.left_out.add_temporary(|| node.display());
            return Ok(());
        }
        let stat = node.stat();
        if let Some(said) = self.source.rules.excludes.excluded_directory((stat.st_dev, stat.st_ino)) {
            self.progress.warn_once(said, || said.to_owned());
            return Ok(());
        }
        let path = self.source.rules.place(node.path());
        let mut entry = Entry { mtime: stat.st_mtime, ..Entry::new(path, EntryKind::File, stat.st_mode & 0o7777) };
        (entry.uid, entry.gid) = owner(&self.source.rules, (stat.st_uid, stat.st_gid));
        if self.is_whiteout(node)? {
            return self.add_whiteout(node, entry);
        }
        match node.file_type() {
            FileType::Directory => return self.add_directory(node, entry),
            FileType::RegularFile => {}
            FileType::Symlink => {
                entry.kind = EntryKind::Symlink;
                entry.link = node.read_link()?;
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let is_block = node.file_type() == FileType::BlockDevice;
                entry.kind = if is_block { EntryKind::BlockDevice } else { EntryKind::CharDevice };
                entry.device = (major(stat.st_rdev), minor(stat.st_rdev));
            }
            FileType::Fifo => entry.kind = EntryKind::Fifo,
            FileType::Socket => {
                self.progress.warn(format!("skipped {}: layers cannot hold sockets", node.display()));
                return Ok(());
            }
            FileType::Unknown => return Err(Error::input(format!("{} is of an unknown kind", node.display()))),
        }
        self.add_file(node, entry)
    }

    fn add_directory(&mut self, node: &Node<'_>, entry: Entry) -> Result<()> {
        let entry = Entry { kind: EntryKind::Directory, ..entry };
        self.note(node, &entry, &node.directory_xattr_names()?)?;
        if self.source.whiteouts != Whiteouts::Overlay {
            return (self.visit)(entry, &mut io::empty());
        }
        let path = [&entry.path, OPAQUE].join(&b'/');
        let marker = Entry { path, kind: EntryKind::File, mode: 0o600, ..entry.clone() };
        (self.visit)(entry, &mut io::empty())?;
        for scope in SCOPES {
            let overlay = |what| node.directory_xattr(&attribute(scope, what));
            if overlay("redirect")?.is_some() {
                return Err(Error::input(format!("{} is renamed from a lower layer", node.display()))
                    .with_hint("mount the overlay and export the merged tree, or turn redirect_dir off"));
            }
            match overlay("opaque")?.as_deref() {
                Some(b"y") => return (self.visit)(marker, &mut io::empty()),
                Some(b"x") => drop(self.with_files_as_whiteouts.insert(node.path().to_vec())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a file that is not a directory: another name of a visited file, or the file itself.
    fn add_file(&mut self, node: &Node<'_>, mut entry: Entry) -> Result<()> {
        let stat = node.stat();
        let mut file = if entry.kind == EntryKind::File { Some(node.open()?) } else { None };
        if let Some(file) = file.as_ref().filter(|_| self.source.whiteouts == Whiteouts::Overlay) {
            refuse_metacopy(node, file)?;
        }
        let attributes = file.as_ref().map(NodeFile::xattr_names).transpose()?.unwrap_or_default();
        let capability = file.as_ref().filter(|_| attributes.iter().any(|name| name == CAPABILITY.as_bytes()));
        let capability = capability.map(|file| file.xattr(CAPABILITY)).transpose()?.flatten();
        entry.xattrs.extend(capability.map(|value| (CAPABILITY.as_bytes().to_vec(), value)));
        if stat.st_nlink > 1 {
            let identity = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&identity) {
                entry = Entry { kind: EntryKind::HardLink, link: first.clone(), device: (0, 0), ..entry };
                return (self.visit)(entry, &mut io::empty());
            }
            self.links.insert(identity, entry.path.clone());
        }
        self.note(node, &entry, &attributes)?;
        let Some(file) = &mut file else { return (self.visit)(entry, &mut io::empty()) };
        entry.size = stat.st_size.cast_unsigned();
        (self.visit)(entry, file)
    }

    /// Counts attributes that the layer does not keep; fails for a file that is special to overlayfs.
    fn note(&mut self, node: &Node<'_>, entry: &Entry, attributes: &[Vec<u8>]) -> Result<()> {
        match self.source.whiteouts {
            Whiteouts::Plain => refuse_attributes_of_overlay(&self.source.path, attributes, || node.display())?,
            // Whiteouts say what these say, but for those of an overlay in this one.
            Whiteouts::Overlay => {
                let is_nested =
                    |name: &[u8]| SCOPES.iter().any(|s| name.starts_with(attribute(s, "overlay.").as_bytes()));
                let mut attributes = attributes.to_vec();
                attributes.retain(|name| !is_attribute_of_overlay(name) || is_nested(name));
                self.left_out.add(entry, &attributes);
                return Ok(());
            }
            Whiteouts::Aufs => {}
        }
        self.left_out.add(entry, attributes);
        Ok(())
    }

    fn is_whiteout(&self, node: &Node<'_>) -> Result<bool> {
        let is_named_so = node.name().starts_with(WHITEOUT);
        match self.source.whiteouts {
            Whiteouts::Plain if is_named_so => {
                Err(Error::input(format!("{} would delete a file of a lower layer", node.display()))
                    .with_hint("names that begin with `.wh.` are reserved: rename or exclude the file"))
            }
            Whiteouts::Plain if is_whiteout_of_overlay(node) => {
                let message = format!("{} is a whiteout of overlayfs: a character device 0/0", node.display());
                Err(upper_directory(&self.source.path, message))
            }
            Whiteouts::Plain | Whiteouts::Aufs => Ok(false),
            Whiteouts::Overlay => Ok(is_whiteout_of_overlay(node) || self.is_file_as_whiteout(node)?),
        }
    }

    /// Returns whether a file is a whiteout in a lower directory of an overlay within an overlay, where devices are taken.
    fn is_file_as_whiteout(&self, node: &Node<'_>) -> Result<bool> {
        let path = node.path();
        let parent = path[..path.len() - node.name().len()].strip_suffix(b"/").unwrap_or_default();
        if node.file_type() != FileType::RegularFile
            || node.stat().st_size > 0
            || !self.with_files_as_whiteouts.contains(parent)
        {
            return Ok(false);
        }
        let file = node.open()?;
        let marks = SCOPES.iter().map(|scope| file.xattr(&attribute(scope, "whiteout"))).collect::<Result<Vec<_>>>()?;
        Ok(marks.iter().any(Option::is_some))
    }

    fn add_whiteout(&mut self, node: &Node<'_>, entry: Entry) -> Result<()> {
        let name = entry.path.len() - node.name().len();
        let path = [&entry.path[..name], WHITEOUT, &entry.path[name..]].concat();
        (self.visit)(Entry { path, mode: 0o600, ..entry }, &mut io::empty())
    }
}

/// Where overlayfs has its attributes: `user` if it is mounted without privileges.
const SCOPES: [&str; 2] = ["trusted", "user"];

fn attribute(scope: &str, name: &str) -> String {
    format!("{scope}.overlay.{name}")
}

fn is_whiteout_of_overlay(node: &Node<'_>) -> bool {
    node.file_type() == FileType::CharacterDevice && node.stat().st_rdev == 0
}

/// Fails for attributes that overlayfs does not show in any of its merged trees.
fn refuse_attributes_of_overlay(tree: &Path, attributes: &[Vec<u8>], file: impl Fn() -> String) -> Result<()> {
    let Some(name) = attributes.iter().find(|name| is_attribute_of_overlay(name)) else { return Ok(()) };
    let name = String::from_utf8_lossy(name).escape_debug().to_string();
    Err(upper_directory(tree, format!("{} has the attribute `{name}`, which belongs to overlayfs", file())))
}

fn upper_directory(tree: &Path, message: String) -> Error {
    let hint = "for the changes alone add whiteouts=overlay, or mount the overlay and export the merged tree";
    Error::input(message).with_hint(format!("{} is a directory of an overlay: {hint}", tree.display()))
}

/// Fails for a file whose content overlayfs keeps in a lower layer: here it would read as zeros.
fn refuse_metacopy(node: &Node<'_>, file: &NodeFile) -> Result<()> {
    for scope in SCOPES {
        if file.xattr(&attribute(scope, "metacopy"))?.is_some() {
            return Err(Error::input(format!("{} has its content in a lower layer", node.display()))
                .with_hint("mount the overlay and export the merged tree, or turn metacopy off"));
        }
    }
    Ok(())
}

/// Returns the owner of a file in the layer.
pub(super) fn owner(rules: &Rules, own: (u32, u32)) -> (u64, u64) {
    let (uid, gid) = rules.owner.unwrap_or(own);
    (uid.into(), gid.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Digest;
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// 2020-01-02T03:04:05Z, the time of all files of the vectors.
    const TIME: i64 = 1_577_934_245;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, path: impl AsRef<[u8]>, content: &[u8], mode: u32, time: SystemTime) {
            let path = self.0.path().join(OsStr::from_bytes(path.as_ref()));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            File::open(&path).unwrap().set_modified(time).unwrap();
        }

        fn layer(&self) -> Vec<u8> {
            set_directories(self.0.path());
            let rules = Rules { owner: Some((0, 0)), ..Rules::default() };
            let source = DirSource { path: self.0.path().to_owned(), whiteouts: Whiteouts::Plain, rules };
            let mut tar = Vec::new();
            write(&source, &mut tar, &Progress::silent(), &Cancel::default()).unwrap();
            tar
        }
    }

    fn set_directories(path: &Path) {
        for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                set_directories(&entry.path());
                fs::set_permissions(entry.path(), PermissionsExt::from_mode(0o755)).unwrap();
                File::open(entry.path()).unwrap().set_modified(at(TIME)).unwrap();
            }
        }
    }

    fn at(seconds: i64) -> SystemTime {
        match u64::try_from(seconds) {
            Ok(after) => UNIX_EPOCH + Duration::from_secs(after),
            Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()),
        }
    }

    /// What BuildKit v0.32.2 gave for `FROM scratch` and `COPY . /`, uncompressed.
    fn assert_buildkit(tree: &Tree, diff_id: &str, size: usize) {
        let tar = tree.layer();
        assert_eq!((Digest::of(&tar).to_string().as_str(), tar.len()), (diff_id, size));
    }

    #[test]
    fn buildkit_diff_id_of_order_modes_and_times() {
        let tree = Tree::new();
        tree.file("etc/hello", b"hello\n", 0o644, at(TIME));
        tree.file("a", b"", 0o644, at(TIME));
        tree.file("a-b", b"x", 0o644, at(TIME));
        tree.file("a.d/z", &[b'z'; 1000], 0o644, at(TIME));
        tree.file("bin/suid", b"#!", 0o4755, at(TIME));
        tree.file("frac", b"q", 0o600, at(TIME) + Duration::from_millis(500));
        assert_buildkit(&tree, "sha256:ee9e8be6573cea4da93514c0bddcd6e32524672e312fdabcc540d3ea70d388b9", 8704);
    }

    #[test]
    fn buildkit_diff_id_of_names() {
        let tree = Tree::new();
        let long = |parts: &[(u8, usize)]| -> Vec<u8> {
            parts.iter().map(|(byte, count)| vec![*byte; *count]).collect::<Vec<_>>().join(&b'/')
        };
        tree.file(long(&[(b'n', 99)]), b"1", 0o644, at(TIME));
        tree.file(long(&[(b'n', 101)]), b"2", 0o644, at(TIME));
        tree.file(long(&[(b'd', 90), (b'e', 60), (b'f', 80)]), b"3", 0o644, at(TIME));
        tree.file("café", b"4", 0o644, at(TIME));
        tree.file(b"bad\xff\xfename", b"5", 0o644, at(TIME));
        tree.file("sp ace", b"6", 0o644, at(TIME));
        tree.file(long(&[(b'd', 160), (b'g', 155)]), b"7", 0o644, at(TIME));
        assert_buildkit(&tree, "sha256:08af09dd5412ecdd0155927c3b5ec720e3733d4c3a7e14e2ed926d02aed3dd3f", 14848);
    }

    #[test]
    fn buildkit_diff_id_of_a_time_before_1970_and_a_larger_file() {
        let tree = Tree::new();
        tree.file("neg", b"n", 0o644, at(-5));
        tree.file("big", &[0; 70_000], 0o644, at(TIME));
        assert_buildkit(&tree, "sha256:59534036cd70c2183295199643da1a21fb5086e85bf2961b7a38b51df89e4f00", 73728);
    }

    #[test]
    fn content_that_overlayfs_keeps_elsewhere_is_refused() {
        let tree = Tree::new();
        tree.file("a", &[0; 10], 0o644, at(TIME));
        let file = File::open(tree.0.path().join("a")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        match rustix::fs::fsetxattr(&file, "user.overlay.metacopy", b"", flags) {
            Err(rustix::io::Errno::OPNOTSUPP) => return,
            set => set.unwrap(),
        }
        let source = |whiteouts| DirSource { path: tree.0.path().to_owned(), whiteouts, rules: Rules::default() };
        let write = |whiteouts| write(&source(whiteouts), &mut io::sink(), &Progress::silent(), &Cancel::default());
        assert!(write(Whiteouts::Overlay).unwrap_err().message().contains("has its content in a lower layer"));
    }
}
