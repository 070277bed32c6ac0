//! The files of a SquashFS image are those of `type=tar`.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use longshore_core::archive::{Entry, EntryKind, Reader, Writer};
use longshore_core::layer::{Layer, LayerSource, Rules, TarSource};
use longshore_core::oci::History;
use longshore_core::{BuildResult, Error, ExporterRegistry, OutputSpec, Session, Store};
use longshore_example_squashfs::SquashfsExporter;
use longshore_exporter_tar::TarExporter;
use longshore_testkit::are_installed;
use longshore_testkit::sample::{self, MemoryTar};

fn try_export(result: &BuildResult, output: &str, dest: &Path) -> Result<(), Error> {
    let exporters = ExporterRegistry::default().with(SquashfsExporter).with(TarExporter);
    let spec = OutputSpec::parse(&format!("{output},dest={}", dest.display())).unwrap().unwrap();
    let resolved = Session::new(&exporters).resolve(&[spec])?;
    resolved.export(result, Store::Spool).map_err(|failure| failure.error)?;
    Ok(())
}

fn export(result: &BuildResult, output: &str, dest: &Path) {
    try_export(result, output, dest).unwrap_or_else(|error| panic!("{output}: {}", error.with_causes()));
}

fn unsquashfs(arguments: &[&str], image: &Path) -> String {
    let output = Command::new("unsquashfs").args(arguments).arg(image).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// An image with everything that a tar archive can hold and a user may unpack.
fn everything() -> BuildResult {
    let text = "contents\n".repeat(100_000);
    let file = |path: &str, mode: u32| Entry { uid: 7, gid: 100_000, ..Entry::file(path, mode, text.len() as u64) };
    let link = |path: &str, kind, link: &str| Entry { link: link.into(), ..Entry::new(path, kind, 0o777) };
    let mut entries = vec![
        Entry { uid: 1000, gid: 1000, ..Entry::new("d", EntryKind::Directory, 0o1770) },
        Entry { xattrs: [(b"user.note".to_vec(), b"a\0b".to_vec())].into(), ..file("d/attributes", 0o640) },
        Entry::file("d/empty", 0o600, 0),
        Entry::new("d/pipe", EntryKind::Fifo, 0o622),
        file("d/set-user-id", 0o4755),
        link("hard", EntryKind::HardLink, "d/set-user-id"),
        link("soft", EntryKind::Symlink, "/d/nowhere"),
        file("naïve name\n", 0o444),
    ];
    if is_root() {
        entries.push(Entry { device: (1, 300), ..Entry::new("device", EntryKind::CharDevice, 0o666) });
        entries.push(Entry { device: (8, 0), ..Entry::new("disk", EntryKind::BlockDevice, 0o660) });
    }
    let mut tar = Writer::new(Vec::new());
    for entry in entries {
        let content = &text.as_bytes()[..usize::try_from(entry.size).unwrap()];
        tar.append(&Entry { mtime: 1_000_000_000, ..entry }, &mut &content[..]).unwrap();
    }
    of_tar(tar.finish().unwrap())
}

fn of_tar(bytes: Vec<u8>) -> BuildResult {
    let source = LayerSource::Tar(TarSource::new(Arc::new(MemoryTar::new("a layer", bytes)), Rules::default()));
    let layer = Arc::new(Layer::new(source, History::default()));
    BuildResult::new(vec![sample::image_of(vec![layer])])
}

/// Every file below `root`, and itself.
fn walk(root: &Path) -> HashMap<PathBuf, Metadata> {
    let mut found = HashMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path.strip_prefix(root).unwrap().to_owned(), metadata);
    }
    found
}

fn assert_is(entry: &Entry, content: &[u8], path: &Path, found: &Metadata) {
    let name = entry.display();
    let kind = found.file_type();
    match entry.kind {
        EntryKind::File => assert!(fs::read(path).unwrap() == content, "{name}: other content"),
        EntryKind::HardLink => {}
        EntryKind::Symlink => assert_eq!(path.read_link().unwrap().as_os_str().as_bytes(), entry.link, "{name}"),
        EntryKind::CharDevice => assert!(kind.is_char_device(), "{name}"),
        EntryKind::BlockDevice => assert!(kind.is_block_device(), "{name}"),
        EntryKind::Directory => assert!(kind.is_dir(), "{name}"),
        EntryKind::Fifo => assert!(kind.is_fifo(), "{name}"),
    }
    if entry.kind == EntryKind::HardLink {
        return;
    }
    // An inode has no time before 1970.
    assert_eq!(found.mtime(), entry.mtime.max(0), "{name}");
    if kind.is_char_device() || kind.is_block_device() {
        let device = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
        assert_eq!(device, entry.device, "{name}");
    }
    if !kind.is_symlink() {
        assert_eq!(found.mode() & 0o7777, entry.mode, "{name}");
    }
    if is_root() {
        assert_eq!((u64::from(found.uid()), u64::from(found.gid())), (entry.uid, entry.gid), "{name}");
    }
    for (attribute, value) in entry.xattrs.iter().filter(|(attribute, _)| attribute.starts_with(b"user.")) {
        let mut read = vec![0; 64 << 10];
        let size = rustix::fs::lgetxattr(path, &attribute[..], &mut read[..]).unwrap();
        assert_eq!(&read[..size], value, "{name}");
    }
}

/// Exports `result` as a tar archive and as a SquashFS image, and compares each file.
fn compare(result: &BuildResult, options: &str) {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| place.path().join(name);
    export(result, "type=tar", &path("a.tar"));
    export(result, &format!("type=squashfs{options}"), &path("a.squashfs"));
    unsquashfs(&["-no-progress", "-dest", path("root").to_str().unwrap()], &path("a.squashfs"));
    let mut left = walk(&path("root"));
    let top = left.remove(Path::new("")).unwrap();
    assert_eq!((top.mode() & 0o7777, top.mtime()), (0o755, 0), "the root directory");
    let mut inodes = HashMap::new();
    let mut tar = Reader::new(fs::File::open(path("a.tar")).unwrap());
    while let Some(entry) = tar.next_entry().unwrap() {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut tar, &mut content).unwrap();
        let name = PathBuf::from(std::ffi::OsStr::from_bytes(&entry.path));
        let found = left.remove(&name).unwrap_or_else(|| panic!("{} is missing", entry.display()));
        assert_is(&entry, &content, &path("root").join(&name), &found);
        if entry.kind == EntryKind::HardLink {
            assert_eq!(inodes.get(&entry.link), Some(&found.ino()), "{}", entry.display());
        }
        inodes.insert(entry.path, found.ino());
    }
    assert!(left.is_empty() && !inodes.is_empty(), "more than in the archive: {:?}", left.keys());
}

#[test]
fn every_kind_of_file_is_kept() {
    if are_installed(&["tar2sqfs", "unsquashfs"]) {
        compare(&everything(), "");
    }
}

#[test]
fn images_of_several_layers_are_merged() {
    if !are_installed(&["tar2sqfs", "unsquashfs"]) {
        return;
    }
    for (seed, options) in
        ["", ",compression=zstd,compression-level=3,block-size=4K", ",compression=xz"].iter().enumerate()
    {
        compare(&BuildResult::new(vec![sample::image(seed as u64, 3)]), options);
    }
}

/// What unsquashfs says, which needs no privileges.
#[test]
fn owners_and_modes_are_listed() {
    if !are_installed(&["tar2sqfs", "unsquashfs"]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let image = place.path().join("a.squashfs");
    export(&everything(), "type=squashfs,exclude=d*,source-date-epoch=86400", &image);
    let listed = unsquashfs(&["-lln", "-no-progress"], &image);
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let lines: Vec<&Vec<&str>> = lines.iter().filter(|words| words.len() > 5).collect();
    let expected = [
        "drwxr-xr-x 0/0 59 1970-01-02 00:00 squashfs-root",
        "-rwsr-xr-x 7/100000 900000 1970-01-02 00:00 squashfs-root/hard",
        "-r--r--r-- 7/100000 900000 1970-01-02 00:00 squashfs-root/naïve name",
        "lrwxrwxrwx 0/0 10 1970-01-02 00:00 squashfs-root/soft -> /d/nowhere",
    ];
    let found: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, expected);
    let info = unsquashfs(&["-stat"], &image);
    assert!(info.contains("Creation or last append time Fri Jan  2 00:00:00 1970"), "{info}");
}

#[test]
fn options_change_the_image() {
    if !are_installed(&["tar2sqfs", "unsquashfs"]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let image = place.path().join("a.squashfs");
    for (options, expected) in [
        ("", ["Compression gzip", "Block size 131072"]),
        (",compression=zstd,compression-level=1,block-size=64K", ["Compression zstd", "Block size 65536"]),
    ] {
        export(&everything(), &format!("type=squashfs{options}"), &image);
        let info = unsquashfs(&["-stat"], &image);
        assert!(expected.iter().all(|line| info.contains(line)), "{options}: {info}");
    }
    for (options, expected) in [
        (
            "compression=zst",
            "option `compression` of type=squashfs at column 15: expected gzip|lz4|lzo|xz|zstd, not `zst`",
        ),
        ("compression=xz,compression-level=1", "compression=xz has no levels"),
        ("compression-level=10", "compression-level 10 is not one of gzip"),
        (
            "block-size=100K",
            "option `block-size` of type=squashfs at column 15: expected a power of two from 4K to 1024K, not `100K`",
        ),
    ] {
        let error = try_export(&everything(), &format!("type=squashfs,{options}"), &image).unwrap_err();
        assert_eq!(error.with_causes(), expected);
    }
}

/// It became root's file.
#[test]
fn an_owner_with_a_large_number_is_refused() {
    if !are_installed(&["tar2sqfs"]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let image = place.path().join("a.squashfs");
    let mut tar = Writer::new(Vec::new());
    tar.append(&Entry { uid: 1 << 32, ..Entry::file("f", 0o644, 0) }, &mut &b""[..]).unwrap();
    let result = of_tar(tar.finish().unwrap());
    let error = try_export(&result, "type=squashfs", &image).unwrap_err();
    // tar2sqfs would write the lower 32 bits: 0 belongs to root.
    assert!(error.with_causes().contains("its owner is 4294967296"), "{}", error.with_causes());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
