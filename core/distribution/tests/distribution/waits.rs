//! Registries that ask to come back later.

use std::time::{Duration, Instant};

use longshore_oci::ErrorKind;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

const PAST: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

fn busy(method: &str, target: &str, retry_after: &str) -> Rule {
    let rule = Rule::on(method, target).status(429);
    if retry_after.is_empty() { rule } else { rule.header("Retry-After", retry_after) }
}

/// That a wait was shown, as long as was asked for.
#[track_caller]
fn assert_shown(kit: &Kit, wait: &str) {
    let warnings = kit.notes.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains(&format!("retrying in {wait}")) && warnings[0].ends_with("(attempt 2 of 6)"),
        "{warnings:?}"
    );
    assert!(warnings[0].contains("429"), "{warnings:?}");
}

const ASKED: [(&str, &str); 4] = [("1", "1 s"), ("0", "0 ms"), (PAST, "0 ms"), ("", "")];

#[test]
fn a_push_comes_back_when_it_is_asked_to() {
    for (method, target) in [("HEAD", "/blobs/"), ("POST", UPLOADS), ("PUT", UPLOADS)] {
        for (asked, shown) in ASKED {
            let registry = Registry::start();
            registry.fail(busy(method, target, asked));
            let (kit, since) = (Kit::new(), Instant::now());
            kit.push(registry.host(), b"a blob").unwrap();
            assert!(asked != "1" || since.elapsed() >= Duration::from_secs(1), "{method}");
            assert_shown(&kit, shown);
            assert_blob(&registry, b"a blob");
        }
    }
}

#[test]
fn manifests_come_back_when_they_are_asked_to() {
    for (asked, shown) in ASKED {
        let registry = Registry::start();
        registry.put_blob(REPOSITORY, b"{}");
        registry.fail(busy("PUT", "/manifests/", asked));
        let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
        kit.session(registry.host(), REPOSITORY).tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
        assert_shown(&kit, shown);
        assert_eq!(registry.manifest(REPOSITORY, "1.0").unwrap().1, bytes);
    }
}

#[test]
fn a_pull_comes_back_when_it_is_asked_to() {
    for (asked, shown) in ASKED {
        let registry = Registry::start();
        let (expected, _) = put_manifest(&registry, "1.0");
        registry.fail(busy("GET", "/manifests/", asked));
        registry.fail(busy("GET", "/blobs/", asked));
        let kit = Kit::new();
        assert_eq!(kit.pull(registry.host()).resolve("1.0").unwrap(), expected);
        assert_shown(&kit, shown);
        let kit = Kit::new();
        assert_eq!(kit.read(&kit.pull(registry.host()), &kit.store.put(layer(), b"{}")).unwrap(), b"{}");
        assert_shown(&kit, shown);
    }
}

#[test]
fn a_wait_that_is_too_long_is_an_error_that_says_how_long() {
    let registry = Registry::start();
    registry.fail(busy("POST", UPLOADS, "301").times(1000));
    registry.fail(busy("GET", "/manifests/", "301").times(1000));
    let kit = Kit::new();
    let pushed = kit.push(registry.host(), b"a blob").unwrap_err();
    let pulled = kit.pull(registry.host()).resolve("1.0").unwrap_err();
    for error in [pushed, pulled] {
        let said = error.with_causes();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{said}");
        assert!(said.contains("301 s") && said.contains("429"), "{said}");
        assert!(error.is_retryable() && error.hint().is_some(), "{error:?}");
    }
    assert_eq!(count(&registry, "POST", UPLOADS), 1);
    assert_eq!(count(&registry, "GET", "/manifests/"), 1);
    assert!(kit.notes.warnings().is_empty());
}

#[test]
fn a_wait_ends_when_someone_asks_to_stop() {
    for (method, target) in [("HEAD", "/blobs/"), ("POST", UPLOADS), ("PUT", UPLOADS)] {
        let registry = Registry::start();
        registry.fail(busy(method, target, "60").times(1000));
        let kit = Kit::new();
        kit.notes.cancel_with_warning(&kit.cancel);
        let since = Instant::now();
        let error = kit.push(registry.host(), b"a blob").unwrap_err();
        assert!(since.elapsed() < Duration::from_secs(10), "{method}: {:?}", since.elapsed());
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{method}");
        assert_eq!(count(&registry, method, target), 1, "{method}");
        assert_eq!(registry.open_uploads(), 0, "{method}");
    }
}

#[test]
fn a_wait_of_a_pull_ends_when_someone_asks_to_stop() {
    let registry = Registry::start();
    registry.fail(busy("GET", "/manifests/", "60").times(1000));
    let kit = Kit::new();
    kit.notes.cancel_with_warning(&kit.cancel);
    let since = Instant::now();
    let error = kit.pull(registry.host()).resolve("1.0").unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
