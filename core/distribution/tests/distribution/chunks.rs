//! Uploads in pieces, where a registry or a proxy takes no large bodies.

use longshore_oci::{Digest, ErrorKind};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

fn sizes(registry: &Registry) -> Vec<u64> {
    matching(registry, "PATCH", UPLOADS).iter().map(|request| request.body_bytes).collect()
}

#[test]
fn a_registry_that_limits_bodies_gets_smaller_ones() {
    for (size, limit) in [(5_000_000, 1 << 20), (1_000_000, 300_000), (3_000_000, 2_999_999), (20_000_000, 17_000_000)]
    {
        let blob = noise(size);
        let registry = Registry::builder().max_body(limit).start();
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        let largest = registry.requests().iter().map(|request| request.body_bytes).max();
        assert!(largest.is_some_and(|largest| largest <= limit), "{largest:?} of {limit}");
        assert_eq!(sent(&registry), blob.len() as u64, "{limit}");
        assert_eq!(registry.open_uploads(), 0, "{limit}");
    }
}

#[test]
fn a_registry_that_takes_no_body_at_all_is_given_up() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", UPLOADS).status(413).times(1000));
    registry.fail(Rule::on("PATCH", UPLOADS).status(413).times(1000));
    let blob = noise(2_000_000);
    let error = Kit::new().push(registry.host(), &blob).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.with_causes().contains("413: UNKNOWN: failed on purpose"), "{}", error.with_causes());
    assert_eq!(registry.open_uploads(), 0);
    assert!(count(&registry, "PATCH", UPLOADS) < 20);
    assert!(registry.blob(REPOSITORY, &Digest::of(&blob)).is_none());
}

#[test]
fn chunks_are_as_large_as_the_registry_wants_them() {
    const MIB: u64 = 1 << 20;
    for (least, size, expected) in [
        (MIB, 17 * MIB, vec![16 * MIB, MIB]),
        (20 * MIB, 41 * MIB, vec![20 * MIB, 20 * MIB, MIB]),
        (20 * MIB, 40 * MIB, vec![20 * MIB, 20 * MIB]),
        (MIB, 1000, vec![1000]),
    ] {
        let blob = noise(usize::try_from(size).unwrap());
        let registry = Registry::builder().chunk_min_length(least).start();
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert_eq!(sizes(&registry), expected);
        let closing = matching(&registry, "PUT", UPLOADS);
        assert_eq!(closing.iter().map(|request| request.body_bytes).collect::<Vec<_>>(), [0]);
    }
}

#[test]
fn chunks_go_on_where_a_connection_broke() {
    let blob = noise(17 << 20);
    let registry = Registry::builder().chunk_min_length(1 << 20).start();
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(5_000_000));
    registry.fail(Rule::on("PATCH", UPLOADS).drop_before_answer());
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
    assert_eq!(sent(&registry), blob.len() as u64);
}

#[test]
fn ranges_of_chunks_have_no_unit() {
    let registry = Registry::builder().max_body(600_000).start();
    Kit::new().push(registry.host(), &noise(1_000_000)).unwrap();
    let patches = matching(&registry, "PATCH", UPLOADS);
    let ranges: Vec<_> = patches.iter().map(|patch| patch.header("content-range").unwrap()).collect();
    assert_eq!(ranges, ["0-499999", "500000-999999"]);
}

#[test]
fn a_proxy_that_breaks_large_bodies_without_a_word_gets_smaller_ones() {
    for size in [1_000_000, 8_000_000] {
        let blob = noise(size);
        let registry = Registry::start();
        registry.fail(Rule::on("PUT", "digest=").drop_after_request_bytes(0).times(3));
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert_eq!(sizes(&registry), [size as u64 / 2; 2]);
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[test]
fn no_chunk_is_smaller_than_the_registry_wants() {
    let registry = Registry::builder().chunk_min_length(1 << 20).max_body(100_000).start();
    let error = Kit::new().push(registry.host(), &noise(3_000_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.with_causes().contains("413"), "{}", error.with_causes());
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_registry_that_takes_chunks_only_gets_chunks() {
    for (status, size) in [(400, 1000), (405, 300_000), (411, 17 << 20), (501, 6_000_000)] {
        let blob = noise(size);
        let (registry, kit) = (Registry::builder().chunks_only(status).start(), Kit::new());
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        let closing = matching(&registry, "PUT", UPLOADS);
        assert_eq!(closing.last().map(|put| put.body_bytes), Some(0), "{status}");
        assert_eq!(closing.len(), 2, "{status}");
        assert_eq!(sizes(&registry).iter().sum::<u64>(), size as u64, "{status}");
        assert_eq!(registry.open_uploads(), 0, "{status}");
    }
}

#[test]
fn a_blob_that_is_wrong_is_not_sent_in_chunks() {
    let registry = Registry::start();
    let text = r#"{"errors":[{"code":"DIGEST_INVALID","message":"not this one"}]}"#;
    registry.fail(Rule::on("PUT", UPLOADS).status(400).body(text).times(1000));
    let error = Kit::new().push(registry.host(), &noise(1000)).unwrap_err();
    assert!(error.with_causes().contains("DIGEST_INVALID: not this one"), "{}", error.with_causes());
    assert_eq!((count(&registry, "PUT", UPLOADS), count(&registry, "PATCH", UPLOADS)), (1, 0));
}

#[test]
fn a_registry_that_refuses_in_chunks_too_ends() {
    for status in [400, 405, 411, 501] {
        let registry = Registry::start();
        registry.fail(Rule::on("PUT", UPLOADS).status(status).times(1000));
        let error = Kit::new().push(registry.host(), &noise(1000)).unwrap_err();
        assert!(error.with_causes().contains(&status.to_string()), "{status}: {}", error.with_causes());
        assert!(count(&registry, "PUT", UPLOADS) <= 3, "{status}");
        assert_eq!(registry.open_uploads(), 0, "{status}");
    }
}

/// 417 (RFC 9110, section 15.5.18): from an old proxy, say.
#[test]
fn a_body_that_must_not_be_announced_is_sent_without_that() {
    for method in ["PUT", "PATCH"] {
        let blob = noise(6_000_000);
        let registry = Registry::start();
        registry.fail(Rule::on(method, UPLOADS).with_header("expect").status(417).times(1000));
        let kit = Kit::new();
        match method {
            "PUT" => kit.push(registry.host(), &blob).map(drop).unwrap(),
            _ => assert!(kit.stream(registry.host(), &blob).unwrap().is_some()),
        }
        assert_blob(&registry, &blob);
        let bodies = matching(&registry, method, UPLOADS);
        assert_eq!(
            bodies.iter().map(|put| put.status).collect::<Vec<_>>(),
            [417, if method == "PUT" { 201 } else { 202 }]
        );
        // It is remembered.
        kit.push(registry.host(), &noise(5_000_000)).unwrap();
        assert!(matching(&registry, "PUT", UPLOADS).last().is_some_and(|put| put.header("expect").is_none()));
    }
}
