//! Bytes that are not what they should be, on either side.

use longshore_content::read;
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, MediaType};
use longshore_testkit::registry::{Registry, Rule};
use serde_json::json;

use crate::kit::*;

#[track_caller]
fn assert_corrupt(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
}

#[test]
fn a_registry_that_stored_another_manifest_is_not_believed() {
    let registry = Registry::start();
    registry.put_blob(REPOSITORY, b"{}");
    registry.fail(Rule::on("PUT", "/manifests/").wrong_digest_header());
    let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
    let session = kit.session(registry.host(), REPOSITORY);
    let error = session.manifest(&descriptor, &bytes, &kit.work()).unwrap_err();
    assert_corrupt(&error);
    assert!(error.with_causes().contains(&Digest::of(b"something else").to_string()), "{}", error.with_causes());
    assert_eq!(count(&registry, "PUT", "/manifests/"), 1);
}

#[test]
fn a_registry_that_stored_another_blob_is_not_believed() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", UPLOADS).wrong_digest_header().times(2));
    let kit = Kit::new();
    assert_corrupt(&kit.push(registry.host(), b"a blob").unwrap_err());
    assert_corrupt(&kit.stream(registry.host(), b"a stream").unwrap_err());
    assert_eq!(count(&registry, "PUT", UPLOADS), 2);
}

#[test]
fn a_blob_of_another_size_in_the_registry_is_not_taken_for_ours() {
    let registry = Registry::start();
    registry.put_blob(REPOSITORY, b"a blob");
    registry.fail(Rule::on("HEAD", "/blobs/").header("Content-Length", "7"));
    assert_corrupt(&Kit::new().push(registry.host(), b"a blob").unwrap_err());
}

#[test]
fn a_manifest_that_is_not_what_its_registry_says_is_refused() {
    let wrong: [fn(Rule) -> Rule; 2] = [Rule::wrong_digest_header, Rule::corrupt_body];
    for fault in wrong {
        let registry = Registry::start();
        put_manifest(&registry, "1.0");
        registry.fail(fault(Rule::on("GET", "/manifests/")));
        assert_corrupt(&Kit::new().pull(registry.host()).resolve("1.0").unwrap_err());
        assert_eq!(count(&registry, "GET", "/manifests/"), 1);
    }
}

#[test]
fn a_manifest_has_the_digest_by_which_it_was_asked_for() {
    let registry = Registry::start();
    let (descriptor, _) = put_manifest(&registry, "1.0");
    registry.fail(Rule::on("GET", "/manifests/sha256:").corrupt_body().header("Docker-Content-Digest", ""));
    let repository = Kit::new().pull(registry.host());
    assert_corrupt(&repository.resolve(&descriptor.digest.to_string()).unwrap_err());
    assert_eq!(repository.resolve(&descriptor.digest.to_string()).unwrap(), descriptor);
}

#[test]
fn a_manifest_without_a_digest_header_is_hashed() {
    let registry = Registry::start();
    let (descriptor, bytes) = put_manifest(&registry, "1.0");
    registry.fail(Rule::on("GET", "/manifests/").header("Docker-Content-Digest", ""));
    let repository = Kit::new().pull(registry.host());
    assert_eq!(repository.resolve("1.0").unwrap(), descriptor);
    assert_eq!(read(&repository, &descriptor, 1 << 20).unwrap(), bytes);
    // What was resolved is not fetched again.
    assert_eq!(count(&registry, "GET", "/manifests/"), 1);
}

#[test]
fn a_blob_that_was_changed_on_the_way_is_not_taken() {
    let blob = noise(300_000);
    let registry = Registry::start();
    registry.put_blob(REPOSITORY, &blob);
    let kit = Kit::new();
    let (repository, descriptor) = (kit.pull(registry.host()), Descriptor::of(layer(), &blob));
    registry.fail(Rule::on("GET", "/blobs/").corrupt_body().times(2));
    assert_corrupt(&kit.read(&repository, &descriptor).unwrap_err());
    assert_corrupt(&read(&repository, &descriptor, 1 << 20).unwrap_err());
    let longer = Descriptor::new(layer(), descriptor.digest.clone(), 300_001);
    assert_corrupt(&kit.read(&repository, &longer).unwrap_err());
    assert!(kit.read(&repository, &descriptor).unwrap() == blob);
}

/// Blobs of so many bytes that are not what they should be.
fn broken(good: &[u8]) -> [Vec<u8>; 3] {
    let mut flipped = good.to_vec();
    flipped[good.len() / 2] ^= 1;
    [flipped, good[..good.len() - 1].to_vec(), Vec::new()]
}

#[test]
fn a_blob_that_is_broken_in_our_store_does_not_reach_the_registry() {
    for (size, is_verified) in [(1000, false), (300_000, false), (8_000_000, false), (300_000, true)] {
        let good = noise(size);
        for bad in broken(&good) {
            let (registry, kit) = (Registry::start(), Kit::new());
            let descriptor = Descriptor::of(layer(), &good);
            let provider = Made(move |offset| Box::new(from(&bad, offset)) as _);
            assert_corrupt(&kit.push_from(registry.host(), &descriptor, &provider, is_verified).unwrap_err());
            assert!(registry.blob(REPOSITORY, &descriptor.digest).is_none());
            assert!(count(&registry, "PUT", UPLOADS) <= 1);
            assert_eq!(count(&registry, "DELETE", UPLOADS), 1);
            assert_eq!(registry.open_uploads(), 0);
        }
    }
}

#[test]
fn a_broken_blob_is_noticed_in_chunks_too() {
    let good = noise(1_000_000);
    for bad in broken(&good) {
        for is_verified in [false, true] {
            let (registry, kit) = (Registry::builder().max_body(300_000).start(), Kit::new());
            let descriptor = Descriptor::of(layer(), &good);
            let bytes = bad.clone();
            let provider = Made(move |offset: u64| Box::new(from(&bytes, offset.min(bytes.len() as u64))) as _);
            assert_corrupt(&kit.push_from(registry.host(), &descriptor, &provider, is_verified).unwrap_err());
            assert!(registry.blob(REPOSITORY, &descriptor.digest).is_none());
            assert_eq!(registry.open_uploads(), 0);
        }
    }
}

#[test]
fn a_registry_that_refuses_a_good_blob_says_why_itself() {
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("PUT", UPLOADS).status(400).body("no blobs today").times(1000));
    let error = kit.push(registry.host(), b"a blob").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.with_causes().contains("no blobs today"), "{}", error.with_causes());
}

#[test]
fn documents_of_another_type_are_refused() {
    let config = Descriptor::of(MediaType::CONFIG, b"{}");
    let typed = json!({ "schemaVersion": 2, "mediaType": MediaType::MANIFEST, "config": config, "layers": [] });
    let untyped = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    for (content_type, body, expected) in [
        (MediaType::INDEX.as_str(), typed.to_string(), ErrorKind::Corrupt),
        (old, untyped.to_string(), ErrorKind::Unsupported),
        ("text/html", "<html>log in</html>".to_owned(), ErrorKind::InvalidInput),
    ] {
        let registry = Registry::start();
        registry.put_manifest(REPOSITORY, Some("1.0"), content_type, body.as_bytes());
        let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
        assert_eq!(error.kind(), expected, "{content_type}: {}", error.with_causes());
    }
    let registry = Registry::start();
    registry.put_manifest(REPOSITORY, Some("1.0"), "application/json; charset=utf-8", typed.to_string().as_bytes());
    assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap().media_type, MediaType::MANIFEST);
}

#[test]
fn a_manifest_of_more_than_four_mebibytes_is_refused() {
    let registry = Registry::start();
    let (_, small) = manifest("a");
    let mut large = small.clone();
    large.resize(4 << 20, b' ');
    registry.put_manifest(REPOSITORY, Some("largest"), MediaType::MANIFEST.as_str(), &large);
    large.push(b' ');
    registry.put_manifest(REPOSITORY, Some("larger"), MediaType::MANIFEST.as_str(), &large);
    let repository = Kit::new().pull(registry.host());
    assert_eq!(repository.resolve("largest").unwrap().size, 4 << 20);
    let error = repository.resolve("larger").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.with_causes().contains("more than 4194304 bytes"), "{}", error.with_causes());
}
