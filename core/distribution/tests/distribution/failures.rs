//! Requests that fail, for a while or for good.

use longshore_content::Delivery;
use longshore_oci::ErrorKind;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

type Fault = fn(Rule) -> Rule;

const FAULTS: [(&str, Fault); 7] = [
    ("408", |rule| rule.status(408)),
    ("500", |rule| rule.status(500)),
    ("502", |rule| rule.status(502)),
    ("503", |rule| rule.status(503)),
    ("504", |rule| rule.status(504)),
    ("a page of a proxy", |rule| rule.status(502).body("<html>bad gateway</html>")),
    ("a reset", |rule| rule.drop_before_answer()),
];

/// Requests of an upload that breaks once.
const REQUESTS: [(&str, &str); 5] =
    [("HEAD", "/blobs/sha256:"), ("POST", UPLOADS), ("PUT", UPLOADS), ("GET", UPLOADS), ("PATCH", UPLOADS)];

fn breaks_once(registry: &Registry, method: &str) {
    if matches!(method, "GET" | "PATCH") {
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
    }
}

#[test]
fn a_push_survives_a_failure_of_any_request() {
    let blob = noise(300_000);
    for (method, target) in REQUESTS {
        for (what, fault) in FAULTS {
            let registry = Registry::start();
            breaks_once(&registry, method);
            registry.fail(fault(Rule::on(method, target)));
            let delivery = Kit::new().push(registry.host(), &blob).unwrap();
            assert!(matches!(delivery, Delivery::Sent { .. }), "{method} {what}: {delivery:?}");
            assert_blob(&registry, &blob);
        }
    }
}

#[test]
fn a_push_that_succeeds_leaves_no_upload_behind() {
    let blob = noise(300_000);
    for (method, target) in REQUESTS {
        let registry = Registry::start();
        breaks_once(&registry, method);
        registry.fail(Rule::on(method, target).status(503));
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_eq!(registry.open_uploads(), 0, "{method}");
    }
}

#[test]
fn a_push_of_a_manifest_survives_a_failure_of_any_request() {
    for method in ["HEAD", "PUT"] {
        for (what, fault) in FAULTS {
            let registry = Registry::start();
            registry.put_blob(REPOSITORY, b"{}");
            registry.fail(fault(Rule::on(method, "/manifests/1.0")));
            let (descriptor, bytes) = manifest(what);
            let (kit, digest) = (Kit::new(), descriptor.digest.to_string());
            kit.session(registry.host(), REPOSITORY).tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
            assert_eq!(registry.manifest(REPOSITORY, "1.0").unwrap().1, bytes, "{method} {what}");
            assert_eq!(registry.manifest(REPOSITORY, &digest).unwrap().1, bytes, "{method} {what}");
        }
    }
}

#[test]
fn a_pull_survives_a_failure_of_any_request() {
    let blob = noise(300_000);
    for (what, fault) in FAULTS {
        let registry = Registry::start();
        let (expected, _) = put_manifest(&registry, "1.0");
        registry.put_blob(REPOSITORY, &blob);
        registry.fail(fault(Rule::on("GET", "/manifests/")));
        registry.fail(fault(Rule::on("GET", "/blobs/")));
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_eq!(repository.resolve("1.0").unwrap(), expected, "{what}");
        let descriptor = kit.store.put(layer(), &blob);
        assert!(kit.read(&repository, &descriptor).unwrap() == blob, "{what}");
    }
}

#[test]
fn a_push_ends_when_a_failure_stays() {
    let blob = noise(300_000);
    for (method, target) in REQUESTS {
        let registry = Registry::start();
        breaks_once(&registry, method);
        let text = r#"{"errors":[{"code":"UNKNOWN","message":"the disks are full"}]}"#;
        registry.fail(Rule::on(method, target).status(503).body(text).times(1000));
        let error = Kit::new().push(registry.host(), &blob).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{method}");
        assert!(error.is_retryable(), "{method}");
        let said = error.with_causes();
        assert!(method == "HEAD" || said.contains("503: UNKNOWN: the disks are full"), "{method}: {said}");
        assert!(said.contains("failed after 6 attempts"), "{method}: {said}");
        // The broken PUT was the first of the attempts that GET has.
        assert_eq!(count(&registry, method, target), if method == "GET" { 5 } else { 6 }, "{method}");
        assert!(registry.blob(REPOSITORY, &longshore_oci::Digest::of(&blob)).is_none(), "{method}");
        assert_eq!(registry.open_uploads(), 0, "{method}");
    }
}

#[test]
fn manifests_and_pulls_end_when_a_failure_stays() {
    let registry = Registry::start();
    let (descriptor, bytes) = put_manifest(&registry, "1.0");
    registry.fail(Rule::on("PUT", "/manifests/").status(500).times(1000));
    registry.fail(Rule::on("GET", "/manifests/").status(502).times(1000));
    registry.fail(Rule::on("GET", "/blobs/").drop_before_answer().times(1000));
    let kit = Kit::new();
    let repository = kit.pull(registry.host());
    let put = kit.session(registry.host(), REPOSITORY).tag("2.0", &descriptor, &bytes, &kit.work()).unwrap_err();
    let resolved = repository.resolve("1.0").unwrap_err();
    let read = kit.read(&repository, &kit.store.put(layer(), b"{}")).unwrap_err();
    for (error, method, target) in
        [(put, "PUT", "/manifests/2.0"), (resolved, "GET", "/manifests/1.0"), (read, "GET", "/blobs/")]
    {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{target}");
        assert!(error.is_retryable(), "{target}");
        assert_eq!(count(&registry, method, target), 6, "{target}");
    }
    assert_eq!(registry.tags(REPOSITORY), ["1.0"]);
}

/// An answer that would write to the terminal, and fill it.
fn refusal(status: u16, method: &str, target: &str) -> Rule {
    let message = format!("go away\u{1b}[31m\u{7}\r\n{}", "x".repeat(5000));
    Rule::on(method, target).status(status).body(&message).times(1000)
}

#[track_caller]
fn assert_refused(error: &longshore_oci::Error, status: u16, method: &str) {
    let kind = match status {
        403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    };
    let said = error.with_causes();
    assert_eq!(error.kind(), kind, "{method} {status}: {said}");
    assert!(!error.is_retryable(), "{method} {status}");
    assert!(said.contains(&status.to_string()), "{said}");
    assert!(method == "HEAD" || said.contains("go away"), "{said}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
    assert!(said.chars().count() < 800, "{} characters", said.chars().count());
}

#[test]
fn a_push_that_is_refused_ends_at_once() {
    let cases: [(&str, &str, &[u16]); 3] = [
        ("HEAD", "/blobs/", &[403, 409, 422]),
        ("POST", UPLOADS, &[400, 403, 404, 409, 422]),
        // An upload that is not known begins anew; others may be taken in chunks.
        ("PUT", UPLOADS, &[403, 409, 422]),
    ];
    for (method, target, statuses) in cases {
        for &status in statuses {
            let registry = Registry::start();
            registry.fail(refusal(status, method, target));
            let error = Kit::new().push(registry.host(), &noise(1000)).unwrap_err();
            assert_refused(&error, status, method);
            assert_eq!(count(&registry, method, target), 1, "{method} {status}");
            assert_eq!(registry.open_uploads(), 0, "{method} {status}");
        }
    }
}

#[test]
fn a_manifest_that_is_refused_ends_at_once() {
    for status in [400, 403, 404, 409, 422] {
        let registry = Registry::start();
        registry.fail(refusal(status, "PUT", "/manifests/"));
        let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
        let session = kit.session(registry.host(), REPOSITORY);
        assert_refused(&session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap_err(), status, "PUT");
        assert_eq!(count(&registry, "PUT", "/manifests/"), 1, "{status}");
    }
}

#[test]
fn a_pull_that_is_refused_ends_at_once() {
    for status in [400, 403, 404, 409, 422] {
        let registry = Registry::start();
        registry.fail(refusal(status, "GET", "/manifests/"));
        registry.fail(refusal(status, "GET", "/blobs/"));
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_refused(&repository.resolve("1.0").unwrap_err(), status, "GET");
        let blob = kit.read(&repository, &kit.store.put(layer(), b"x")).unwrap_err();
        assert_refused(&blob, status, "GET");
        assert_eq!(count(&registry, "GET", "/manifests/") + count(&registry, "GET", "/blobs/"), 2, "{status}");
    }
}

#[test]
fn a_registry_that_does_not_let_anyone_look_is_pushed_to() {
    for status in [400, 404, 405] {
        let registry = Registry::start();
        registry.fail(Rule::on("HEAD", "/blobs/").status(status));
        Kit::new().push(registry.host(), b"a blob").unwrap();
        assert_blob(&registry, b"a blob");
    }
}
