//! Streams whose upload is gone, or that never get anywhere.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore_oci::Descriptor;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

/// Streams a blob, and answers how often it was made.
fn stream(kit: &Kit, registry: &Registry, blob: &[u8]) -> u32 {
    let calls = AtomicU32::new(0);
    let make = |out: &mut (dyn Write + Send)| {
        calls.fetch_add(1, Ordering::SeqCst);
        out.write_all(blob)?;
        Ok(Descriptor::of(layer(), blob))
    };
    kit.session(registry.host(), REPOSITORY).stream("layer", &make, &kit.work()).unwrap().unwrap();
    calls.into_inner()
}

#[test]
fn a_stream_that_is_unknown_on_its_way_is_made_again() {
    let (registry, blob, kit) = (Registry::start(), noise(1_000_000), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(300_000));
    registry.fail(Rule::on("PATCH", UPLOADS).status(404));
    registry.fail(Rule::on("GET", UPLOADS).after(1).status(404));
    assert!(stream(&kit, &registry, &blob) > 1);
    assert_blob(&registry, &blob);
    assert_eq!(count(&registry, "POST", UPLOADS), 2);
    assert_eq!(kit.notes.advanced(), 1_000_000);
}

#[test]
fn a_stream_that_is_unknown_when_it_is_closed_is_made_again() {
    let (registry, blob, kit) = (Registry::start(), noise(1_000_000), Kit::new());
    registry.fail(Rule::on("PUT", UPLOADS).status(404));
    registry.fail(Rule::on("GET", UPLOADS).status(404));
    assert_eq!(stream(&kit, &registry, &blob), 2);
    assert_blob(&registry, &blob);
    assert_eq!(count(&registry, "POST", UPLOADS), 2);
    assert_eq!(kit.notes.advanced(), 1_000_000);
}

#[test]
fn a_registry_that_breaks_every_stream_at_once_is_sent_no_other() {
    let (registry, blob, kit) = (Registry::start(), noise(300_000), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(0).times(1000));
    assert!(kit.stream(registry.host(), &blob).unwrap().is_none());
    assert_eq!(registry.open_uploads(), 0);
    assert!(count(&registry, "PATCH", UPLOADS) <= 3, "{}", count(&registry, "PATCH", UPLOADS));
    registry.clear_requests();
    assert!(kit.stream(registry.host(), b"another blob").unwrap().is_none());
    assert!(registry.requests().is_empty());
    // Blobs of a known size may be taken.
    kit.push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
}

#[test]
fn a_stream_that_was_stored_without_a_word_is_not_sent_again() {
    let (registry, blob, kit) = (Registry::start(), noise(1_000_000), Kit::new());
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("PUT", UPLOADS).status(503));
    registry.fail(Rule::on("PUT", UPLOADS).status(404));
    registry.fail(Rule::on("GET", UPLOADS).after(1).status(404));
    assert_eq!(stream(&kit, &registry, &blob), 1);
    assert_eq!(count(&registry, "PATCH", UPLOADS), 1);
}
