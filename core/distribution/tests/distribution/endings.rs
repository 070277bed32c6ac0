//! Uploads that a registry refuses to continue: they begin anew, and they end.

use std::time::{Duration, Instant};

use longshore_oci::{Descriptor, Digest, ErrorKind};
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn an_upload_that_is_never_continued_begins_anew_in_one_piece() {
    for status in [416, 400, 405, 411, 501] {
        let (registry, blob, kit) = (Registry::start(), noise(300_000), Kit::new());
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        registry.fail(Rule::on("PATCH", UPLOADS).status(status).times(1000));
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert_eq!(count(&registry, "POST", UPLOADS), 2, "{status}");
        assert_eq!(count(&registry, "PUT", UPLOADS), 2, "{status}");
        assert!(count(&registry, "PATCH", UPLOADS) <= 3, "{status}");
        assert_eq!(registry.open_uploads(), 0, "{status}");
    }
}

#[test]
fn an_upload_that_is_begun_anew_and_refused_again_ends() {
    for status in [416, 400, 404, 501] {
        let (registry, kit) = (Registry::start(), Kit::new());
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000).times(1000));
        registry.fail(Rule::on("PATCH", UPLOADS).status(status).times(1000));
        let error = kit.push(registry.host(), &noise(300_000)).unwrap_err();
        assert!(error.with_causes().contains(&status.to_string()), "{status}: {}", error.with_causes());
        assert!(count(&registry, "POST", UPLOADS) <= 3, "{status}: {}", count(&registry, "POST", UPLOADS));
        assert!(count(&registry, "PATCH", UPLOADS) <= 8, "{status}: {}", count(&registry, "PATCH", UPLOADS));
        assert_eq!(registry.open_uploads(), 0, "{status}");
    }
}

#[test]
fn a_registry_that_takes_parts_and_keeps_none_of_them_is_given_up() {
    for range in ["0-99", "0-0", "0-50"] {
        let (registry, kit) = (Registry::start(), Kit::new());
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100));
        registry.fail(Rule::on("PATCH", UPLOADS).status(202).header("Range", range).times(1000));
        let error = kit.push(registry.host(), &noise(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{range}: {}", error.with_causes());
        assert!(count(&registry, "PATCH", UPLOADS) <= 6, "{range}");
        assert_eq!(registry.open_uploads(), 0, "{range}");
    }
}

#[test]
fn a_registry_that_does_not_say_what_it_keeps_is_asked() {
    let (blob, kit) = (noise(1_000_000), Kit::new());
    let registry = Registry::builder().max_body(600_000).start();
    registry.fail(Rule::on("PATCH", UPLOADS).header("Range", "0-0").times(1000));
    kit.push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
    assert!(count(&registry, "PATCH", UPLOADS) <= 6);
}

#[test]
fn an_upload_that_is_given_up_does_not_hold_up_another_one() {
    let (registry, kit, other) = (Registry::start(), Kit::new(), noise(300_000));
    let (one, descriptor) = (noise(1000), Descriptor::of(layer(), &other));
    registry.fail(Rule::on("PUT", Digest::of(&one).hex()).status(403));
    registry.fail(Rule::on("DELETE", UPLOADS).delay(Duration::from_secs(3)));
    let (ended, has_ended) = std::sync::mpsc::channel::<()>();
    let (has_ended, bytes) = (std::sync::Mutex::new(has_ended), other.clone());
    let slow = Made(move |offset| {
        has_ended.lock().unwrap().recv().unwrap();
        Box::new(from(&bytes, offset)) as _
    });
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| kit.push_from(registry.host(), &descriptor, &slow, true));
        until(|| count(&registry, "POST", UPLOADS) == 1);
        let since = Instant::now();
        kit.push(registry.host(), &one).unwrap_err();
        assert!(since.elapsed() < Duration::from_millis(2500), "it took {:?}", since.elapsed());
        assert_eq!(count(&registry, "DELETE", UPLOADS), 1);
        ended.send(()).unwrap();
        assert_eq!(pushing.join().unwrap().unwrap(), longshore_content::Delivery::Sent { resumed: 0 });
    });
    assert_blob(&registry, &other);
    assert_eq!(kit.notes.warnings(), Vec::<String>::new());
}
