//! Layers that want out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use longshore_core::ErrorKind;
use longshore_core::archive::{Entry, EntryKind};
use longshore_core::compression::Algorithm;
use longshore_store::EmbeddedStore;

use longshore_testkit::stack::{Item, directory, entry, file, hard_link, symlink, tar};

use super::fixture::{layer_of, layers, snapshots, unpack_to};

/// A directory that no layer may reach, beside where layers go.
struct Canary {
    place: tempfile::TempDir,
    before: Vec<String>,
}

impl Canary {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let canary = place.path().join("canary");
        fs::create_dir(&canary).unwrap();
        fs::write(canary.join("secret"), "secret").unwrap();
        fs::create_dir(canary.join("below")).unwrap();
        let before = state(&canary);
        Self { place, before }
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("canary")
    }

    /// Unpacks in both ways; whatever comes of it, the canary is as it was, and nothing is beside it.
    fn survives(&self, what: &str, stack: &[Vec<Item>]) {
        let to = self.place.path().join("to");
        let store = EmbeddedStore::open(self.place.path().join("store")).unwrap();
        let results = [unpack_to(&layers(stack), &to).err(), snapshots(&layers(stack), &store).err()];
        assert_eq!(state(&self.path()), self.before, "{what}: {results:?}");
        let mut names: Vec<_> = fs::read_dir(self.place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !["canary", "store", "to"].contains(&name.as_str()));
        assert_eq!(names, [""; 0], "{what}");
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        for error in results.iter().flatten() {
            assert_ne!(error.kind(), ErrorKind::Other, "{what}: {}", error.with_causes());
        }
    }
}

/// Inode, change time, mode and content of everything.
fn state(path: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(path).unwrap();
    let content = if found.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    let mut lines = vec![format!(
        "{} {} {}.{} {:o} {} {content:?}",
        path.display(),
        found.ino(),
        found.ctime(),
        found.ctime_nsec(),
        found.mode(),
        found.nlink()
    )];
    if found.is_dir() {
        let mut below: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        below.sort();
        lines.extend(below.iter().flat_map(|path| state(path)));
    }
    lines
}

/// Ways to get a name that leads to `outside`, as a link called `esc`.
fn escapes(outside: &str) -> Vec<(String, Vec<Item>)> {
    let up = format!("{}{}", "../".repeat(40), outside.trim_start_matches('/'));
    let esc = |target: &str| vec![symlink("esc", target)];
    vec![
        ("absolute link".to_owned(), esc(outside)),
        ("link with many ..".to_owned(), esc(&up)),
        ("link to a link".to_owned(), vec![symlink("first", outside), symlink("esc", "first")]),
        (
            "link below".to_owned(),
            vec![directory("d"), symlink("d/x", "../../../.."), symlink("esc", &format!("d/x/{outside}"))],
        ),
        (
            "link to the root of all".to_owned(),
            vec![symlink("root", "/"), symlink("esc", &format!("root/../..{outside}"))],
        ),
        ("link to itself by proc".to_owned(), esc(&format!("/proc/self/root{outside}"))),
        ("link to a descriptor".to_owned(), esc("/proc/self/fd/3/../../canary")),
        ("hard link".to_owned(), vec![hard_link("esc", outside)]),
        ("hard link with ..".to_owned(), vec![hard_link("esc", &up)]),
    ]
}

/// What is done through such a name.
fn attacks() -> Vec<(&'static str, Vec<Item>)> {
    let with_xattr = |(entry, content): Item| {
        let xattrs = [(b"user.attack".to_vec(), b"x".to_vec())].into();
        (Entry { xattrs, mode: 0o777, ..entry }, content)
    };
    vec![
        ("write", vec![file("esc/secret", "overwritten")]),
        ("create", vec![file("esc/new", "new")]),
        ("empty", vec![file("esc/secret", "")]),
        ("replace", vec![file("esc", "replaced")]),
        ("make a directory", vec![directory("esc/new")]),
        ("change a directory", vec![with_xattr(directory("esc"))]),
        ("change a directory below", vec![with_xattr(directory("esc/below"))]),
        ("link", vec![symlink("esc/new", "x")]),
        ("hard link from", vec![hard_link("stolen", "esc/secret"), file("stolen", "overwritten")]),
        ("hard link to", vec![file("mine", "x"), hard_link("esc/secret", "mine")]),
        ("pipe", vec![entry("esc/pipe", EntryKind::Fifo, "")]),
        (
            "device",
            vec![(Entry { device: (1, 3), ..Entry::new("esc/null", EntryKind::CharDevice, 0o666) }, Vec::new())],
        ),
        ("whiteout", vec![file("esc/.wh.secret", "")]),
        ("opaque", vec![file("esc/.wh..wh..opq", "")]),
        ("whiteout of the link", vec![file(".wh.esc", ""), file("esc/secret", "x")]),
        ("write with dots", vec![file("./esc/./secret", "x")]),
        ("write as absolute", vec![file("/esc/secret", "x")]),
        ("write from below", vec![file("esc/below/../secret", "x")]),
        ("swap", vec![directory("esc2"), file("esc2/x", "x"), symlink("esc2", "esc"), file("esc2/secret", "x")]),
    ]
}

#[test]
fn nothing_reaches_outside() {
    let canary = Canary::new();
    let outside = canary.path().display().to_string();
    let mut cases = 0;
    for (how, escape) in escapes(&outside) {
        for (what, attack) in attacks() {
            let one = vec![[escape.clone(), attack.clone()].concat()];
            let two = vec![escape.clone(), attack];
            for stack in [one, two] {
                canary.survives(&format!("{what} through {how}"), &stack);
                cases += 1;
            }
        }
    }
    assert!(cases >= 300, "{cases} cases");
}

#[test]
fn names_that_lead_outside() {
    let canary = Canary::new();
    let outside = canary.path().display().to_string();
    let paths = [
        "../canary/secret".to_owned(),
        "../../../../canary/secret".to_owned(),
        format!("{}{outside}/secret", "../".repeat(30)),
        format!("{outside}/secret"),
        format!("/{outside}/secret"),
        "a/../../canary/secret".to_owned(),
        "..".to_owned(),
        "./..".to_owned(),
        "a/..".to_owned(),
        "/".to_owned(),
        ".".to_owned(),
        "../canary/.wh.secret".to_owned(),
        "../.wh.canary".to_owned(),
        ".wh..".to_owned(),
        ".wh...".to_owned(),
        ".wh.".to_owned(),
        "a/.wh..".to_owned(),
        ".wh..wh..opq/x".to_owned(),
    ];
    for path in &paths {
        for kind in [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Fifo] {
            let item = entry(path, kind, "/");
            canary.survives(&format!("{path} {kind}"), &[vec![directory("a"), item]]);
        }
    }
}

/// Each is refused with these words.
#[test]
fn what_no_layer_may_have() {
    let base = |path: &str, kind| Entry::new(path, kind, 0o644);
    let xattr = |name: &str| Entry { xattrs: [(name.into(), b"y".to_vec())].into(), ..base("a", EntryKind::File) };
    let long = "n".repeat(256);
    let deep = format!("{}x", "d/".repeat(2100));
    let cases: Vec<(&str, Vec<Item>)> = vec![
        ("whiteout of nothing", vec![file(".wh.", "")]),
        ("whiteout of nothing", vec![file(".wh..", "")]),
        ("whiteout of nothing", vec![file("a/.wh...", "")]),
        ("not a valid ID", vec![(Entry { uid: 1 << 32, ..base("a", EntryKind::File) }, Vec::new())]),
        ("not a valid ID", vec![(Entry { gid: u64::from(u32::MAX), ..base("a", EntryKind::File) }, Vec::new())]),
        ("belongs to overlayfs", vec![(xattr("trusted.overlay.opaque"), Vec::new())]),
        ("belongs to overlayfs", vec![(xattr("user.overlay.redirect"), Vec::new())]),
        ("whiteout of overlayfs", vec![(base("a", EntryKind::CharDevice), Vec::new())]),
        ("more than 255", vec![file(&long, "x")]),
        ("more than 4095", vec![file(&deep, "x")]),
        ("outside the archive", vec![file("../x", "x")]),
        ("outside the archive", vec![hard_link("a", "../x")]),
        ("which is missing", vec![hard_link("a", "b")]),
        ("which is a directory", vec![directory("d"), hard_link("a", "d")]),
        ("is not a directory", vec![file("a", "x"), file("a/b", "x")]),
        ("symbolic links on the way", vec![symlink("a", "b"), symlink("b", "a"), file("a/x", "x")]),
        ("the root cannot be", vec![file(".", "x")]),
        ("ends in a slash", vec![file("./", "x")]),
        ("the root cannot be", vec![symlink(".", "/")]),
    ];
    for (expected, items) in cases {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("to");
        let error = unpack_to(&layers(std::slice::from_ref(&items)), &to).expect_err(expected);
        assert!(error.with_causes().contains(expected), "{expected}: {}", error.with_causes());
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported), "{error:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{expected}");
    }
}

/// Links that expand to more than any path, and trees that are deeper than any path: an error, and no
/// more memory or stack than for others.
#[test]
fn links_that_grow_and_trees_that_are_deep() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("to");
    let fails = |stack: &[Vec<Item>], expected: &str| {
        let error = unpack_to(&layers(stack), &to).unwrap_err();
        assert!(error.with_causes().contains(expected), "{expected}: {}", error.with_causes());
        assert!(!to.exists());
    };
    let long = format!("x{}", "/.".repeat(300_000));
    fails(&[vec![symlink("x", &long), file("x/f", "")]], "more than 4095");
    fails(&[vec![file("a", ""), hard_link("x", &long)]], "more than 4095");
    let growing = format!("x{}", "/a".repeat(2000));
    fails(&[vec![symlink("x", &growing), file("x/f", "")]], "through more than 4096");
    // Each link leads a hundred directories further down than the one before it.
    let mut deep = vec![symlink("l0", "/")];
    for number in 0..60 {
        let below = format!("l{number}{}", "/a".repeat(100));
        deep.push(directory(&below));
        deep.push(symlink(&format!("l{}", number + 1), &below));
    }
    fails(&[deep.clone(), vec![file(".wh.a", "")]], "more than 4095 bytes");
    let files: Vec<Item> = (0..15).flat_map(|number| deep[2 * number..2 * number + 3].to_vec()).collect();
    unpack_to(&layers(&[files, vec![file(".wh.a", "")]]), &to).unwrap();
    assert!(!to.join("a").exists());
}

#[test]
fn archives_that_end_early_or_go_on() {
    let good = tar(&[file("a", "content of a"), directory("d"), file("d/b", "b")]);
    let place = tempfile::tempdir().unwrap();
    for end in (1..good.len() - 1024).step_by(101).chain([523, 524, 1536, 2048, 2049]) {
        for algorithm in [Algorithm::Gzip, Algorithm::Zstd, Algorithm::Uncompressed] {
            let to = place.path().join("to");
            // After the content of an entry, with or without its padding, it is an archive of fewer entries.
            let is_complete = matches!(end, 524..=1024 | 1536 | 2049..);
            assert_eq!(unpack_to(&[layer_of(&good[..end], algorithm)], &to).is_ok(), is_complete, "{end}");
            assert_eq!(to.exists(), is_complete, "{end}");
            if is_complete {
                assert_eq!(fs::read(to.join("a")).unwrap(), b"content of a");
                assert_eq!(to.join("d/b").exists(), end > 2048, "{end}");
                fs::remove_dir_all(&to).unwrap();
            }
        }
    }
    let mut more = good.clone();
    more.extend([0; 10_240]);
    unpack_to(&[layer_of(&more, Algorithm::Gzip)], &place.path().join("padded")).unwrap();
}

/// Errors about an entry that could be read, but not unpacked, did not say which entry it was.
#[test]
fn what_cannot_be_unpacked_is_named_with_its_place() {
    let odd = |entry: Entry| (Entry { mode: 0o644, ..entry }, Vec::new());
    let owner = Entry { uid: 1 << 33, size: 1, ..Entry::new("opt/b", EntryKind::File, 0) };
    let group = Entry { gid: 1 << 34, ..Entry::new("opt/b", EntryKind::Fifo, 0) };
    let cases: [(&str, Item); 4] = [
        ("its owner is 8589934592", (owner, b"b".to_vec())),
        ("its group is 17179869184", odd(group)),
        ("it is a hard link to `lost`, which is missing", hard_link("opt/b", "lost")),
        ("a name in its path has 300 bytes", odd(Entry::file(format!("opt/{}", "n".repeat(300)), 0, 0))),
    ];
    for (reason, item) in cases {
        // A header, a block of data, and the header of a directory come before it, and a PAX header in some cases.
        let stack = vec![vec![file("a", "a"), directory("opt"), item.clone()]];
        let layers = layers(&stack);
        let bytes = tar(&stack[0]);
        let mut reader = longshore_core::archive::Reader::new(&bytes[..]);
        let offset = loop {
            let entry = reader.next_entry().unwrap().unwrap();
            if entry.path == item.0.path {
                break reader.offset();
            }
        };
        assert!(offset >= 1536, "{offset}");
        let place = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(place.path().join("store")).unwrap();
        for error in
            [unpack_to(&layers, &place.path().join("to")).unwrap_err(), snapshots(&layers, &store).unwrap_err()]
        {
            let path = item.0.display();
            let expected = format!(
                "cannot unpack layer {}: cannot unpack the tar entry `{path}` at byte {offset}: {reason}",
                layers[0].descriptor.digest
            );
            assert!(error.with_causes().contains(&expected), "{expected}\n{}", error.with_causes());
        }
    }
}

#[test]
fn a_blob_that_cannot_be_read_is_named_with_the_entry() {
    let content = "x".repeat(1 << 20);
    let bytes = tar(&[file("first", &content), file("second", &content)]);
    let mut layer = layer_of(&bytes, Algorithm::Gzip);
    let mut blob = longshore_core::content::read(layer.provider.as_ref(), &layer.descriptor, 1 << 20).unwrap();
    // Within the second of two gzip members, which has most of the second file.
    blob.truncate(blob.len() * 7 / 10);
    let place = tempfile::tempdir().unwrap();
    let broken = longshore_core::content::MemoryStore::default();
    layer.descriptor = broken.put(layer.descriptor.media_type.clone(), &blob);
    layer.provider = std::sync::Arc::new(broken);
    let said = unpack_to(&[layer], &place.path().join("to")).unwrap_err().with_causes();
    assert!(said.contains("after the start of the tar entry `second` at byte 1049088"), "{said}");
}
