//! Pushes that someone stops.

use std::io::{self, Read, Write};

use longshore_content::{Cancel, Outcome};
use longshore_oci::{Descriptor, ErrorKind};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[track_caller]
fn assert_given_up(registry: &Registry, blob: &[u8]) {
    assert_eq!(registry.open_uploads(), 0);
    assert!(registry.blob(REPOSITORY, &longshore_oci::Digest::of(blob)).is_none());
}

#[test]
fn a_request_that_stalls_ends_when_someone_asks_to_stop() {
    let blob = noise(300_000);
    for (method, target, deleted) in
        [("HEAD", "/blobs/", 0), ("POST", UPLOADS, 0), ("PUT", UPLOADS, 1), ("PATCH", UPLOADS, 1), ("GET", UPLOADS, 1)]
    {
        let (registry, kit) = (Registry::start(), Kit::new());
        if matches!(method, "GET" | "PATCH") {
            registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        }
        registry.fail(Rule::on(method, target).stall().times(1000));
        kit.cancelled(|| count(&registry, method, target) == 1, || kit.push(registry.host(), &blob));
        assert_eq!(count(&registry, "DELETE", UPLOADS), deleted, "{method}");
        assert_given_up(&registry, &blob);
        assert_eq!(kit.notes.outcomes(), [Outcome::Failed], "{method}");
    }
}

#[test]
fn a_registry_that_does_not_even_take_the_end_is_not_waited_for() {
    let (registry, kit) = (Registry::start(), Kit::new());
    registry.fail(Rule::on("*", "upload-1").stall().times(1000));
    kit.cancelled(|| count(&registry, "PUT", UPLOADS) == 1, || kit.push(registry.host(), &noise(300_000)));
    assert_eq!(count(&registry, "DELETE", UPLOADS), 1);
}

#[test]
fn a_manifest_that_stalls_ends_when_someone_asks_to_stop() {
    let (registry, kit, (descriptor, bytes)) = (Registry::start(), Kit::new(), manifest("a"));
    registry.fail(Rule::on("PUT", "/manifests/").stall());
    let session = kit.session(registry.host(), REPOSITORY);
    let tag = || session.tag("1.0", &descriptor, &bytes, &kit.work());
    kit.cancelled(|| count(&registry, "PUT", "/manifests/") == 1, tag);
    assert_eq!(registry.tags(REPOSITORY), Vec::<String>::new());
}

#[test]
fn a_token_server_that_stalls_ends_when_someone_asks_to_stop() {
    let registry = Registry::builder().tokens(longshore_testkit::registry::TokenOptions::default()).start();
    registry.fail(Rule::on("GET", "/token").stall());
    let kit = Kit::new();
    kit.cancelled(|| count(&registry, "GET", "/token") == 1, || kit.push(registry.host(), b"a blob"));
}

#[test]
fn a_registry_that_says_nothing_at_all_ends_when_someone_asks_to_stop() {
    let registry = Registry::start();
    registry.fail(Rule::on("GET", "/v2/").stall());
    let kit = Kit::new();
    kit.cancelled(|| count(&registry, "GET", "/v2/") == 1, || kit.push(registry.host(), b"a blob"));
}

/// Asks to stop after half of its bytes.
struct Stopping<R>(R, u64, Cancel);

impl<R: Read> Read for Stopping<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1 = self.1.saturating_sub(count as u64);
        if self.1 == 0 {
            self.2.cancel();
        }
        Ok(count)
    }
}

#[test]
fn an_upload_that_is_stopped_on_its_way_is_given_up() {
    for limit in [None, Some(2_000_000)] {
        let builder = Registry::builder();
        let registry = limit.map_or(builder.clone(), |limit| builder.max_body(limit)).start();
        let (blob, kit) = (noise(8_000_000), Kit::new());
        let (bytes, cancel) = (blob.clone(), kit.cancel.clone());
        let stopping = move |offset| {
            Box::new(Stopping(from(&bytes, offset), 4_000_000 - offset.min(4_000_000), cancel.clone())) as _
        };
        let descriptor = Descriptor::of(layer(), &blob);
        let error = kit.push_from(registry.host(), &descriptor, &Made(stopping), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.with_causes());
        assert!(count(&registry, "DELETE", UPLOADS) > 0);
        assert_given_up(&registry, &blob);
    }
}

#[test]
fn a_stream_that_is_stopped_on_its_way_is_given_up() {
    let (registry, blob, kit) = (Registry::start(), noise(8_000_000), Kit::new());
    let session = kit.session(registry.host(), REPOSITORY);
    let make = |out: &mut (dyn Write + Send)| {
        out.write_all(&blob[..4_000_000])?;
        kit.cancel.cancel();
        out.write_all(&blob[4_000_000..])?;
        Ok(Descriptor::of(layer(), &blob))
    };
    let error = session.stream("layer", &make, &kit.work()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.with_causes());
    assert_eq!(count(&registry, "DELETE", UPLOADS), 1);
    assert_given_up(&registry, &blob);
}

#[test]
fn a_stream_that_stalls_ends_when_someone_asks_to_stop() {
    let (registry, blob, kit) = (Registry::start(), noise(24_000_000), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).stall());
    kit.cancelled(|| count(&registry, "PATCH", UPLOADS) == 1, || kit.stream(registry.host(), &blob));
    assert_given_up(&registry, &blob);
}

#[test]
fn what_others_do_goes_on() {
    let (registry, one, other) = (Registry::start(), Kit::new(), Kit::new());
    registry.fail(Rule::on("PUT", UPLOADS).stall());
    one.cancelled(|| count(&registry, "PUT", UPLOADS) == 1, || one.push(registry.host(), b"a blob"));
    // The same client, for another run.
    let run = Kit { pusher: one.client.pusher(), client: one.client.clone(), ..other };
    run.push(registry.host(), b"a blob").unwrap();
    assert_blob(&registry, b"a blob");
}

#[test]
fn what_was_stopped_before_it_began_makes_no_request() {
    let (registry, kit) = (Registry::start(), Kit::new());
    kit.cancel.cancel();
    assert_eq!(kit.push(registry.host(), b"a blob").unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(kit.stream(registry.host(), b"a blob").unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(kit.pull(registry.host()).resolve("1.0").unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(registry.requests().is_empty());
}
