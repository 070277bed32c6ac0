//! Archives that are refused, and what they leave in the store: nothing that is not complete.

use std::io::Read;
use std::sync::Arc;

use longshore_core::archive::{Entry, Writer};
use longshore_core::compression::Algorithm;
use longshore_core::content::{ContentStore, ImageStore, MemoryStore};
use longshore_core::image::Graph;
use longshore_core::{Error, ErrorKind, Work};
use longshore_testkit::sample::{ExistingOptions, TarOptions, tar_bytes};

use super::{Files, NAME, assert_whole, docker, existing, import, import_from, layout, replaced, tar, with, without};

/// Each is refused with these words, and no name changes.
#[test]
fn what_is_not_an_archive_of_images_is_refused() {
    let image = existing(1, &ExistingOptions::default());
    let good = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let layer = Graph::at(&image.root, image.provider.as_ref(), &Work::default()).walk().unwrap().blobs[1].clone();
    let layer = layer.descriptor.digest.layout_path();
    let big = vec![b' '; (4 << 20) + 1];
    let (docker, _, _) = docker(false);
    let cases: Vec<(&str, Files)> = vec![
        ("duplicated index.json", with(&good, &[("./index.json", b"{}")])),
        ("no index.json found", without(&good, "index.json")),
        ("neither index.json nor manifest.json found", vec![("file".to_owned(), b"x".to_vec())]),
        ("has the digest", replaced(&good, &layer, |content| content.iter().map(|byte| byte ^ 1).collect())),
        ("has the digest", replaced(&good, &layer, |content| content[1..].to_vec())),
        ("is not in the archive", without(&good, &layer)),
        ("is not in the store", without(&good, &image.root.digest.layout_path())),
        ("is not an image index", replaced(&good, "index.json", |_| b"[".to_vec())),
        (
            "`sha256:` is not a digest",
            replaced(&good, "index.json", |content| {
                String::from_utf8(content.to_vec()).unwrap().replace(image.root.digest.hex(), "").into_bytes()
            }),
        ),
        ("more than the limit", replaced(&good, "index.json", |_| big.clone())),
        ("is not of version 1.0.0", replaced(&good, "oci-layout", |_| br#"{"imageLayoutVersion":"2"}"#.to_vec())),
        (
            "there is no image in it",
            replaced(&good, "index.json", |_| br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()),
        ),
        ("is outside the archive", with(&good, &[("../x", b"")])),
        (
            "has no name",
            replaced(&good, "index.json", |content| {
                String::from_utf8(content.to_vec()).unwrap().replace("app:1", "UPPER").into_bytes()
            }),
        ),
        ("`manifest.json` is `null`", replaced(&docker, "manifest.json", |_| b"null".to_vec())),
        ("`c/layer.tar` is not in the archive", docker.clone()),
        ("stands twice in the archive", with(&docker, &[("a/layer.tar", b"other")])),
    ];
    for (expected, files) in cases {
        let store = MemoryStore::default();
        let error = import(&store, &files, None).expect_err(expected);
        assert!(error.with_causes().contains(expected), "{expected}: {}", error.with_causes());
        assert_eq!(store.images().unwrap(), [], "{expected}");
    }
    let swapped =
        replaced(&with(&docker, &[("c/layer.tar", b"x")]), "a/layer.tar", |_| tar_bytes(9, TarOptions::default()));
    let error = import(&MemoryStore::default(), &swapped, None).unwrap_err();
    assert!(error.with_causes().contains("its config says"), "{}", error.with_causes());
}

#[test]
fn an_archive_that_ends_early_is_refused_at_every_byte() {
    let image = existing(1, &ExistingOptions { layers: vec![Algorithm::Gzip], ..ExistingOptions::default() });
    let files = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let archive = tar(&files);
    // Without what is after its last content, padding and two empty blocks, an archive is complete.
    let (blocks, content) = (archive.len() - 1024, files.last().unwrap().1.len());
    let last = blocks - (content.next_multiple_of(512) - content);
    assert!(last < blocks, "the last file has padding");
    for end in (0..last).step_by(97).chain([last - 1]) {
        let store = MemoryStore::default();
        let result = import_from(&store, &archive[..end], None);
        let error = result.expect_err("an archive that was cut");
        assert_ne!(error.kind(), ErrorKind::Other, "{end}: {}", error.with_causes());
        assert_eq!(store.images().unwrap(), []);
    }
    for end in [last, last + 1, blocks - 1, blocks, blocks + 100, blocks + 512, blocks + 700] {
        let imported = import_from(&MemoryStore::default(), &archive[..end], None).unwrap();
        assert_eq!(imported.len(), 1, "{end}");
    }
}

/// Sizes are those of headers: an archive of a few bytes may claim any.
#[test]
fn an_archive_that_claims_more_than_there_can_be_is_refused() {
    let image = existing(1, &ExistingOptions::default());
    let good = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    for size in [i64::MAX as u64, u64::MAX - 511, u64::MAX] {
        for path in ["blobs/sha256/aa", "index.json", "manifest.json", "file"] {
            let mut bytes = Vec::new();
            let mut tar = Writer::new(&mut bytes);
            for (path, content) in good.iter().filter(|(path, _)| path.starts_with("blobs")) {
                tar.append(&Entry::file(path.as_str(), 0o644, content.len() as u64), &mut &content[..]).unwrap();
            }
            let path = if path.ends_with("aa") { format!("blobs/sha256/{}", "a".repeat(64)) } else { path.to_owned() };
            tar.append(&Entry::file(path.as_str(), 0o644, size), &mut &b"short"[..]).unwrap_err();
            let store = MemoryStore::default();
            let error = import_from(&store, &bytes[..], None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path} {size}: {}", error.with_causes());
            assert_eq!(store.images().unwrap(), []);
        }
    }
}

/// A good image stays good when an archive with more of it is cut, and a good archive is imported after.
#[test]
fn a_cut_import_leaves_no_manifest_without_its_layers() {
    let image = existing(1, &ExistingOptions { platforms: 2, ..ExistingOptions::default() });
    let graph = Graph::at(&image.root, image.provider.as_ref(), &Work::default()).walk().unwrap();
    let [first, second] = &graph.blobs.last().unwrap().references[..] else { panic!("two platforms") };
    let full = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let store = Arc::new(MemoryStore::default());
    let partial = without(&full, &second.layout_path());
    let imported = import(store.as_ref(), &partial, None).unwrap();
    // Documents first, as archives may have them, and then the end.
    let mut cut = full.clone();
    cut.sort_by_key(|(path, content)| (!path.starts_with("blobs"), content.len()));
    let bytes = tar(&cut);
    import_from(store.as_ref(), &bytes[..bytes.len() / 2], None).unwrap_err();
    assert_eq!(store.info(second).unwrap(), None, "a manifest without its layers");
    assert!(store.info(first).unwrap().is_some());
    assert_whole(&store, &imported[0]);
    assert_eq!(import(store.as_ref(), &full, None).unwrap()[0].missing, []);
}

/// What a store has already does not make an archive true.
#[test]
fn an_archive_that_lies_about_known_blobs_is_refused() {
    let layers = vec![Algorithm::Uncompressed];
    let big = existing(7, &ExistingOptions { layers, ..ExistingOptions::default() });
    let good = layout(&[&big], vec![big.root.clone().annotated(NAME, "app:1")]);
    let store = MemoryStore::default();
    import(&store, &good, None).unwrap();
    for (path, content) in good.iter().filter(|(path, _)| path.starts_with("blobs/")) {
        let mut lie = content.clone();
        lie[0] ^= 1;
        let error = import(&store, &replaced(&good, path, |_| lie.clone()), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{path}: {}", error.with_causes());
    }
}

/// The error of a reader comes out, not that of the writers that it left alone.
#[test]
fn an_input_that_breaks_says_why() {
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(Error::new(ErrorKind::Unavailable, "the pipe broke on purpose").into()),
                count => Ok(count),
            }
        }
    }
    let image = existing(1, &ExistingOptions::default());
    let archive = tar(&layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]));
    let error = import_from(&MemoryStore::default(), Broken(&archive[..archive.len() / 2]), None).unwrap_err();
    assert!(error.with_causes().contains("the pipe broke on purpose"), "{}", error.with_causes());
}
