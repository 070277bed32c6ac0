//! Archives into an image store.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "import/refused.rs"]
mod refused;

#[path = "import/readers.rs"]
mod readers;

use std::io::Read;

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{ContentStore, ImageStore, MemoryStore, copy};
use longshore_core::image::{Graph, take_apart, verify};
use longshore_core::oci::{Descriptor, Digest, ImageConfig, Index, MediaType, Platform};
use longshore_core::{Cancel, ErrorKind, Existing, ImageContent, Result, Work};
use longshore_frontend_archive::{Import, Imported};
use longshore_testkit::sample::{self, ExistingOptions, TarOptions, tar_bytes};
use serde_json::json;

/// Entries of an archive: a path and its content.
type Files = Vec<(String, Vec<u8>)>;

fn tar(files: &Files) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, content) in files {
        tar.append(&Entry::file(path.as_str(), 0o644, content.len() as u64), &mut &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

fn existing(seed: u64, options: &ExistingOptions) -> Existing {
    match sample::existing(seed, options).content {
        ImageContent::Existing(existing) => existing,
        ImageContent::Built(_) => unreachable!("the sample exists"),
    }
}

const NAME: &str = "io.containerd.image.name";
const TAG: &str = "org.opencontainers.image.ref.name";
const SUBJECT: &str = "io.containerd.manifest.subject";

/// An OCI layout with the blobs of `images` and these entries in its index.
fn layout(images: &[&Existing], entries: Vec<Descriptor>) -> Files {
    let index = serde_json::to_vec(&Index::new(entries)).unwrap();
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        // As containerd writes it, the index comes before what it refers to, in other tools after it.
        ("index.json".to_owned(), index),
    ];
    for image in images {
        for root in [&image.root].into_iter().chain(&image.referrers) {
            for blob in Graph::at(root, image.provider.as_ref(), &Work::default()).walk().unwrap().blobs {
                let mut bytes = Vec::new();
                let provider = image.provider.as_ref();
                copy(provider, &blob.descriptor, &mut bytes, &Cancel::default(), None).unwrap();
                let path = blob.descriptor.digest.layout_path();
                if !files.iter().any(|(present, _)| *present == path) {
                    files.push((path, bytes));
                }
            }
        }
    }
    files.rotate_left(2);
    files
}

fn import_from(store: &dyn ImageStore, input: impl Read + Send, name: Option<&str>) -> Result<Vec<Imported>> {
    let name = name.map(|name| name.parse().unwrap());
    Import { store, name: name.as_ref(), work: &Work::default() }.archive(input)
}

fn import(store: &dyn ImageStore, files: &Files, name: Option<&str>) -> Result<Vec<Imported>> {
    import_from(store, &tar(files)[..], name)
}

fn names(imported: &[Imported]) -> Vec<String> {
    imported.iter().map(|imported| imported.name.to_string()).collect()
}

/// Everything that the store has of an image is whole.
fn assert_whole(store: &std::sync::Arc<MemoryStore>, imported: &Imported) {
    let image = &imported.image;
    let existing = Existing::new(image.root.clone(), store.clone()).with_referrers(image.referrers.clone());
    let found = verify(&existing, &Work::default()).unwrap();
    assert_eq!(found.problems, [""; 0]);
    for blob in Graph::at(&image.root, store.as_ref(), &Work::default()).walk().unwrap().blobs {
        let known = store.info(&blob.descriptor.digest).unwrap().unwrap().meta.references;
        assert!(blob.references.iter().all(|child| known.contains(child)), "references of {}", blob.descriptor.digest);
    }
}

#[test]
fn layouts_of_every_kind_keep_their_digests_and_names() {
    let docker = ExistingOptions { docker: true, ..ExistingOptions::default() };
    let platforms = ExistingOptions { platforms: 3, ..ExistingOptions::default() };
    let referrer = ExistingOptions { referrer: true, ..ExistingOptions::default() };
    for options in [ExistingOptions::default(), docker, platforms, referrer] {
        let image = existing(1, &options);
        let subject = image.root.digest.to_string();
        let mut entries = vec![
            image.root.clone().annotated(NAME, "example.com/app:1").annotated(TAG, "1"),
            image.root.clone().annotated(NAME, "example.com/app:latest"),
        ];
        entries.extend(image.referrers.iter().map(|referrer| referrer.clone().annotated(SUBJECT, subject.clone())));
        let plain = tar(&layout(&[&image], entries));
        let compressed =
            [Algorithm::Gzip, Algorithm::Zstd].map(|a| Encoding::new(a, None).unwrap().encode(&plain).unwrap());
        for archive in [&plain, &compressed[0], &compressed[1]] {
            let store = std::sync::Arc::new(MemoryStore::default());
            // A pipe gives as little as it wants.
            let pipe = Trickle(archive);
            let imported = import_from(store.as_ref(), pipe, None).unwrap();
            assert_eq!(names(&imported), ["example.com/app:1", "example.com/app:latest"]);
            for imported in &imported {
                assert_eq!(imported.image.root, image.root, "{options:?}");
                assert_eq!(imported.image.referrers, image.referrers, "{options:?}");
                assert_whole(&store, imported);
            }
            assert_eq!(store.images().unwrap().len(), 2);
        }
    }
}

/// A reader that gives a prime number of bytes at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1009).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn names_are_made_of_tags_and_digests() {
    let [one, two] = [1, 2].map(|seed| existing(seed, &ExistingOptions::default()));
    let entries = |tagged: bool| {
        let [mut first, second] = [&one, &two].map(|image| image.root.clone());
        if tagged {
            first = first.annotated(TAG, "v1");
        }
        vec![first, second.annotated(TAG, "v2")]
    };
    let files = layout(&[&one, &two], entries(true));
    let store = MemoryStore::default();
    assert_eq!(
        names(&import(&store, &files, Some("app")).unwrap()),
        ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    );
    let files = layout(&[&one, &two], entries(false));
    let by_digest = format!("docker.io/library/app@{}", one.root.digest);
    assert_eq!(names(&import(&store, &files, Some("app")).unwrap()), [&by_digest, "docker.io/library/app:v2"]);
    let single = layout(&[&two], vec![two.root.clone().annotated(TAG, "v2")]);
    assert_eq!(names(&import(&store, &single, Some("other")).unwrap()), ["docker.io/library/other:latest"]);
    let error = import(&MemoryStore::default(), &files, None).unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidInput, Some("give it a name")));
    let error = import(&MemoryStore::default(), &files, Some("app:1")).unwrap_err();
    assert!(error.message().contains("several images"), "{error}");
}

#[test]
fn a_name_that_moves_is_reported() {
    let [one, two] = [1, 2].map(|seed| existing(seed, &ExistingOptions::default()));
    let store = MemoryStore::default();
    let archive = |image: &Existing| layout(&[image], vec![image.root.clone().annotated(NAME, "app:1")]);
    assert_eq!(import(&store, &archive(&one), None).unwrap()[0].moved, None);
    assert_eq!(import(&store, &archive(&one), None).unwrap()[0].moved, None, "the same image again");
    let moved = import(&store, &archive(&two), None).unwrap().remove(0).moved.unwrap();
    assert_eq!(moved.root.digest, one.root.digest);
    let both =
        layout(&[&one, &two], vec![one.root.clone().annotated(NAME, "x:1"), two.root.clone().annotated(NAME, "x:1")]);
    let error = import(&store, &both, None).unwrap_err();
    assert!(error.message().contains("names two images"), "{error}");
    assert_eq!(store.image(&"x:1".parse().unwrap()).unwrap(), None);
}

#[test]
fn platforms_that_are_not_there_are_recorded() {
    let image = existing(1, &ExistingOptions { platforms: 3, ..ExistingOptions::default() });
    let index = Graph::at(&image.root, image.provider.as_ref(), &Work::default()).walk().unwrap();
    let root = index.blobs.last().unwrap();
    let mut files = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let absent = &root.references[1..];
    files.retain(|(path, _)| !absent.iter().any(|digest| digest.layout_path() == *path));
    let store = std::sync::Arc::new(MemoryStore::default());
    let imported = import(store.as_ref(), &files, None).unwrap();
    let missing: Vec<&Digest> = imported[0].missing.iter().map(|missing| &missing.digest).collect();
    assert_eq!(missing, absent.iter().collect::<Vec<_>>());
    assert!(imported[0].missing.iter().all(|missing| missing.platform.is_some()));
    assert_whole(&store, &imported[0]);
    let existing = Existing::new(image.root.clone(), store.clone());
    let found = verify(&existing, &Work::default()).unwrap();
    assert_eq!((found.problems.len(), found.missing.len()), (0, 2));
    assert_eq!(take_apart(&existing, &Work::default()).unwrap().artifacts().len(), 1);
    // With nothing left it is no image.
    files.retain(|(path, _)| *path != root.references[0].layout_path());
    let error = import(&MemoryStore::default(), &files, None).unwrap_err();
    assert!(error.with_causes().contains("all 3 manifests of index"), "{}", error.with_causes());
}

/// A tarball of `docker save` from before it had a layout: layers by path, one of them a link.
fn docker(compress: bool) -> (Files, Vec<(String, String)>, Vec<Digest>) {
    let layers = [1, 2].map(|seed| tar_bytes(seed, TarOptions { files: 3, ..TarOptions::default() }));
    let diff_ids = [&layers[0], &layers[1], &layers[0]].map(|layer| Digest::of(layer)).to_vec();
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64", None));
    config.set_diff_ids(diff_ids.clone());
    let config = config.to_bytes().unwrap();
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let manifest = json!([{
        "Config": config_name, "RepoTags": ["app:1", "example.com/app:2"],
        "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"],
    }]);
    let gzip = Encoding::new(Algorithm::Gzip, Some(9)).unwrap();
    let layer = |at: usize| if compress { gzip.encode(&layers[at]).unwrap() } else { layers[at].clone() };
    let files = vec![
        ("a/layer.tar".to_owned(), layer(0)),
        ("a/json".to_owned(), b"{}".to_vec()),
        ("a/VERSION".to_owned(), b"1.0".to_vec()),
        ("b/layer.tar".to_owned(), layer(1)),
        (config_name, config),
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
        ("repositories".to_owned(), b"{}".to_vec()),
    ];
    (files, vec![("c/layer.tar".to_owned(), "../a/layer.tar".to_owned())], diff_ids)
}

fn with_links(files: &Files, links: &[(String, String)]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, target) in links {
        let link = Entry { link: target.clone().into_bytes(), ..Entry::new(path.as_str(), EntryKind::Symlink, 0o777) };
        tar.append(&link, &mut std::io::empty()).unwrap();
    }
    for (path, content) in files {
        tar.append(&Entry::file(path.as_str(), 0o644, content.len() as u64), &mut &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

#[test]
fn tarballs_of_docker_save() {
    for compress in [false, true] {
        let (files, links, diff_ids) = docker(compress);
        let store = std::sync::Arc::new(MemoryStore::default());
        let imported = import_from(store.as_ref(), &with_links(&files, &links)[..], None).unwrap();
        assert_eq!(names(&imported), ["docker.io/library/app:1", "example.com/app:2"]);
        assert_whole(&store, &imported[0]);
        let existing = Existing::new(imported[0].image.root.clone(), store.clone());
        let built = take_apart(&existing, &Work::default()).unwrap();
        assert_eq!(built.artifacts()[0].config.diff_ids().unwrap(), diff_ids);
        assert_eq!(store.info(&Digest::of(b"1.0")).unwrap(), None, "what only repeats is not stored");
    }
}

fn replaced(files: &Files, path: &str, with: impl Fn(&[u8]) -> Vec<u8>) -> Files {
    files.iter().map(|(at, content)| (at.clone(), if at == path { with(content) } else { content.clone() })).collect()
}

fn with(files: &Files, more: &[(&str, &[u8])]) -> Files {
    let more = more.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    files.iter().cloned().chain(more).collect()
}

fn without(files: &Files, path: &str) -> Files {
    files.iter().filter(|(at, _)| at != path).cloned().collect()
}

#[test]
fn a_graph_of_many_paths_is_walked_once() {
    // Ten links a level to the same index, twelve levels deep: 10^12 paths.
    let mut files: Files = Vec::new();
    let image = existing(1, &ExistingOptions { layers: vec![], ..ExistingOptions::default() });
    let mut below = image.root.clone();
    for _ in 0..12 {
        let bytes = serde_json::to_vec(&Index::new(vec![below.clone(); 10])).unwrap();
        below = Descriptor::of(MediaType::INDEX, &bytes);
        files.push((below.digest.layout_path(), bytes));
    }
    let mut all = layout(&[&image], vec![below.annotated(NAME, "app:1")]);
    all.extend(files);
    assert_eq!(import(&MemoryStore::default(), &all, None).unwrap().len(), 1);
}

/// What `index.json` of an archive does not say about itself is what it must say.
#[test]
fn an_index_without_a_version_is_imported() {
    let image = existing(4, &ExistingOptions { platforms: 2, ..ExistingOptions::default() });
    let files = layout(&[&image], vec![image.root.clone().annotated(NAME, "app:1")]);
    let bare = replaced(&files, "index.json", |content| {
        let mut index: serde_json::Value = serde_json::from_slice(content).unwrap();
        index.as_object_mut().unwrap().remove("schemaVersion").unwrap();
        index["manifests"][0]["urls"] = json!(null);
        index["annotations"] = json!(null);
        index.to_string().into_bytes()
    });
    let store = std::sync::Arc::new(MemoryStore::default());
    let imported = import(store.as_ref(), &bare, None).unwrap();
    assert_eq!(names(&imported), ["docker.io/library/app:1"]);
    assert_eq!(imported[0].image.root.digest, image.root.digest);
    assert_whole(&store, &imported[0]);
}
