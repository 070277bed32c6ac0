//! What the manifests of an index may be: images, attestations, signatures, other artifacts, and unknown things.

use std::sync::Arc;

use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{MemoryStore, Work};
use longshore_core::image::{Detail, Graph, Inspection, inspect, layers_for, take_apart, verbatim, verify};
use longshore_core::oci::{Descriptor, Digest, MediaType, Platform};
use longshore_core::{Built, ErrorKind, Existing};
use longshore_testkit::Warnings;
use longshore_testkit::sample::{TarOptions, tar_bytes};
use serde_json::{Value, json};

const AMD64: &str = r#"{"architecture":"amd64","os":"linux"}"#;

fn put(store: &MemoryStore, media_type: &str, content: &[u8]) -> Descriptor {
    store.put(MediaType::from(media_type.to_owned()), content)
}

fn tar() -> Vec<u8> {
    tar_bytes(1, TarOptions { files: 1, ..TarOptions::default() })
}

/// A configuration with these fields and diffIDs.
fn config(store: &MemoryStore, media_type: &str, fields: &str, diff_ids: &[&Digest]) -> Descriptor {
    let mut config: Value = serde_json::from_str(fields).unwrap();
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    put(store, media_type, config.to_string().as_bytes())
}

fn manifest(store: &MemoryStore, config: &Descriptor, layers: &[&Descriptor]) -> Descriptor {
    let document = json!({"schemaVersion": 2, "config": config, "layers": layers});
    store.put(MediaType::MANIFEST, document.to_string().as_bytes())
}

/// An image with one layer, which `what` tells from others.
fn image(store: &MemoryStore, what: &str) -> Descriptor {
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
    let fields = format!(r#"{{"architecture":"amd64","os":"linux","author":"{what}"}}"#);
    let config = config(store, MediaType::CONFIG.as_str(), &fields, &[&layer.digest]);
    manifest(store, &config, &[&layer])
}

fn existing(store: MemoryStore, root: Descriptor) -> Existing {
    Existing::new(root, Arc::new(store))
}

fn index(store: MemoryStore, manifests: &[Descriptor]) -> Existing {
    let document = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    let root = store.put(MediaType::INDEX, document.as_bytes());
    existing(store, root)
}

fn platform(text: &str) -> Option<Platform> {
    Some(text.parse().unwrap())
}

fn inspected(image: &Existing) -> Inspection {
    inspect(image, Detail::Files, &Work::default()).unwrap()
}

fn problems(image: &Existing) -> Vec<String> {
    verify(image, &Work::default()).unwrap().problems
}

/// Layers that are no tar archives, below an OCI configuration: `verify` and `inspect` called them corrupt.
#[test]
fn layers_that_are_no_tar_archives_are_blobs() {
    let config_type = MediaType::CONFIG;
    for (media_type, fields) in [
        ("application/vnd.in-toto+json", r#"{"architecture":"unknown","os":"unknown"}"#),
        ("application/vnd.dev.cosign.simplesigning.v1+json", r#"{"architecture":"","os":""}"#),
        ("application/spdx+json", "{}"),
        ("application/vnd.wasm.content.layer.v1+wasm", r#"{"architecture":"wasm","os":"wasip1"}"#),
        ("application/vnd.erofs.layer.v1", AMD64),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", AMD64),
        ("application/vnd.oci.image.layer.v1.tar+zstd+encrypted", AMD64),
        ("application/x-tar", AMD64),
    ] {
        for diff_ids in [0, 1] {
            let store = MemoryStore::default();
            let layer = put(&store, media_type, b"neither a tar archive nor compressed");
            let diff_id = Digest::of(b"of the plain text");
            let config = config(&store, config_type.as_str(), fields, &[&diff_id][..diff_ids]);
            let root = manifest(&store, &config, &[&layer]);
            let whole = existing(store, root.clone());
            assert_eq!(problems(&whole), [""; 0], "{media_type}");
            let found = inspected(&whole).manifests.remove(0);
            assert_eq!((found.digest, found.layers.len()), (root.digest, 1), "{media_type}");
            assert!(found.layers[0].contents.is_none(), "{media_type}");

            let broken = MemoryStore::default();
            broken.put(MediaType::CONFIG, b"");
            let changed = put(&broken, media_type, b"NEITHER a tar archive nor compressed");
            let lie = Descriptor { digest: layer.digest.clone(), ..changed };
            let lying = Arc::new(Replaced(whole.provider.clone(), lie.clone()));
            let whole = whole.with_provider(lying);
            let found = problems(&whole);
            assert!(found.len() == 1 && found[0].contains(&lie.digest.to_string()), "{media_type}: {found:?}");
        }
    }
}

/// A provider with other bytes for one blob.
#[derive(Debug)]
struct Replaced(Arc<dyn longshore_core::content::Provider>, Descriptor);

impl longshore_core::content::Provider for Replaced {
    fn open(&self, digest: &Digest, from: u64) -> longshore_core::Result<Box<dyn std::io::Read + Send + '_>> {
        if *digest != self.1.digest {
            return self.0.open(digest, from);
        }
        Ok(Box::new(std::io::Cursor::new(vec![b'x'; usize::try_from(self.1.size).unwrap()])))
    }
}

#[test]
fn layers_whose_media_type_says_tar_are_read_as_tar() {
    let gzip = Encoding::new(Algorithm::Gzip, None).unwrap();
    for (media_type, content, expected) in [
        (MediaType::layer(Algorithm::Uncompressed), b"no tar archive".to_vec(), "cannot read layer"),
        (MediaType::layer(Algorithm::Gzip), gzip.encode(b"no tar archive").unwrap(), "cannot read layer"),
        (MediaType::layer(Algorithm::Gzip), tar(), "is uncompressed, but a"),
        (
            MediaType::from("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".to_owned()),
            tar(),
            "is uncompressed, but a",
        ),
    ] {
        let store = MemoryStore::default();
        let layer = store.put(media_type, &content);
        let config = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&Digest::of(&tar())]);
        let root = manifest(&store, &config, &[&layer]);
        let found = problems(&existing(store, root));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_one_problem() {
    let store = MemoryStore::default();
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
    let right = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&layer.digest]);
    let missing = Descriptor::of(MediaType::CONFIG, b"missing");
    let text = put(&store, MediaType::CONFIG.as_str(), b"no JSON");
    let short = Descriptor { size: right.size - 1, ..right };
    let manifests = [&missing, &text, &short].map(|config| manifest(&store, config, &[&layer]));
    let image = index(store, &manifests);
    for (problem, expected) in problems(&image).iter().zip([&missing, &text, &short]) {
        assert!(problem.contains(&expected.digest.to_string()), "{problem}");
    }
    assert_eq!(problems(&image).len(), 3, "{:#?}", problems(&image));
}

/// A layer that may not be distributed was called wrong where it was present.
#[test]
fn nondistributable_layers_that_are_present_are_right() {
    let store = MemoryStore::default();
    let gzip = Encoding::new(Algorithm::Gzip, None).unwrap();
    let layer =
        put(&store, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", &gzip.encode(&tar()).unwrap());
    let config = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&Digest::of(&tar())]);
    let root = manifest(&store, &config, &[&layer]);
    assert_eq!(problems(&existing(store, root)), [""; 0]);
}

#[test]
fn a_layer_of_two_images_has_the_diff_ids_of_both() {
    let store = MemoryStore::default();
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
    let right = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&layer.digest]);
    let wrong = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&Digest::of(b"other")]);
    let manifests = [manifest(&store, &right, &[&layer]), manifest(&store, &wrong, &[&layer])];
    let found = problems(&index(store, &manifests));
    let expected = format!("layer {0} has the diffID {0}, its config says {1}", layer.digest, Digest::of(b"other"));
    assert_eq!(found, [expected]);
}

/// Types of configurations that Docker accepts made an image an artifact.
#[test]
fn configurations_of_types_that_docker_accepts_are_configurations() {
    for media_type in ["application/octet-stream", "text/html", "application/json"] {
        let store = MemoryStore::default();
        let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
        let config = config(&store, media_type, AMD64, &[&layer.digest]);
        let root = manifest(&store, &config, &[&layer]);
        let image = existing(store, root);
        assert_eq!(inspected(&image).manifests[0].platform, platform("linux/amd64"), "{media_type}");
        assert!(inspected(&image).manifests[0].layers[0].contents.is_some(), "{media_type}");
        assert_eq!(take_apart(&image, &Work::default()).unwrap().artifacts()[0].layers.len(), 1, "{media_type}");
        assert_eq!(layers_for(&image, &platform("linux/amd64").unwrap(), &Work::default()).unwrap().layers.len(), 1);

        let store = MemoryStore::default();
        let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
        let wrong = self::config(&store, media_type, AMD64, &[&Digest::of(b"other")]);
        let root = manifest(&store, &wrong, &[&layer]);
        assert_eq!(problems(&existing(store, root)).len(), 1, "{media_type}");
    }
}

#[test]
fn other_content_of_those_types_is_that_of_an_artifact() {
    for (media_type, content) in [
        ("application/octet-stream", &b"\0\x01"[..]),
        ("application/json", b"{}"),
        ("application/json", b"[1]"),
        ("text/html", b"<html>"),
        ("application/json", br#"{"os":"linux","architecture":"amd64"}"#),
        ("application/vnd.example", br#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[]}}"#),
    ] {
        let store = MemoryStore::default();
        let config = put(&store, media_type, content);
        let layer = store.put(MediaType::layer(Algorithm::Uncompressed), b"any file, as oras pushes it");
        let root = manifest(&store, &config, &[&layer]);
        let artifact = existing(store, root);
        assert_eq!(problems(&artifact), [""; 0], "{media_type}");
        assert!(inspected(&artifact).manifests[0].image.is_none(), "{media_type}");
        let error = take_apart(&artifact, &Work::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{media_type}");
        assert!(error.with_causes().ends_with("is an artifact, not an image"), "{}", error.with_causes());
    }
}

/// An unknown media type in an index made `inspect` fail.
#[test]
fn unknown_things_in_an_index_are_not_inspected_but_verified_and_copied() {
    let store = MemoryStore::default();
    let unknown = put(&store, "application/vnd.example.later.v1+json", br#"{"later":true}"#);
    let manifests = [image(&store, "one"), unknown.clone()];
    let image = index(store, &manifests);
    assert_eq!(inspected(&image).manifests.len(), 1);
    assert_eq!(problems(&image), [""; 0]);
    assert_eq!(take_apart(&image, &Work::default()).unwrap().artifacts().len(), 1);
    let copied = verbatim(&image, &Work::default()).unwrap().blobs;
    assert!(copied.iter().any(|blob| blob.descriptor == unknown), "{copied:?}");
    let replaced = Arc::new(Replaced(image.provider.clone(), unknown.clone()));
    let found = problems(&image.with_provider(replaced));
    assert!(found.len() == 1 && found[0].contains(&unknown.digest.to_string()), "{found:?}");
}

/// The manifest was visited as the blob that it is first listed as, and its image was left behind.
#[test]
fn a_manifest_that_is_listed_as_another_blob_too_is_followed() {
    let work = Work::default();
    let any = MediaType::from("application/octet-stream".to_owned());
    let as_any = |manifest: &Descriptor| Descriptor { media_type: any.clone(), ..manifest.clone() };
    for is_first in [true, false] {
        for is_in_artifact in [true, false] {
            let store = MemoryStore::default();
            let manifest = image(&store, "one");
            let other = match is_in_artifact {
                true => self::manifest(&store, &put(&store, "application/vnd.example", b"{}"), &[&as_any(&manifest)]),
                false => as_any(&manifest),
            };
            let listed = if is_first { [other, manifest.clone()] } else { [manifest.clone(), other] };
            let image = index(store, &listed);
            let what = format!("first: {is_first}, in an artifact: {is_in_artifact}");

            let graph = Graph::of(&image, &work);
            let entry = graph.entry(&manifest).unwrap();
            let below: Vec<&Descriptor> = [&entry.manifest.config].into_iter().chain(&entry.manifest.layers).collect();
            let blobs = graph.walk().unwrap().blobs;
            let place = |descriptor: &Descriptor| blobs.iter().position(|blob| blob.descriptor == *descriptor);
            assert!(place(&as_any(&manifest)).is_some(), "{what}: not the blob that a registry keeps apart");
            let at = place(&manifest).unwrap_or_else(|| panic!("{what}: no manifest"));
            assert!(below.iter().all(|child| place(child).is_some_and(|child| child < at)), "{what}: {blobs:?}");
            let references: Vec<&Digest> = below.iter().map(|child| &child.digest).collect();
            assert_eq!(blobs[at].references.iter().collect::<Vec<_>>(), references, "{what}");
            assert_eq!(verbatim(&image, &work).unwrap().blobs.len(), blobs.len(), "{what}");

            let images = inspected(&image).manifests.into_iter().filter(|manifest| manifest.image.is_some());
            assert_eq!(
                images.map(|image| image.digest).collect::<Vec<_>>(),
                std::slice::from_ref(&manifest.digest),
                "{what}"
            );
            let mut types = [any.as_str(), MediaType::MANIFEST.as_str()].map(ToOwned::to_owned);
            if !is_first {
                types.reverse();
            }
            let expected = format!("{} is listed as a `{}` and as a `{}`", manifest.digest, types[0], types[1]);
            assert_eq!(problems(&image), [expected], "{what}");
        }
    }
}

/// Only the first size of a digest was checked, and only the first media type of a layer.
#[test]
fn references_to_one_digest_that_contradict_each_other_are_problems() {
    let store = MemoryStore::default();
    let image = image(&store, "one");
    let longer = Descriptor { size: image.size + 1, ..image.clone() };
    let expected = format!("{} is listed with {} and with {} bytes", image.digest, image.size, longer.size);
    let docker = Descriptor { media_type: MediaType::DOCKER_MANIFEST, ..image.clone() };
    let listed = [image.clone(), longer.clone(), longer, docker];
    assert_eq!(problems(&index(store, &listed)), [expected]);

    let gzip = MediaType::layer(Algorithm::Gzip);
    for (second, is_wrong) in [("application/octet-stream", false), (gzip.as_str(), true)] {
        for is_reversed in [true, false] {
            let store = MemoryStore::default();
            let tar = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
            let same = put(&store, second, &self::tar());
            let config = config(&store, MediaType::CONFIG.as_str(), AMD64, &[&tar.digest]);
            let mut listed = [tar.clone(), same].map(|layer| manifest(&store, &config, &[&layer]));
            if is_reversed {
                listed.reverse();
            }
            let expected = format!("layer {} is uncompressed, but a `{second}`", tar.digest);
            assert_eq!(problems(&index(store, &listed)), is_wrong.then_some(expected).as_slice(), "{second}");
        }
    }
}

/// One of two images for a platform was dropped without a word, the first one.
#[test]
fn what_cannot_be_kept_when_an_image_is_taken_apart_is_said() {
    let store = MemoryStore::default();
    let listed = |what: &str, platform: Option<Platform>| Descriptor { platform, ..image(&store, what) };
    let unknown = Some(Platform::new("unknown", "unknown", None));
    let one = listed("one", platform("linux/amd64"));
    let two = listed("two", platform("linux/amd64"));
    let attestation = listed("attestation", unknown);
    let artifact = manifest(&store, &put(&store, "application/vnd.example", b"{}"), &[]);
    let missing = Descriptor::of(MediaType::MANIFEST, b"missing");
    let manifests = [&one, &attestation, &two, &artifact, &missing].map(Clone::clone);
    let annotated = json!({"schemaVersion": 2, "manifests": manifests, "annotations": {"a": "b"}}).to_string();
    let below = store.put(MediaType::INDEX, annotated.as_bytes());
    let image = index(store, std::slice::from_ref(&below));
    let (work, warnings) = Warnings::listen();
    let Built::Platforms(platforms) = take_apart(&image, &work).unwrap() else { panic!("it has an index") };
    assert_eq!(platforms.len(), 1);
    assert_eq!(platforms[0].config.to_bytes().unwrap().windows(3).filter(|text| text == b"one").count(), 1);
    let root = image.root.digest.to_string();
    let said = warnings.messages().iter().map(|line| line.strip_prefix(&root).unwrap().to_owned()).collect::<Vec<_>>();
    let expected = [
        format!(": the annotations of index {} are left out", below.digest),
        format!(": skipped manifest {}: not found", missing.digest),
        format!(": skipped {}: the index already lists {} for linux/amd64", two.digest, one.digest),
        format!(": skipped artifact {}: not an image", artifact.digest),
        format!(": skipped attestation {}: it is about no image that is kept", attestation.digest),
    ];
    assert_eq!(said, expected);
}

#[test]
fn an_index_without_images_cannot_be_taken_apart() {
    let store = MemoryStore::default();
    let artifact = manifest(&store, &put(&store, "application/vnd.example", b"{}"), &[]);
    let error = take_apart(&index(store, &[artifact]), &Work::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let expected = "it lists only attestations and artifacts, no image";
    assert!(error.with_causes().ends_with(expected), "{}", error.with_causes());
    let missing = [b"one", b"two"].map(|content| Descriptor::of(MediaType::MANIFEST, content));
    let image = index(MemoryStore::default(), &missing);
    let error = take_apart(&image, &Work::default()).unwrap_err();
    let expected = format!("all 2 manifests of index {} are missing", image.root.digest);
    assert!(error.kind() == ErrorKind::NotFound && error.with_causes().ends_with(&expected), "{}", error.with_causes());
    assert_eq!(problems(&image), [expected]);
}

/// `arm/v6` in the index, `arm` in the configuration, as older tools write it: no contradiction, and it stays so.
#[test]
fn a_variant_that_only_the_index_names_is_kept() {
    let v6 = "linux/arm/v6".parse::<Platform>().unwrap();
    for (fields, is_right) in [
        (r#"{"architecture":"arm","os":"linux"}"#, true),
        (r#"{"architecture":"arm","os":"linux","variant":"v6"}"#, true),
        (r#"{"architecture":"arm","os":"linux","variant":"v7"}"#, false),
    ] {
        let store = MemoryStore::default();
        let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar());
        let config = config(&store, MediaType::CONFIG.as_str(), fields, &[&layer.digest]);
        let listed = Descriptor { platform: Some(v6.clone()), ..manifest(&store, &config, &[&layer]) };
        let image = index(store, &[listed]);
        let Built::Platforms(platforms) = take_apart(&image, &Work::default()).unwrap() else { panic!("an index") };
        assert_eq!(platforms.keys().collect::<Vec<_>>(), [&v6]);
        let wrong = format!("config {} is for linux/arm/v7, its index says linux/arm/v6", config.digest);
        let layers = layers_for(&image, &v6, &Work::default());
        if is_right {
            assert_eq!((problems(&image), layers.unwrap().layers.len()), (Vec::new(), 1), "{fields}");
        } else {
            assert_eq!((problems(&image), layers.unwrap_err().message()), (vec![wrong.clone()], &*wrong), "{fields}");
        }
    }
}
