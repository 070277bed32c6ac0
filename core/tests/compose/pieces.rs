//! Images of which tests are made: manifests, attestations and indexes in memory.

use std::sync::Arc;

use longshore_core::compose::{Edits, SourceImages, compose};
use longshore_core::compression::Algorithm;
use longshore_core::content::{ContentStore, MemoryStore, read};
use longshore_core::image::verbatim;
use longshore_core::oci::{Descriptor, Digest, Index, MANIFEST_LIMIT, MediaType, Platform, parse_index};
use longshore_core::{Existing, Image, ImageContent, Result, Work};
use longshore_testkit::sample::{TarOptions, tar_bytes};
use serde_json::{Value, json};

pub(super) const REFERENCE: &str = "vnd.docker.reference.digest";

/// Reads a platform as a user writes it.
pub(super) fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

pub(super) fn put(store: &MemoryStore, media_type: MediaType, document: &Value) -> Descriptor {
    store.put(media_type, document.to_string().as_bytes())
}

/// A manifest whose configuration has these fields, with a layer of its own.
pub(super) fn image(store: &MemoryStore, seed: u64, config: Value, docker: bool) -> Descriptor {
    let tar = tar_bytes(seed, TarOptions { files: 1, ..TarOptions::default() });
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &tar);
    let mut config = config;
    config["rootfs"] = json!({"type": "layers", "diff_ids": [layer.digest]});
    let types = match docker {
        true => (MediaType::DOCKER_CONFIG, MediaType::DOCKER_MANIFEST),
        false => (MediaType::CONFIG, MediaType::MANIFEST),
    };
    let config = put(store, types.0, &config);
    let manifest = json!({"schemaVersion": 2, "mediaType": types.1, "config": config, "layers": [layer], "x": seed});
    put(store, types.1, &manifest)
}

/// A manifest of OCI for a platform, as an index lists it.
pub(super) fn listed(store: &MemoryStore, seed: u64, text: &str) -> Descriptor {
    let own = serde_json::to_value(platform(text)).unwrap();
    Descriptor { platform: Some(platform(text)), ..image(store, seed, own, false) }
}

/// An attestation about a manifest, as `BuildKit` lists it.
pub(super) fn attestation(store: &MemoryStore, about: &Descriptor) -> Descriptor {
    let statement = format!("{{\"about\":\"{}\"}}", about.digest);
    let statement = store.put(MediaType::from("application/vnd.in-toto+json".to_owned()), statement.as_bytes());
    let config = json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [statement.digest]}});
    let config = put(store, MediaType::CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [statement]});
    let descriptor = put(store, MediaType::MANIFEST, &manifest)
        .annotated("vnd.docker.reference.type", "attestation-manifest")
        .annotated(REFERENCE, about.digest.to_string());
    Descriptor { platform: Some(Platform::new("unknown", "unknown", None)), ..descriptor }
}

/// A manifest about another one.
pub(super) fn referrer(store: &MemoryStore, subject: &Descriptor) -> Descriptor {
    let empty = store.put(MediaType::from("application/vnd.oci.empty.v1+json".to_owned()), b"{}");
    let subject = Descriptor::new(subject.media_type.clone(), subject.digest.clone(), subject.size);
    let fields = json!({"schemaVersion": 2, "artifactType": "x/signature", "config": empty, "layers": [empty], "subject": subject});
    put(store, MediaType::MANIFEST, &fields)
}

pub(super) fn index(store: &MemoryStore, manifests: &[Descriptor]) -> Descriptor {
    put(store, MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": manifests}))
}

pub(super) fn existing(store: &MemoryStore, root: &Descriptor) -> Existing {
    Existing::new(root.clone(), Arc::new(store.clone()))
}

/// The source of an existing image, for a platform.
pub(super) fn source(text: &str, platform: Option<&str>, existing: Existing) -> SourceImages {
    let image = Image::new(ImageContent::Existing(existing));
    SourceImages::new(text, vec![image]).with_platform(platform.map(self::platform))
}

/// Composes one existing image, and checks that it is whole.
pub(super) fn composed(sources: Vec<SourceImages>, platforms: &[&str], work: &Work) -> Result<Existing> {
    let platforms: Vec<Platform> = platforms.iter().map(|text| platform(text)).collect();
    let mut images = compose(sources, &platforms, &Edits::default(), work)?;
    assert_eq!(images.len(), 1);
    let ImageContent::Existing(existing) = images.remove(0).content else { panic!("it was taken apart") };
    let whole = verbatim(&existing, work)?;
    assert!(whole.missing.is_empty());
    for blob in &whole.blobs {
        read(existing.provider.as_ref(), &blob.descriptor, 1 << 20)?;
    }
    Ok(existing)
}

pub(super) fn read_index(existing: &Existing) -> Index {
    let root = &existing.root;
    parse_index(root, &read(existing.provider.as_ref(), root, MANIFEST_LIMIT).unwrap()).unwrap()
}

pub(super) fn digests(manifests: &[Descriptor]) -> Vec<Digest> {
    manifests.iter().map(|manifest| manifest.digest.clone()).collect()
}

pub(super) fn has(store: &MemoryStore, digest: &Digest) -> bool {
    store.info(digest).unwrap().is_some()
}
