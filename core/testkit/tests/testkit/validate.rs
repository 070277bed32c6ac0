//! The validator finds what is wrong, and nothing where nothing is.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use longshore_core::archive::{Entry, EntryKind, Reader, Writer};
use longshore_core::oci::{Digest, MediaType};
use longshore_core::{BuildResult, ExporterRegistry, ImageContent, OutputSpec, Session, Store};
use longshore_testkit::sample::{self, ExistingOptions, TarOptions};
use longshore_testkit::validate;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tiny::TinyExporter;

/// Exports to `out` in a directory of its own.
fn export(result: &BuildResult, options: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let registry = ExporterRegistry::default().with(TinyExporter);
    let spec = OutputSpec::parse(&format!("type=tiny,dest={}{options}", out.display())).unwrap().unwrap();
    Session::new(&registry).resolve(&[spec]).unwrap().export(result, Store::Spool).unwrap();
    (place, out)
}

#[test]
fn says_what_a_product_consists_of() {
    let result = sample::result(vec![sample::image(1, 2), sample::multi_platform(2, 3)]);
    for algorithm in ["uncompressed", "gzip", "zstd"] {
        let (_place, layout) = export(&result, &format!(",tar=false,compression={algorithm}"));
        let (_other_place, tar) = export(&result, &format!(",compression={algorithm}"));
        let validated = validate::layout_dir(&layout).unwrap();
        assert_eq!(validate::layout_tar(&tar).unwrap(), validated);
        let names: Vec<_> = validated.images.iter().map(|image| image.names[0].as_str()).collect();
        let (one, other) = ("registry.example/sample:1", "registry.example/sample:2");
        assert_eq!(names, [one, other, other, other]);
        let platforms: Vec<_> = validated.images.iter().map(|image| image.platform.to_string()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/amd64", "linux/arm64", "linux/arm/v7"]);
        let base = &validated.images[0].layers[0];
        let options = TarOptions { whiteouts: false, ..TarOptions::default() };
        assert_eq!(base.diff_id, Digest::of(&sample::tar_bytes(1, options)));
        assert_eq!(base.media_type.layer_compression().unwrap().to_string(), algorithm);
        assert_eq!(base.digest == base.diff_id, algorithm == "uncompressed");
        let shared = validated.images[1..].iter().map(|image| &image.layers[0].digest);
        assert!(shared.clone().all(|digest| Some(digest) == shared.clone().next()));
    }
}

#[test]
fn existing_samples_are_valid() {
    for (platforms, docker, referrer) in [(0, false, true), (0, true, false), (3, false, false), (2, true, true)] {
        let options = ExistingOptions { platforms, docker, referrer, ..ExistingOptions::default() };
        let image = sample::existing(1, &options);
        let ImageContent::Existing(existing) = &image.content else { panic!("it exists") };
        let validated = validate::image(existing.provider.as_ref(), &existing.root).unwrap();
        assert_eq!(validated.images.len(), platforms.max(1));
        for about in &existing.referrers {
            let validated = validate::image(existing.provider.as_ref(), about).unwrap();
            assert_eq!((validated.images.len(), validated.artifacts), (0, vec![about.digest.clone()]));
        }
    }
}

type Change = fn(&Layout);

/// What is done to a valid layout of one image, and a part of the problem that must be found.
const CHANGES: &[(&str, &str, Change)] = &[
    ("a flipped byte", "it has the digest", |layout| layout.change_blob(&layout.layer(), |bytes| bytes[5000] ^= 1)),
    ("a cut layer", "bytes, but its descriptor says", |layout| layout.change_blob(&layout.layer(), |b| b.truncate(99))),
    ("a flipped config", "it has the digest", |layout| {
        let config = layout.manifest()["config"]["digest"].as_str().unwrap().to_owned();
        layout.change_blob(&config, |bytes| *bytes = String::from_utf8_lossy(bytes).replace("PATH", "HTAP").into());
    }),
    ("a missing layer", "it is missing", |layout| fs::remove_file(layout.blob(&layout.layer())).unwrap()),
    ("a missing manifest", "it is missing", |layout| fs::remove_file(layout.blob(&layout.root())).unwrap()),
    ("no oci-layout", "oci-layout: ", |layout| fs::remove_file(layout.path.join("oci-layout")).unwrap()),
    ("another version", "the version is `1.1.0`", |layout| {
        layout.write("oci-layout", r#"{"imageLayoutVersion":"1.1.0"}"#)
    }),
    ("no index", "index.json: ", |layout| fs::remove_file(layout.path.join("index.json")).unwrap()),
    ("an index that is no JSON", "index.json: oci-spec cannot read it", |layout| layout.write("index.json", "{")),
    ("a wrong size in the index", "bytes, but its descriptor says 1", |layout| {
        layout.change_index(|index| index["manifests"][0]["size"] = json!(1));
    }),
    ("a manifest listed as an index", "cannot read index", |layout| {
        layout.change_index(|index| index["manifests"][0]["mediaType"] = json!(MediaType::INDEX));
    }),
    ("a manifest listed as Docker's", "referenced as", |layout| {
        layout.change_index(|index| index["manifests"][0]["mediaType"] = json!(MediaType::DOCKER_MANIFEST));
    }),
    ("a bad tag", "`a b` is not a reference name", |layout| {
        layout.annotate("org.opencontainers.image.ref.name", "a b")
    }),
    ("a short name", "`alpine` is not the full name", |layout| layout.annotate("io.containerd.image.name", "alpine")),
    ("a name twice", "is there twice", |layout| {
        layout.change_index(|index| {
            let again = index["manifests"][0].clone();
            index["manifests"].as_array_mut().unwrap().push(again);
        });
    }),
    ("gzip said to be zstd", "but its bytes are gzip", |layout| {
        let zstd = json!("application/vnd.oci.image.layer.v1.tar+zstd");
        layout.change_manifest(|manifest| manifest["layers"][0]["mediaType"] = zstd);
    }),
    ("a layer of another type", "is no type of a layer", |layout| {
        layout.change_manifest(|manifest| manifest["layers"][0]["mediaType"] = json!("text/plain"));
    }),
    ("a manifest that is an index too", "both an index and a manifest", |layout| {
        layout.change_manifest(|manifest| manifest["manifests"] = json!([]));
    }),
    ("a wrong diff_id", "diff_id 1 is", |layout| {
        layout.change_config(|config| config["rootfs"]["diff_ids"][1] = json!(Digest::of(b"")));
    }),
    ("a missing diff_id", "it has 1 diff_ids, but there are 2 layers", |layout| {
        layout.change_config(|config| drop(config["rootfs"]["diff_ids"].as_array_mut().unwrap().pop()));
    }),
    ("a missing step", "its history has 1 layers, but there are 2", |layout| {
        layout.change_config(|config| config["history"][0]["empty_layer"] = json!(true));
    }),
    ("no architecture", "missing architecture", |layout| {
        layout.change_config(|config| drop(config.as_object_mut().unwrap().remove("architecture")));
    }),
    ("a time that is none", "is not a time", |layout| {
        layout.change_config(|config| config["created"] = json!("yesterday"));
    }),
    ("a file twice", "`./a` is there twice", |layout| {
        layout.change_layer(&[Entry::file("a", 0o644, 0), Entry::file("./a", 0o600, 0)]);
    }),
    ("a path that leads out", "`../a` leads out of the layer", |layout| {
        layout.change_layer(&[Entry::file("../a", 0o644, 0)]);
    }),
    ("an absolute path", "`/etc/passwd` leads out of the layer", |layout| {
        layout.change_layer(&[Entry::file("/etc/passwd", 0o644, 0)]);
    }),
    ("a hard link before its file", "is a hard link to nothing", |layout| {
        let link = Entry { link: b"a".to_vec(), ..Entry::new("b", EntryKind::HardLink, 0o644) };
        layout.change_layer(&[link, Entry::file("a", 0o644, 0)]);
    }),
    ("a layer that is no archive", "not a tar archive", |layout| layout.put_layer(&[7; 2048])),
    ("a blob with another name", "it has another digest", |layout| {
        layout.write(&Digest::of(b"x").layout_path(), "y");
    }),
    ("what is no blob", "`blobs/sha256/readme` is not a blob", |layout| layout.write("blobs/sha256/readme", "")),
    ("what a run left", "`.longshore-tmp-1` was left behind", |layout| layout.write(".longshore-tmp-1", "")),
];

#[test]
fn every_change_is_found() {
    let (_place, valid) = export(&sample::result(vec![sample::image(1, 2)]), ",tar=false");
    for (name, expected, change) in CHANGES {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&valid, copy.path());
        validate::layout_dir(copy.path()).unwrap();
        change(&Layout { path: copy.path().to_owned() });
        let invalid = validate::layout_dir(copy.path()).expect_err(name);
        assert!(invalid.problems.iter().any(|problem| problem.contains(expected)), "{name}: {invalid}");
    }
}

#[test]
fn all_changes_are_found_at_once() {
    let (_place, layout) = export(&sample::result(vec![sample::image(1, 2)]), ",tar=false");
    let layout = Layout { path: layout };
    layout.write("oci-layout", r#"{"imageLayoutVersion":"2"}"#);
    layout.write(".longshore-tmp-1", "");
    layout.annotate("org.opencontainers.image.ref.name", "a b");
    layout.change_blob(&layout.layer(), |bytes| bytes.truncate(99));
    let invalid = validate::layout_dir(&layout.path).unwrap_err();
    for expected in ["the version is", "left behind", "is not a reference name", "99 bytes", "it has the digest"] {
        assert!(invalid.to_string().contains(expected), "{expected}: {invalid}");
    }
}

#[test]
fn an_index_must_agree_with_its_images() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("it is for linux/arm64, but listed for linux/s390x", |index| {
            index["manifests"][1]["platform"]["architecture"] = json!("s390x");
        }),
        ("there are two images for linux/amd64", |index| {
            index["manifests"][1]["platform"] = index["manifests"][0]["platform"].clone();
        }),
        ("has no platform", |index| drop(index["manifests"][0].as_object_mut().unwrap().remove("platform"))),
        ("it is missing", |index| index["manifests"][0]["digest"] = json!(Digest::of(b"nowhere"))),
    ];
    for (expected, change) in changes {
        let (_place, path) = export(&sample::result(vec![sample::multi_platform(1, 2)]), ",tar=false");
        let layout = Layout { path };
        layout.change_root(MediaType::INDEX, change);
        let invalid = validate::layout_dir(&layout.path).expect_err(expected);
        assert!(invalid.to_string().contains(expected), "{expected}: {invalid}");
    }
}

#[test]
fn an_archive_must_be_as_buildkit_writes_it() {
    type Change = fn(&mut Vec<(Entry, Vec<u8>)>);
    let changes: &[(&str, Change)] = &[
        ("was changed 1 seconds after 1970", |entries| entries[3].0.mtime = 1),
        ("belongs to 1000:0", |entries| entries[0].0.uid = 1000),
        ("has the mode 0644, expected 0444", |entries| entries[2].0.mode = 0o644),
        ("has the mode 0700, expected 0755", |entries| entries[1].0.mode = 0o700),
        ("`index.json` comes after `oci-layout`", |entries| {
            let last = entries.len() - 1;
            entries.swap(last, last - 1);
        }),
        ("is there twice", |entries| entries.insert(4, entries[3].clone())),
        ("`../x` leads out of it", |entries| entries.insert(0, (Entry::file("../x", 0o644, 0), Vec::new()))),
        ("nothing references it", |entries| {
            let path = Digest::of(b"").layout_path();
            let at = entries.iter().position(|(entry, _)| entry.path > path.as_bytes().to_vec()).unwrap();
            entries.insert(at, (Entry::file(path, 0o444, 0), Vec::new()));
        }),
        ("`index.json` is a symbolic link", |entries| {
            let at = entries.iter().position(|(entry, _)| entry.path == b"index.json").unwrap();
            let link = Entry { link: b"/etc/passwd".to_vec(), ..Entry::new("index.json", EntryKind::Symlink, 0o777) };
            entries[at] = (link, Vec::new());
        }),
    ];
    let (place, tar) = export(&sample::result(vec![sample::image(1, 2)]), "");
    let bytes = fs::read(&tar).unwrap();
    let mut reader = Reader::new(&bytes[..]);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        entries.push((entry, content));
    }
    for (expected, change) in changes {
        let mut changed = entries.clone();
        change(&mut changed);
        let mut writer = Writer::new(Vec::new());
        changed.iter().for_each(|(entry, content)| writer.append(entry, &mut &content[..]).unwrap());
        let path = place.path().join("changed.tar");
        fs::write(&path, writer.finish().unwrap()).unwrap();
        let invalid = validate::layout_tar(&path).expect_err(expected);
        assert!(invalid.to_string().contains(expected), "{expected}: {invalid}");
    }
    fs::write(&tar, &bytes[..bytes.len() - 1024]).unwrap();
    assert!(validate::layout_tar(&tar).unwrap_err().to_string().contains("two empty blocks"));
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// A layout that is changed so that all digests above the change are right.
struct Layout {
    path: PathBuf,
}

impl Layout {
    fn write(&self, name: &str, text: &str) {
        fs::remove_file(self.path.join(name)).ok();
        fs::write(self.path.join(name), text).unwrap();
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.path.join(digest.parse::<Digest>().unwrap().layout_path())
    }

    fn document(&self, path: &Path) -> Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The digest of the root of the first image.
    fn root(&self) -> String {
        self.document(&self.path.join("index.json"))["manifests"][0]["digest"].as_str().unwrap().to_owned()
    }

    fn manifest(&self) -> Value {
        self.document(&self.blob(&self.root()))
    }

    /// The digest of the first layer of the first image.
    fn layer(&self) -> String {
        self.manifest()["layers"][0]["digest"].as_str().unwrap().to_owned()
    }

    fn change_blob(&self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.blob(digest);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }

    fn change_index(&self, change: impl FnOnce(&mut Value)) {
        let mut index = self.document(&self.path.join("index.json"));
        change(&mut index);
        self.write("index.json", &index.to_string());
    }

    fn annotate(&self, key: &str, value: &str) {
        self.change_index(|index| index["manifests"][0]["annotations"][key] = json!(value));
    }

    /// Stores a blob and makes `descriptor` reference it.
    fn put(&self, bytes: &[u8], descriptor: &mut Value) {
        let digest = Digest::of(bytes);
        fs::write(self.path.join(digest.layout_path()), bytes).unwrap();
        descriptor["digest"] = json!(digest);
        descriptor["size"] = json!(bytes.len());
    }

    fn change_root(&self, media_type: MediaType, change: impl FnOnce(&mut Value)) {
        let mut root = self.manifest();
        assert_eq!(root["mediaType"], json!(media_type));
        change(&mut root);
        self.change_index(|index| self.put(root.to_string().as_bytes(), &mut index["manifests"][0]));
    }

    fn change_manifest(&self, change: impl FnOnce(&mut Value)) {
        self.change_root(MediaType::MANIFEST, change);
    }

    fn change_config(&self, change: impl FnOnce(&mut Value)) {
        self.change_manifest(|manifest| {
            let mut config = self.document(&self.blob(manifest["config"]["digest"].as_str().unwrap()));
            change(&mut config);
            self.put(config.to_string().as_bytes(), &mut manifest["config"]);
        });
    }

    /// Puts a layer of these files in the place of the first one.
    fn change_layer(&self, entries: &[Entry]) {
        let mut writer = Writer::new(Vec::new());
        entries.iter().for_each(|entry| writer.append(entry, &mut std::io::empty()).unwrap());
        self.put_layer(&writer.finish().unwrap());
    }

    fn put_layer(&self, bytes: &[u8]) {
        self.change_config(|config| config["rootfs"]["diff_ids"][0] = json!(Digest::of(bytes)));
        self.change_manifest(|manifest| {
            self.put(bytes, &mut manifest["layers"][0]);
            manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        });
    }
}
