//! Blobs that are sent while they are made.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_content::Outcome;
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn a_blob_is_sent_while_it_is_made() {
    for size in [0, 1, 300_000, 8_000_000] {
        let (registry, blob, kit) = (Registry::start(), noise(size), Kit::new());
        let descriptor = kit.stream(registry.host(), &blob).unwrap().unwrap();
        assert_eq!(descriptor, Descriptor::of(layer(), &blob));
        assert_blob(&registry, &blob);
        assert_eq!(registry.open_uploads(), 0);
        assert!(matches!(&kit.notes.outcomes()[..], [Outcome::Done(_)]), "{:?}", kit.notes.outcomes());
    }
}

#[test]
fn a_registry_that_takes_no_streams_is_sent_nothing() {
    let (registry, blob, kit) = (Registry::builder().refuse_streaming().start(), noise(8_000_000), Kit::new());
    assert!(kit.stream(registry.host(), &blob).unwrap().is_none());
    assert_eq!(sent(&registry), 0);
    assert_eq!(registry.open_uploads(), 0);
    assert!(matches!(&kit.notes.outcomes()[..], [Outcome::Skipped(_)]), "{:?}", kit.notes.outcomes());
    // It takes the blob when its size is known.
    kit.push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
}

#[test]
fn a_registry_that_limits_bodies_takes_no_streams() {
    let (registry, kit) = (Registry::builder().max_body(1_000_000).start(), Kit::new());
    assert!(kit.stream(registry.host(), &noise(2_000_000)).unwrap().is_none());
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_layer_that_cannot_be_made_says_why() {
    let (registry, kit) = (Registry::start(), Kit::new());
    let session = kit.session(registry.host(), REPOSITORY);
    let calls = AtomicU32::new(0);
    let make = |out: &mut (dyn Write + Send)| {
        calls.fetch_add(1, Ordering::SeqCst);
        out.write_all(&noise(3_000_000))?;
        Err(Error::new(ErrorKind::Denied, "cannot open /srv/tree/shadow"))
    };
    let error = session.stream("layer", &make, &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.with_causes().contains("cannot open /srv/tree/shadow"), "{}", error.with_causes());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(registry.open_uploads(), 0);
}

/// What makes layers says what it was about when it cannot write.
#[test]
fn a_break_is_not_taken_for_a_layer_that_cannot_be_made() {
    let (registry, blob, kit) = (Registry::start(), noise(8_000_000), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(1_000_000));
    registry.fail(Rule::on("PATCH", UPLOADS).status(503));
    let session = kit.session(registry.host(), REPOSITORY);
    let make = |out: &mut (dyn Write + Send)| {
        for piece in blob.chunks(100_000) {
            out.write_all(piece).attempt(|| "cannot store a layer".to_owned())?;
        }
        Ok(Descriptor::of(layer(), &blob))
    };
    session.stream("layer", &make, &kit.work()).unwrap().unwrap();
    assert_blob(&registry, &blob);
    assert!(sent(&registry) < 8_800_000, "{}", sent(&registry));
}

#[test]
fn a_layer_that_changes_while_it_is_sent_is_an_error() {
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(300_000));
    let session = kit.session(registry.host(), REPOSITORY);
    let calls = AtomicU32::new(0);
    let make = |out: &mut (dyn Write + Send)| {
        let blob = noise(if calls.fetch_add(1, Ordering::SeqCst) == 0 { 1_000_000 } else { 200_000 });
        out.write_all(&blob)?;
        Ok(Descriptor::of(layer(), &blob))
    };
    let error = session.stream("layer", &make, &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.with_causes());
    assert!(error.hint().is_some());
    assert!(registry.blob(REPOSITORY, &Digest::of(&noise(200_000))).is_none());
    assert_eq!(registry.open_uploads(), 0);
}

type Fault = fn(Rule) -> Rule;

#[test]
fn a_stream_survives_a_failure_of_any_request() {
    let faults: [Fault; 4] = [
        |rule| rule.status(503),
        |rule| rule.status(408),
        Rule::drop_before_answer,
        |rule| rule.status(429).header("Retry-After", "0"),
    ];
    let blob = noise(1_000_000);
    for method in ["POST", "PATCH", "GET", "PUT"] {
        for fault in faults {
            let registry = Registry::start();
            if method == "GET" {
                registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(300_000));
            }
            registry.fail(fault(Rule::on(method, UPLOADS)));
            Kit::new().stream(registry.host(), &blob).unwrap().unwrap();
            assert_blob(&registry, &blob);
            assert!(sent(&registry) < 2_100_000, "{method}: {}", sent(&registry));
        }
    }
}

#[test]
fn a_stream_that_cannot_be_closed_is_not_made_again() {
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("PUT", UPLOADS).status(503).times(3));
    let session = kit.session(registry.host(), REPOSITORY);
    let calls = AtomicU32::new(0);
    let make = |out: &mut (dyn Write + Send)| {
        calls.fetch_add(1, Ordering::SeqCst);
        out.write_all(b"a layer")?;
        Ok(Descriptor::of(layer(), b"a layer"))
    };
    session.stream("layer", &make, &kit.work()).unwrap().unwrap();
    assert_blob(&registry, b"a layer");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_stream_ends_when_a_failure_stays() {
    for method in ["POST", "PATCH", "PUT"] {
        let (registry, kit) = (Registry::start(), Kit::new());
        registry.fail(Rule::on(method, UPLOADS).status(503).body("the disks are full").times(1000));
        let error = kit.stream(registry.host(), b"a layer").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.with_causes().contains("503: the disks are full"), "{method}: {}", error.with_causes());
        assert_eq!(count(&registry, method, UPLOADS), 6, "{method}");
        assert_eq!(registry.open_uploads(), 0, "{method}");
    }
}
