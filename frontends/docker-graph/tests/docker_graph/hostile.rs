//! Data roots in which something waits for its reader.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::oci::Digest;
use longshore_core::{ErrorKind, Store};
use longshore_testkit::docker::{BuiltImage, GraphDriver, SplitEntry, split};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Data, artifact, assert_error, export, failed_export, read};

/// What must not be read; a file outside has the same content, so only who looks sees the difference.
const SECRET: &[u8] = b"the same content as in the layer";

/// An image with `etc/passwd` and `etc/deep/file`.
fn image() -> (Data, BuiltImage, Vec<u8>) {
    let mut tar = Writer::new(Vec::new());
    for (path, kind, content) in [
        ("etc", EntryKind::Directory, &b""[..]),
        ("etc/passwd", EntryKind::File, SECRET),
        ("etc/deep", EntryKind::Directory, b""),
        ("etc/deep/file", EntryKind::File, SECRET),
    ] {
        let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
        let entry = Entry { size: content.len() as u64, ..Entry::new(path, kind, mode) };
        tar.append(&entry, &mut &content[..]).unwrap();
    }
    let tar = tar.finish().unwrap();
    let data = Data::new(GraphDriver::Overlay2);
    let image = data.root.build(std::slice::from_ref(&tar));
    data.root.tag("app:1", &image.id);
    (data, image, tar)
}

/// A directory of the host with `passwd`, `deep/file` and `file`.
fn outside() -> (tempfile::TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("deep")).unwrap();
    ["passwd", "file", "deep/file"].iter().for_each(|name| fs::write(outside.path().join(name), SECRET).unwrap());
    let path = outside.path().to_owned();
    (outside, path)
}

/// Replaces a file of the layer by what `make` makes of its path, and exports.
fn replaced(name: &str, make: impl Fn(&Path)) -> longshore_core::Error {
    let (data, image, _) = image();
    let path = data.files(&image, 0).join(name);
    if path.is_dir() {
        fs::remove_dir_all(&path).unwrap()
    } else {
        fs::remove_file(&path).unwrap()
    }
    make(&path);
    failed_export(&data, ":app:1")
}

#[test]
fn links_do_not_lead_to_the_host() {
    let (_outside, host) = outside();
    let error = replaced("etc/passwd", |path| symlink(host.join("passwd"), path).unwrap());
    assert_error(&error, ErrorKind::Corrupt, "`etc/passwd` in", "");
    assert!(error.with_causes().contains("it is a symbolic link"));
    for directory in ["etc", "etc/deep"] {
        let error = replaced(directory, |path| symlink(&host, path).unwrap());
        assert_error(&error, ErrorKind::NotFound, "it is missing", "docker save");
        // Up from the layer, which for a container is its root.
        let up = format!("{}{}", "../".repeat(40), host.display().to_string().trim_start_matches('/'));
        let error = replaced(directory, |path| symlink(&up, path).unwrap());
        assert_error(&error, ErrorKind::NotFound, "it is missing", "");
    }
    let error = replaced("etc/deep", |path| symlink("/proc/self/cwd", path).unwrap());
    assert_error(&error, ErrorKind::NotFound, "it is missing", "");
    let error = replaced("etc/deep", |path| symlink("deep", path).unwrap());
    assert_error(&error, ErrorKind::Corrupt, "its path has a loop of symbolic links", "");
}

#[test]
fn links_lead_inside() {
    let (data, image, tar) = image();
    let files = data.files(&image, 0);
    fs::create_dir_all(files.join("usr/etc")).unwrap();
    fs::rename(files.join("etc"), files.join("usr/real")).unwrap();
    for target in ["/usr/real", "usr/real", "../../../../usr/real", "/usr/etc/../real"] {
        symlink(target, files.join("etc")).unwrap();
        assert_eq!(read(&artifact(&data.open(":app:1").unwrap()[0]).layers[0]).unwrap(), tar, "{target}");
        fs::remove_file(files.join("etc")).unwrap();
    }
}

#[test]
fn what_is_no_file_is_not_opened() {
    let error = replaced("etc/passwd", |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap());
    assert_error(&error, ErrorKind::Corrupt, "it is not a regular file", "");
    let error = replaced("etc/passwd", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
    assert_error(&error, ErrorKind::Corrupt, "it is not a regular file", "");
    let error = replaced("etc/passwd", |path| fs::create_dir(path).unwrap());
    assert_error(&error, ErrorKind::Corrupt, "it is not a regular file", "");
    let error = replaced("etc/deep", |path| fs::write(path, SECRET).unwrap());
    assert_error(&error, ErrorKind::Corrupt, "a parent in its path is not a directory", "");
}

#[test]
fn metadata_is_read_from_files_only() {
    let (_outside, host) = outside();
    let paths = ["diff", "cache-id", "tar-split.json.gz"];
    for name in paths {
        let (data, image, _) = image();
        let path = data.layer(&image, 0).join(name);
        let copy = host.join(format!("copy of {name}"));
        fs::rename(&path, &copy).unwrap();
        symlink(&copy, &path).unwrap();
        assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::Corrupt, "it is a symbolic link", "");
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_error(&data.open(":app:1").unwrap_err(), ErrorKind::Corrupt, "it is not a regular file", "");
    }
    let (data, image, _) = image();
    let layer = data.root.payload_dir(&image.layers[0].cache_id).parent().unwrap().to_owned();
    fs::remove_dir_all(&layer).unwrap();
    symlink(&host, &layer).unwrap();
    fs::create_dir(host.join("diff")).unwrap();
    assert_error(&failed_export(&data, ":app:1"), ErrorKind::Corrupt, "it is a symbolic link", "");
}

#[test]
fn a_cache_id_is_a_name() {
    let (data, image, _) = image();
    for cache_id in ["../../../etc", "a/../../..", "..", ".", "", "/etc", "a\0b", "\u{1b}[2J", "l/AAAA"] {
        fs::write(data.layer(&image, 0).join("cache-id"), cache_id).unwrap();
        let error = data.open(":app:1").unwrap_err();
        assert_error(&error, ErrorKind::Corrupt, "has the invalid cache-id `", "");
        assert!(!error.with_causes().contains(['\0', '\u{1b}']));
    }
    let cache_id = format!("{}\n", image.layers[0].cache_id);
    fs::write(data.layer(&image, 0).join("cache-id"), cache_id).unwrap();
    assert!(data.open(":app:1").is_ok(), "dockerd trims it as well");
    fs::write(data.layer(&image, 0).join("cache-id"), "a".repeat(5000)).unwrap();
    assert!(data.open(":app:1").unwrap_err().with_causes().contains("has more than 4096 bytes"));
}

#[test]
fn names_in_a_tar_split_stay_in_the_layer() {
    let (_outside, host) = outside();
    let (data, image, tar) = image();
    let up = format!("{}{}/passwd", "../".repeat(40), host.display());
    let through = format!("etc/../../..{}/passwd", host.display());
    let absolute = format!("{}/passwd", host.display());
    let long = "n".repeat(5000);
    for (name, kind, words) in [
        (up.as_str(), ErrorKind::Corrupt, "its name points outside the layer"),
        (through.as_str(), ErrorKind::Corrupt, "its name points outside the layer"),
        ("..", ErrorKind::Corrupt, "its name points outside the layer"),
        ("/", ErrorKind::Corrupt, "its name points outside the layer"),
        ("", ErrorKind::Corrupt, "its name points outside the layer"),
        (absolute.as_str(), ErrorKind::NotFound, "it is missing"),
        ("etc/pass\0wd", ErrorKind::Corrupt, "its name is not a valid file name"),
        ("etc/\0/passwd", ErrorKind::Corrupt, "its name is not a valid file name"),
        (long.as_str(), ErrorKind::Corrupt, "its name is not a valid file name"),
        ("etc\u{1b}[2J", ErrorKind::NotFound, "it is missing"),
    ] {
        let mut list = split(&tar);
        for entry in &mut list.entries {
            if let SplitEntry::File { name: found, size: 1.., .. } = entry {
                *found = name.as_bytes().to_vec();
            }
        }
        fs::write(data.layer(&image, 0).join("tar-split.json.gz"), list.gzip()).unwrap();
        let error = failed_export(&data, ":app:1");
        assert_error(&error, kind, words, "");
        assert!(!error.with_causes().contains(['\0', '\u{1b}']), "{name:?}");
    }
}

#[test]
fn files_that_overlayfs_keeps_below_are_named() {
    let (data, image, _) = image();
    let path = data.files(&image, 0).join("etc/passwd");
    fs::write(&path, vec![0; SECRET.len()]).unwrap();
    let error = failed_export(&data, ":app:1");
    assert_error(&error, ErrorKind::Corrupt, "it was changed: its CRC-64 is", "");
    let set = ["user.overlay.metacopy", "trusted.overlay.metacopy"]
        .iter()
        .any(|name| rustix::fs::setxattr(&path, *name, b"", rustix::fs::XattrFlags::empty()).is_ok());
    if set {
        let error = failed_export(&data, ":app:1");
        assert_error(&error, ErrorKind::Unsupported, "keeps its content in a layer below", "docker save");
    }
}

#[test]
fn renames_elsewhere_do_not_matter() {
    let (data, image, tar) = image();
    let files = data.files(&image, 0);
    fs::create_dir_all(files.join("a/b/c")).unwrap();
    fs::rename(files.join("etc/deep"), files.join("deep")).unwrap();
    // The kernel refuses `..` while something is renamed, and wants to be asked again.
    symlink(format!("../{}deep", "a/b/c/../../../".repeat(8)), files.join("etc/deep")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| elsewhere.path().join(name));
    fs::create_dir(&one).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for _ in 0..1000 {
                    fs::rename(&one, &two).unwrap();
                    fs::rename(&two, &one).unwrap();
                }
                // Somebody who never stops keeps everybody out.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let images = data.open(":app:1").unwrap();
        let layer = &artifact(&images[0]).layers[0];
        let found: Result<Vec<_>, _> = (0..300).map(|_| read(layer)).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(found.unwrap().iter().all(|found| *found == tar));
    });
}

#[test]
fn nothing_is_written_to_a_data_root() {
    let (data, _, _) = image();
    let before = listing(data.path());
    let directory = tempfile::tempdir().unwrap();
    export(data.open("").unwrap(), directory.path(), "compression=gzip", Store::Spool).unwrap();
    assert_eq!(listing(data.path()), before);
}

/// All files with their content, and when they were changed.
fn listing(directory: &Path) -> Vec<(PathBuf, std::time::SystemTime, Option<Digest>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let content = found.is_file().then(|| Digest::of(&fs::read(&path).unwrap()));
        all.push((path.clone(), found.modified().unwrap(), content));
        if found.is_dir() {
            all.extend(listing(&path));
        }
    }
    all.sort();
    all
}
