//! Connections that break in mid-body: what arrived is not sent again.

use longshore_content::Delivery;
use longshore_oci::Digest;
use longshore_testkit::registry::{Proxy, Registry, Rule};

use crate::kit::*;

const SIZE: usize = 8_000_000;

/// Breaks an upload five times, and never at the same place.
fn break_five_times(registry: &Registry) {
    registry.fail(Rule::on("PUT", "digest=").drop_after_request_bytes(1_500_000));
    for bytes in [1, 900_000, 2_000_001, 500_000] {
        registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(bytes));
    }
}

#[track_caller]
fn assert_sent_once(registry: &Registry, blob: &[u8]) {
    assert_blob(registry, blob);
    let sent = sent(registry);
    assert!(sent < blob.len() as u64 * 11 / 10, "{sent} bytes for {}", blob.len());
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_broken_upload_goes_on_where_it_was() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    break_five_times(&registry);
    let delivery = kit.push(registry.host(), &blob).unwrap();
    assert_eq!(delivery, Delivery::Sent { resumed: 5 });
    assert_sent_once(&registry, &blob);
    assert_eq!(kit.notes.advanced(), SIZE as u64);
}

#[test]
fn a_broken_stream_goes_on_where_it_was() {
    let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
    for bytes in [1_500_000, 1, 900_000, 2_000_001, 500_000] {
        registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(bytes));
    }
    let descriptor = kit.stream(registry.host(), &blob).unwrap().unwrap();
    assert_eq!((descriptor.digest, descriptor.size), (Digest::of(&blob), SIZE as u64));
    assert_sent_once(&registry, &blob);
    assert_eq!(kit.notes.advanced(), SIZE as u64);
}

#[test]
fn a_line_that_breaks_is_no_end() {
    for streams in [false, true] {
        let (registry, blob, kit) = (Registry::start(), noise(SIZE), Kit::new());
        let proxy = Proxy::start(registry.address());
        proxy.cut_after(vec![1_000_000, 1_500_000, 700_000, 2_000_000, 1_000_000]);
        if streams {
            kit.stream(proxy.host(), &blob).unwrap().unwrap();
        } else {
            kit.push(proxy.host(), &blob).unwrap();
        }
        assert_eq!(proxy.cuts_left(), 0);
        assert_sent_once(&registry, &blob);
        assert!(proxy.sent() < SIZE as u64 * 11 / 10, "{}", proxy.sent());
    }
}

#[test]
fn breaks_after_progress_are_not_counted_together() {
    let (registry, blob) = (Registry::start(), noise(1_000_000));
    registry.fail(Rule::on("PUT", "digest=").drop_after_request_bytes(50_000));
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(50_000).times(15));
    let delivery = Kit::new().push(registry.host(), &blob).unwrap();
    assert_eq!(delivery, Delivery::Sent { resumed: 16 });
    assert_sent_once(&registry, &blob);
}

#[test]
fn an_upload_that_the_registry_forgot_begins_anew() {
    let blob = noise(1_000_000);
    let registry = Registry::builder().no_resume().start();
    registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(300_000));
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
    assert_eq!(count(&registry, "POST", UPLOADS), 2);
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_stream_that_the_registry_forgot_begins_anew() {
    let blob = noise(1_000_000);
    let registry = Registry::builder().no_resume().start();
    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(300_000));
    Kit::new().stream(registry.host(), &blob).unwrap().unwrap();
    assert_blob(&registry, &blob);
    assert_eq!(count(&registry, "POST", UPLOADS), 2);
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn an_upload_that_is_unknown_when_it_goes_on_begins_anew() {
    for (method, status) in [("GET", 404), ("PATCH", 404), ("GET", 416), ("GET", 400)] {
        let (registry, blob) = (Registry::start(), noise(1_000_000));
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(300_000));
        registry.fail(Rule::on(method, UPLOADS).status(status));
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        // What is said not to be there cannot be given up either.
        assert!(registry.open_uploads() == 0 || (method, status) == ("GET", 404), "{method} {status}");
    }
}

#[test]
fn an_upload_that_was_lost_before_its_body_begins_anew() {
    let (registry, blob) = (Registry::start(), noise(300_000));
    registry.fail(Rule::on("PUT", UPLOADS).status(404));
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
}

#[test]
fn an_upload_that_is_always_lost_is_given_up() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", UPLOADS).status(404).times(1000));
    let error = Kit::new().push(registry.host(), &noise(300_000)).unwrap_err();
    assert!(error.with_causes().contains("404"), "{}", error.with_causes());
    assert!(count(&registry, "PUT", UPLOADS) <= 6);
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_part_that_comes_at_the_wrong_place_is_put_right() {
    let (registry, blob) = (Registry::start(), noise(1_000_000));
    registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(300_000));
    registry.fail(Rule::on("PATCH", UPLOADS).status(416));
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_sent_once(&registry, &blob);
    assert_eq!(count(&registry, "POST", UPLOADS), 1);
}

#[test]
fn a_part_whose_answer_was_lost_is_not_sent_again() {
    let (registry, blob) = (Registry::start(), noise(1_000_000));
    registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(300_000));
    registry.fail(Rule::on("PATCH", UPLOADS).drop_before_answer());
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_sent_once(&registry, &blob);
}

#[test]
fn a_blob_whose_last_answer_was_lost_is_found() {
    let (registry, blob) = (Registry::start(), noise(1_000_000));
    registry.fail(Rule::on("PUT", UPLOADS).drop_before_answer());
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_sent_once(&registry, &blob);
    assert_eq!(count(&registry, "PUT", UPLOADS), 1);
    assert_eq!(count(&registry, "POST", UPLOADS), 1);
}

#[test]
fn a_blob_in_chunks_whose_last_answer_was_lost_is_found() {
    let blob = noise(1_000_000);
    let registry = Registry::builder().max_body(600_000).start();
    registry.fail(Rule::on("PUT", UPLOADS).after(1).drop_before_answer());
    Kit::new().push(registry.host(), &blob).unwrap();
    assert_sent_once(&registry, &blob);
}

#[test]
fn a_stream_whose_last_answer_was_lost_is_found() {
    let (registry, blob) = (Registry::start(), noise(1_000_000));
    registry.fail(Rule::on("PUT", UPLOADS).drop_before_answer());
    Kit::new().stream(registry.host(), &blob).unwrap().unwrap();
    assert_sent_once(&registry, &blob);
    assert_eq!(count(&registry, "PATCH", UPLOADS), 1);
}

#[test]
fn a_registry_that_has_more_than_it_was_sent_is_not_believed() {
    for range in ["0-999999999", "0-18446744073709551615"] {
        let registry = Registry::start();
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        registry.fail(Rule::on("GET", UPLOADS).header("Range", range).times(1000));
        let error = Kit::new().push(registry.host(), &noise(300_000)).unwrap_err();
        assert_eq!(error.kind(), longshore_oci::ErrorKind::Corrupt, "{}", error.with_causes());
    }
}

/// The reference implementation 2.8: it continues after whole chunks alone, and every break in a body is a new start.
#[test]
fn a_registry_that_cannot_continue_is_named_with_what_it_costs() {
    for chunks in [false, true] {
        let builder = Registry::builder().signed_offset();
        let registry = if chunks { builder.chunk_min_length(1 << 20) } else { builder }.start();
        let (size, kit) = (20 << 20, Kit::new());
        let blob = noise(size);
        // The first chunk of each attempt arrives.
        let (method, skip) = if chunks { ("PATCH", 1) } else { ("PUT", 0) };
        registry.fail(Rule::on(method, UPLOADS).after(skip).drop_after_request_bytes(1_500_000));
        registry.fail(Rule::on(method, UPLOADS).after(2 * skip).drop_after_request_bytes(1_200_000));
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        let lost = 2_700_000 + if chunks { 2 * (16 << 20) } else { 0 };
        assert_eq!(sent(&registry), size as u64 + lost, "{chunks}");
        let warnings: Vec<_> = kit.notes.warnings().into_iter().filter(|said| said.contains("starting over")).collect();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings.iter().all(|said| said.contains("starting over, after ")), "{warnings:?}");
    }
}

/// A break between chunks costs nothing even there.
#[test]
fn what_a_signed_location_knows_is_continued() {
    let registry = Registry::builder().signed_offset().chunk_min_length(1 << 20).start();
    let (blob, kit) = (noise(20 << 20), Kit::new());
    registry.fail(Rule::on("PATCH", UPLOADS).after(1).drop_after_request_bytes(0));
    kit.push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
    assert_eq!(sent(&registry), 20 << 20);
}
