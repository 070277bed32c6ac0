//! Data roots have what readers look for, where they look for it.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::oci::Digest;
use longshore_testkit::docker::{AddedLayer, DockerRoot, GraphDriver};
use longshore_testkit::sample::{self, TarOptions};
use serde_json::{Value, json};

use super::{entries, join, tars};

/// Reads files of a layer as a container would see them.
fn open(root: &Path, name: &[u8]) -> Vec<u8> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
    let root = openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat2(root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", name.escape_ascii()));
    let mut content = Vec::new();
    fs::File::from(file).read_to_end(&mut content).unwrap();
    content
}

/// All below `root`: directories end in a slash, and links show where they lead.
fn listing(root: &Path) -> Vec<String> {
    fn list(root: &Path, at: &Path, all: &mut Vec<String>) {
        for entry in fs::read_dir(root.join(at)).unwrap() {
            let path = at.join(entry.unwrap().file_name());
            let shown = path.as_os_str().as_bytes().escape_ascii().to_string();
            let found = fs::symlink_metadata(root.join(&path)).unwrap();
            if found.is_dir() {
                all.push(format!("{shown}/"));
                list(root, &path, all);
            } else if found.is_symlink() {
                all.push(format!("{shown} -> {}", fs::read_link(root.join(&path)).unwrap().display()));
            } else {
                all.push(shown);
            }
        }
    }
    let mut all = Vec::new();
    list(root, Path::new(""), &mut all);
    all.sort();
    all
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rejoined(root: &DockerRoot, layer: &AddedLayer) -> Digest {
    let list = fs::read(root.layer_dir(&layer.chain_id).join("tar-split.json.gz")).unwrap();
    let payload = root.payload_dir(&layer.cache_id);
    Digest::of(&join(&entries(&list), |name| open(&payload, name)))
}

#[test]
fn layers_of_every_driver_can_be_read_back() {
    let place = tempfile::tempdir().unwrap();
    for driver in GraphDriver::ALL {
        let root = DockerRoot::new(&place.path().join(driver.name()), driver);
        let mut layers: Vec<AddedLayer> = Vec::new();
        for (what, tar) in tars() {
            // On top of others, links of theirs may be on the way to a file.
            for parent in [None, layers.last().map(|layer| layer.chain_id.clone())] {
                let layer = root.layer(parent.as_ref(), &tar);
                assert_eq!(layer.diff_id, Digest::of(&tar));
                assert_eq!(rejoined(&root, &layer), layer.diff_id, "{what} in {}", driver.name());
                assert_eq!(root.layer(parent.as_ref(), &tar), layer);
                layers.push(layer);
            }
        }
    }
    // The roots, and nothing beside them.
    let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["aufs", "btrfs", "fuse-overlayfs", "overlay2", "vfs"]);
}

/// A base, and a layer that deletes, replaces and links.
fn two_layers() -> [Vec<u8>; 2] {
    let file = |path: &str| (Entry::file(path, 0o644, 1), &b"1"[..]);
    let empty = |path: &str| (Entry::file(path, 0o644, 0), &b""[..]);
    let directory = |path: &str| (Entry::new(path, EntryKind::Directory, 0o755), &b""[..]);
    let link = |path: &str, kind, to: &str| (Entry { link: to.into(), ..Entry::new(path, kind, 0o777) }, &b""[..]);
    let base = [
        directory("d"),
        file("d/gone"),
        file("d/kept"),
        directory("o"),
        file("o/hidden"),
        link("l", EntryKind::Symlink, "/d"),
        link("h", EntryKind::HardLink, "d/kept"),
    ];
    let top = [
        empty("d/.wh.gone"),
        directory("o"),
        file("o/new"),
        empty("o/.wh..wh..opq"),
        file("implied/file"),
        (Entry::new("pipe", EntryKind::Fifo, 0o600), &b""[..]),
        directory("h"),
    ];
    [&base, &top].map(|entries| {
        let mut writer = Writer::new(Vec::new());
        entries.iter().for_each(|(entry, content)| writer.append(entry, &mut &**content).unwrap());
        writer.finish().unwrap()
    })
}

#[test]
fn payloads_are_where_their_driver_has_them() {
    let base = vec!["d/", "d/gone", "d/kept", "h", "l -> /d", "o/", "o/hidden"];
    let top = vec!["h/", "implied/", "implied/file", "o/", "o/new"];
    let with_whiteouts = vec!["d/", "d/.wh.gone", "h/", "implied/", "implied/file", "o/", "o/.wh..wh..opq", "o/new"];
    let merged = vec!["d/", "d/kept", "h/", "implied/", "implied/file", "l -> /d", "o/", "o/new"];
    let with_directory = [vec!["d/"], top.clone()].concat();
    let cases = [
        (GraphDriver::Overlay2, "overlay2/ID/diff", &with_directory),
        (GraphDriver::Vfs, "vfs/dir/ID", &merged),
        (GraphDriver::FuseOverlayfs, "fuse-overlayfs/ID/diff", &with_whiteouts),
        (GraphDriver::Btrfs, "btrfs/subvolumes/ID", &merged),
        (GraphDriver::Aufs, "aufs/diff/ID", &with_whiteouts),
    ];
    for (driver, path, expected) in cases {
        let place = tempfile::tempdir().unwrap();
        let root = DockerRoot::new(place.path(), driver);
        let [first, second] = root.build(&two_layers()).layers.try_into().unwrap();
        for (layer, expected) in [(&first, &base), (&second, expected)] {
            let payload = place.path().join(path.replace("ID", &layer.cache_id));
            assert_eq!(root.payload_dir(&layer.cache_id), payload);
            assert_eq!(listing(&payload), *expected, "{}", driver.name());
        }
        // overlay2 looks at the directory, where the target of `l` is two bytes more.
        let links = if driver.keeps_whole_trees() { 0 } else { 2 };
        assert_eq!((first.size, second.size), (3 + links, 2), "{}", driver.name());
        let base = root.payload_dir(&first.cache_id);
        let inode = |name: &str| fs::metadata(base.join(name)).unwrap().ino();
        assert_eq!(inode("h"), inode("d/kept"), "{}", driver.name());
    }
}

#[test]
fn overlay2_has_what_it_mounts_with() {
    let place = tempfile::tempdir().unwrap();
    let root = DockerRoot::new(place.path(), GraphDriver::Overlay2);
    let tars: Vec<_> = (1..=3).map(|seed| sample::tar_bytes(seed, TarOptions::default())).collect();
    let layers = root.build(&tars).layers;
    let home = place.path().join("overlay2");
    let files = |layer: &AddedLayer| {
        let mut names: Vec<_> =
            fs::read_dir(home.join(&layer.cache_id)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(files(&layers[0]), ["committed", "diff", "link"]);
    assert_eq!(files(&layers[1]), ["committed", "diff", "link", "lower", "work"]);
    assert_eq!(files(&layers[2]), ["diff", "link", "lower", "work"]);
    let links: Vec<_> = layers.iter().map(|layer| text(home.join(&layer.cache_id).join("link"))).collect();
    for (link, layer) in links.iter().zip(&layers) {
        assert_eq!(link.len(), 26);
        assert!(link.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')), "{link}");
        assert_eq!(
            fs::read_link(home.join("l").join(link)).unwrap(),
            Path::new("..").join(&layer.cache_id).join("diff")
        );
    }
    assert_eq!(text(home.join(&layers[2].cache_id).join("lower")), format!("l/{}:l/{}", links[1], links[0]));
}

#[test]
fn metadata_is_that_of_dockerd() {
    let place = tempfile::tempdir().unwrap();
    let root = DockerRoot::new(place.path(), GraphDriver::Overlay2);
    let image = root.build(&two_layers());
    let [first, second] = &image.layers[..] else { panic!("two layers") };
    let store = place.path().join("image/overlay2");
    assert_eq!(listing(&store.join("layerdb/tmp")), Vec::<String>::new());

    let directory = store.join("layerdb/sha256").join(first.diff_id.hex());
    assert_eq!(root.layer_dir(&first.chain_id), directory);
    assert_eq!(listing(&directory), ["cache-id", "diff", "size", "tar-split.json.gz"]);
    let chain = Digest::of(format!("{} {}", first.diff_id, second.diff_id).as_bytes());
    assert_eq!(second.chain_id, chain);
    let directory = store.join("layerdb/sha256").join(chain.hex());
    assert_eq!(listing(&directory), ["cache-id", "diff", "parent", "size", "tar-split.json.gz"]);
    let fields = ["cache-id", "diff", "parent", "size"].map(|name| text(directory.join(name)));
    let expected = [second.cache_id.clone(), second.diff_id.to_string(), first.diff_id.to_string(), "2".to_owned()];
    assert_eq!(fields, expected);
    assert!(second.cache_id.len() == 64 && second.cache_id != first.cache_id);

    assert_eq!(fs::read(root.config_path(&image.id)).unwrap(), image.config);
    assert_eq!(Digest::of(&image.config), image.id);
    let config = String::from_utf8(image.config).unwrap();
    let end =
        format!(r#""os":"linux","rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"#, first.diff_id, second.diff_id);
    assert!(config.starts_with(r#"{"architecture":"amd64","config":{"Hostname":"","Domainname":"","#), "{config}");
    assert!(config.contains(r#""ODD=\u003c\u0026\u003eé""#) && config.ends_with(&end), "{config}");
}

#[test]
fn names_parents_and_registries_are_remembered() {
    let place = tempfile::tempdir().unwrap();
    let root = DockerRoot::new(place.path(), GraphDriver::Vfs);
    let store = place.path().join("image/vfs");
    assert_eq!(text(store.join("repositories.json")), r#"{"Repositories":{}}"#);
    let [parent, child] = [b"{}", b"[]"].map(|config| root.image(config));
    let by_digest = format!("registry.example:5000/a/b@{parent}");
    for (name, id) in [
        ("app:2", &parent),
        ("app:1", &parent),
        ("app:2", &child),
        ("localhost:5000/app:1", &child),
        (&by_digest, &child),
    ] {
        root.tag(name, id);
    }
    // Another one in the same place finds what is there.
    let root = DockerRoot::new(place.path(), GraphDriver::Vfs);
    let expected = format!(
        r#"{{"Repositories":{{"app":{{"app:1":"{parent}","app:2":"{child}"}},"localhost:5000/app":{{"localhost:5000/app:1":"{child}"}},"registry.example:5000/a/b":{{"{by_digest}":"{child}"}}}}}}"#
    );
    assert_eq!(text(root.repositories_path()), expected);
    for name in ["app", "localhost:5000/app"] {
        assert!(catch_unwind(AssertUnwindSafe(|| root.tag(name, &child))).is_err(), "{name}");
    }

    root.set_parent(&child, &parent);
    assert_eq!(text(store.join("imagedb/metadata/sha256").join(child.hex()).join("parent")), parent.to_string());

    let blobs: Vec<_> = (0..60).map(|number: u32| Digest::of(&number.to_le_bytes())).collect();
    for blob in &blobs {
        root.set_registry_digest(&child, blob, "docker.io/library/app");
    }
    root.set_registry_digest(&child, &blobs[30], "docker.io/library/app");
    let known = text(store.join("distribution/v2metadata-by-diffid/sha256").join(child.hex()));
    let first = format!(r#"[{{"Digest":"{}","SourceRepository":"docker.io/library/app","HMAC":""}},"#, blobs[10]);
    assert!(known.starts_with(&first), "{known}");
    let known: Vec<Value> = serde_json::from_str(&known).unwrap();
    assert_eq!((known.len(), &known[49]["Digest"]), (50, &json!(blobs[30])));
    let by_digest = store.join("distribution/diffid-by-digest/sha256").join(blobs[0].hex());
    assert_eq!(text(by_digest), child.to_string());
}

#[test]
fn layers_write_nothing_outside_of_their_root() {
    let place = tempfile::tempdir().unwrap();
    let outside = place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "outside").unwrap();
    let to = outside.to_str().unwrap();
    let link = |path: &str, kind, to: &str| (Entry { link: to.into(), ..Entry::new(path, kind, 0o777) }, &b""[..]);
    let file = |path: &str| (Entry::file(path, 0o644, 1), &b"1"[..]);
    let up = "../".repeat(20) + to;
    let entries = [
        link("absolute", EntryKind::Symlink, to),
        file("absolute/a"),
        link("up", EntryKind::Symlink, &up),
        file("up/b"),
        file(&format!("{up}/c")),
        (Entry::file("absolute/.wh.file", 0o600, 0), &b""[..]),
        link("over", EntryKind::Symlink, &format!("{to}/file")),
        file("over"),
        file("up/file"),
        link("hard", EntryKind::HardLink, &format!("up/{}", "file")),
    ];
    let mut writer = Writer::new(Vec::new());
    entries.iter().for_each(|(entry, content)| writer.append(entry, &mut &**content).unwrap());
    let tar = writer.finish().unwrap();
    for driver in GraphDriver::ALL {
        let root = DockerRoot::new(&place.path().join(driver.name()), driver);
        let layer = root.layer(None, &tar);
        let inside = root.payload_dir(&layer.cache_id).join(to.trim_start_matches('/'));
        for name in ["a", "b", "c", "file"] {
            assert_eq!(text(inside.join(name)), "1", "{name} in {}", driver.name());
        }
        assert_eq!(listing(&outside), ["file"]);
        assert_eq!(text(outside.join("file")), "outside");
    }
}
