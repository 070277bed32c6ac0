//! Registries that are silent, and those that are only slow.

use std::time::Duration;

use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn a_push_survives_a_stall_of_any_request() {
    let blob = noise(300_000);
    for (method, target) in [("HEAD", "/blobs/"), ("POST", UPLOADS), ("PUT", UPLOADS)] {
        let registry = Registry::start();
        registry.fail(Rule::on(method, target).stall());
        let kit = Kit::impatient();
        kit.push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert!(
            kit.notes.warnings()[0].contains("timed out waiting for a response"),
            "{method}: {:?}",
            kit.notes.warnings()
        );
        assert_eq!(registry.open_uploads(), 0, "{method}");
    }
}

#[test]
fn an_upload_that_goes_on_survives_stalls() {
    let blob = noise(300_000);
    for method in ["GET", "PATCH"] {
        let registry = Registry::start();
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        registry.fail(Rule::on(method, UPLOADS).stall());
        Kit::impatient().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
        assert!(sent(&registry) < 330_000, "{method}: {}", sent(&registry));
    }
}

#[test]
fn a_registry_that_stops_reading_is_asked_again() {
    // More than what the system buffers.
    let blob = noise(24_000_000);
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", UPLOADS).stall());
    Kit::impatient().push(registry.host(), &blob).unwrap();
    assert_blob(&registry, &blob);
}

#[test]
fn manifests_survive_stalls() {
    let registry = Registry::start();
    registry.put_blob(REPOSITORY, b"{}");
    registry.fail(Rule::on("HEAD", "/manifests/").stall());
    registry.fail(Rule::on("PUT", "/manifests/").stall());
    let (kit, (descriptor, bytes)) = (Kit::impatient(), manifest("a"));
    kit.session(registry.host(), REPOSITORY).tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
    assert_eq!(registry.manifest(REPOSITORY, "1.0").unwrap().1, bytes);
}

#[test]
fn a_pull_survives_stalls() {
    let blob = noise(300_000);
    let registry = Registry::start();
    let (expected, _) = put_manifest(&registry, "1.0");
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/manifests/").stall());
    registry.fail(Rule::on("GET", "/blobs/").stall());
    // Stands still in the middle.
    registry.fail(Rule::on("GET", "/blobs/").trickle(100_000, Duration::from_secs(60)));
    let kit = Kit::impatient();
    let repository = kit.pull(registry.host());
    assert_eq!(repository.resolve("1.0").unwrap(), expected);
    assert!(kit.read(&repository, &kit.store.put(layer(), &blob)).unwrap() == blob);
    let ranges: Vec<_> =
        matching(&registry, "GET", "/blobs/").iter().map(|get| get.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, None, Some("bytes=100000-".to_owned())]);
}

#[test]
fn a_slow_registry_is_not_a_stall() {
    let registry = Registry::start();
    let (expected, _) = put_manifest(&registry, "1.0");
    registry.put_blob(REPOSITORY, b"a blob from there");
    let pause = Duration::from_millis(300);
    registry.fail(Rule::on("GET", "/manifests/").delay(pause).trickle(50, pause));
    registry.fail(Rule::on("GET", "/blobs/").delay(pause).trickle(4, pause));
    registry.fail(Rule::on("HEAD", "/blobs/").delay(pause));
    registry.fail(Rule::on("POST", UPLOADS).delay(pause));
    let kit = Kit::impatient();
    let repository = kit.pull(registry.host());
    assert_eq!(repository.resolve("1.0").unwrap(), expected);
    assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"a blob from there")).unwrap(), b"a blob from there");
    kit.push(registry.host(), b"a blob").unwrap();
    assert_blob(&registry, b"a blob");
    assert_eq!(kit.notes.warnings(), Vec::<String>::new());
}

#[test]
fn a_registry_may_think_about_a_blob_for_longer() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", UPLOADS).delay(Duration::from_millis(1500)));
    let kit = Kit::impatient();
    kit.push(registry.host(), b"a blob").unwrap();
    assert_blob(&registry, b"a blob");
    assert_eq!(kit.notes.warnings(), Vec::<String>::new());
    assert_eq!(count(&registry, "PUT", UPLOADS), 1);
}
