//! Manifests and tags.

use std::io::Write;

use longshore_content::{Delivery, read};
use longshore_oci::ErrorKind;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn a_manifest_is_under_its_digest_and_then_under_its_tag() {
    let registry = Registry::start();
    let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
    kit.push(registry.host(), b"{}").unwrap();
    let session = kit.session(registry.host(), REPOSITORY);
    session.manifest(&descriptor, &bytes, &kit.work()).unwrap();
    assert_eq!(registry.tags(REPOSITORY), Vec::<String>::new());
    session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
    assert_eq!(registry.tags(REPOSITORY), ["1.0"]);
    let (media_type, stored) = registry.manifest(REPOSITORY, "1.0").unwrap();
    assert_eq!((media_type.as_str(), stored), (descriptor.media_type.as_str(), bytes.clone()));
    assert_eq!(kit.pull(registry.host()).resolve("1.0").unwrap(), descriptor);
    let back = session.provider(&kit.work());
    assert_eq!(kit.pull(registry.host()).resolve(&descriptor.digest.to_string()).unwrap(), descriptor);
    assert_eq!(read(&*back, &kit.store.put(layer(), b"{}"), 10).unwrap(), b"{}");
}

#[test]
fn a_manifest_and_a_tag_that_are_there_are_not_put() {
    let registry = Registry::start();
    let (descriptor, bytes) = put_manifest(&registry, "1.0");
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    assert_eq!(session.manifest(&descriptor, &bytes, &kit.work()).unwrap(), Delivery::Present);
    assert_eq!(session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap(), Delivery::Present);
    assert_eq!(count(&registry, "PUT", "/manifests/"), 0);
}

#[test]
fn an_immutable_tag_that_is_right_is_no_error() {
    let registry = Registry::builder().immutable_tags().start();
    let (descriptor, bytes) = put_manifest(&registry, "1.0");
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    assert_eq!(session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap(), Delivery::Present);
    assert_eq!(count(&registry, "PUT", "/manifests/"), 0);
}

#[test]
fn an_immutable_tag_that_is_another_image_is_an_error_at_once() {
    let registry = Registry::builder().immutable_tags().start();
    let (_, old) = put_manifest(&registry, "1.0");
    let (kit, (descriptor, bytes)) = (Kit::new(), manifest("another"));
    let session = kit.session(registry.host(), REPOSITORY);
    let error = session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap_err();
    assert!(error.with_causes().contains("the tag exists and cannot be changed"), "{}", error.with_causes());
    assert!(!error.is_retryable());
    assert_eq!(count(&registry, "PUT", "/manifests/"), 1);
    assert_eq!(registry.manifest(REPOSITORY, "1.0").unwrap().1, old);
}

#[test]
fn a_registry_that_does_not_say_digests_is_read() {
    let looks: [fn(Rule) -> Rule; 2] = [|rule| rule.header("Docker-Content-Digest", ""), |rule| rule.status(405)];
    for look in looks {
        let registry = Registry::start();
        let (descriptor, bytes) = put_manifest(&registry, "1.0");
        registry.fail(look(Rule::on("HEAD", "/manifests/")).times(2));
        let kit = Kit::new();
        let session = kit.session(registry.host(), REPOSITORY);
        assert_eq!(session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap(), Delivery::Present);
        assert_eq!(session.tag("2.0", &descriptor, &bytes, &kit.work()).unwrap(), Delivery::Sent { resumed: 0 });
        assert_eq!(registry.tags(REPOSITORY), ["1.0", "2.0"]);
    }
}

#[test]
fn a_manifest_whose_answer_was_lost_is_put_again() {
    let registry = Registry::start();
    registry.put_blob(REPOSITORY, b"{}");
    registry.fail(Rule::on("PUT", "/manifests/").drop_before_answer());
    let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
    kit.session(registry.host(), REPOSITORY).tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
    assert_eq!(registry.manifest(REPOSITORY, "1.0").unwrap().1, bytes);
}

#[test]
fn a_manifest_of_which_parts_are_missing_says_what_the_registry_says() {
    let registry = Registry::start();
    let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
    let session = kit.session(registry.host(), REPOSITORY);
    let error = session.manifest(&descriptor, &bytes, &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.with_causes().contains("MANIFEST_BLOB_UNKNOWN"), "{}", error.with_causes());
    let error = session.manifest(&descriptor, b"{}", &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// Some caches compress responses that no client asked them to.
#[test]
fn a_document_that_is_compressed_on_its_way_is_decoded() {
    let registry = Registry::start();
    let (descriptor, bytes) = put_manifest(&registry, "1.0");
    for encoding in ["gzip", "X-GZIP", " gzip "] {
        registry.fail(Rule::on("GET", "/manifests/").header("Content-Encoding", encoding).body(gzip(&bytes)));
        assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), descriptor, "{encoding}");
    }
    // The digest is that of the document.
    registry.fail(Rule::on("GET", "/manifests/").header("Content-Encoding", "gzip").body(gzip(b"{}")));
    let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.with_causes().contains("has the digest"), "{}", error.with_causes());
    assert!(registry.requests().iter().all(|get| get.header("accept-encoding") == Some("identity")));
    // Said of bytes that are not.
    for encoding in ["gzip", "br"] {
        registry.fail(Rule::on("GET", "/manifests/").header("Content-Encoding", encoding));
        assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), descriptor, "{encoding}");
    }
}

#[test]
fn an_encoding_that_cannot_be_decoded_is_named() {
    let registry = Registry::start();
    let (_, bytes) = put_manifest(&registry, "1.0");
    let cut = gzip(&bytes)[..20].to_vec();
    let bomb = gzip(&vec![b' '; 64 << 20]);
    for (encoding, body, expected) in [
        ("zstd", b"(compressed".to_vec(), "content encoding `zstd`"),
        ("BR", b"x".to_vec(), "content encoding `br`"),
        ("gzip, gzip", gzip(&gzip(&bytes)), "content encoding `gzip, gzip`"),
        ("gzip", b"\x1f\x8bcompressed".to_vec(), "cannot be decoded"),
        ("gzip", cut, "cannot be decoded"),
        ("gzip", bomb, "cannot be decoded within 4194305 bytes"),
    ] {
        registry.fail(Rule::on("GET", "/manifests/").header("Content-Encoding", encoding).body(body));
        let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
        assert!(error.with_causes().contains(expected), "{encoding}: {}", error.with_causes());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_the_registry_lost_is_looked_for_again() {
    let (registry, kit) = (Registry::start(), Kit::new());
    let (descriptor, bytes) = manifest("a");
    let session = kit.session(registry.host(), REPOSITORY);
    kit.push_to(&session, b"{}", &[]).unwrap();
    registry.remove_blob(REPOSITORY, &longshore_oci::Digest::of(b"{}"));
    let error = session.manifest(&descriptor, &bytes, &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.with_causes());
    assert_eq!(kit.push_to(&session, b"{}", &[]).unwrap(), Delivery::Sent { resumed: 0 });
    session.manifest(&descriptor, &bytes, &kit.work()).unwrap();
}
