//! Blobs that another repository of the registry has.

use longshore_content::{Delivery, Origin};
use longshore_testkit::registry::{Recorded, Registry};

use crate::kit::*;

fn mounts(registry: &Registry) -> Vec<String> {
    let from = |post: &Recorded| post.query.split('&').find_map(|pair| pair.strip_prefix("from=")).map(str::to_owned);
    matching(registry, "POST", "mount=").iter().filter_map(from).collect()
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    let registry = Registry::start();
    registry.put_blob("team/base", b"a blob");
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    let delivery = kit.push_to(&session, b"a blob", &[origin(&registry, "team/base")]).unwrap();
    assert_eq!(delivery, Delivery::Mounted("team/base".to_owned()));
    assert_blob(&registry, b"a blob");
    assert_eq!(sent(&registry), 0);
    assert_eq!(count(&registry, "POST", UPLOADS), 1);
}

#[test]
fn a_refused_mount_begins_the_upload() {
    let registry = Registry::builder().refuse_mounts().start();
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    let origins = ["team/base", "other"].map(|from| origin(&registry, from));
    let delivery = kit.push_to(&session, b"a blob", &origins).unwrap();
    assert_eq!(delivery, Delivery::Sent { resumed: 0 });
    assert_blob(&registry, b"a blob");
    assert_eq!(count(&registry, "POST", UPLOADS), 1);
    assert_eq!(registry.open_uploads(), 0);
}

#[test]
fn a_mount_that_fails_is_no_failure() {
    for status in [400, 401, 403, 404, 405, 429, 500, 503] {
        let registry = Registry::builder().mount_status(status).start();
        let kit = Kit::new();
        let session = kit.session(registry.host(), REPOSITORY);
        let delivery = kit.push_to(&session, b"a blob", &[origin(&registry, "team/base")]).unwrap();
        assert_eq!(delivery, Delivery::Sent { resumed: 0 }, "{status}");
        assert_blob(&registry, b"a blob");
        let is_temporary = matches!(status, 429 | 500 | 503);
        assert_eq!(count(&registry, "POST", UPLOADS), if is_temporary { 3 } else { 2 }, "{status}");
    }
}

#[test]
fn the_nearest_repositories_are_tried_first_and_not_all() {
    let registry = Registry::builder().mount_status(404).start();
    let kit = Kit::new();
    let session = kit.session(registry.host(), "a/b/c");
    let repositories = ["z", "a/x", "a/b/c", "a/b/x", "a/y", "a/b/w"];
    let mut origins: Vec<Origin> = repositories.iter().map(|name| origin(&registry, name)).collect();
    origins.push(Origin { registry: "other.example".to_owned(), repository: "a/b/v".to_owned() });
    kit.push_to(&session, b"a blob", &origins).unwrap();
    assert_eq!(mounts(&registry), ["a/b/w", "a/b/x", "a/x"]);
    assert!(registry.blob("a/b/c", &kit.store.put(layer(), b"a blob").digest).is_some());
}

#[test]
fn two_repositories_of_a_registry_are_sent_a_blob_once() {
    let registry = Registry::start();
    let (kit, blob) = (Kit::new(), noise(300_000));
    kit.push(registry.host(), &blob).unwrap();
    let other = kit.session(registry.host(), "team/other");
    assert_eq!(kit.push_to(&other, &blob, &[]).unwrap(), Delivery::Mounted(REPOSITORY.to_owned()));
    assert_eq!(kit.push_to(&other, &blob, &[]).unwrap(), Delivery::Present);
    assert_eq!(sent(&registry), 300_000);
    assert!(registry.blob("team/other", &kit.store.put(layer(), &blob).digest).is_some());
    // A stream is known to be there, too.
    kit.stream(registry.host(), b"a stream").unwrap().unwrap();
    assert_eq!(kit.push_to(&other, b"a stream", &[]).unwrap(), Delivery::Mounted(REPOSITORY.to_owned()));
}

#[test]
fn two_registries_are_each_sent_a_blob() {
    let (one, other, kit) = (Registry::start(), Registry::start(), Kit::new());
    for registry in [&one, &other] {
        assert_eq!(kit.push(registry.host(), b"a blob").unwrap(), Delivery::Sent { resumed: 0 });
        assert_blob(registry, b"a blob");
    }
}

#[test]
fn what_two_repositories_have_is_not_sent_again_where_nothing_is_mounted() {
    let (registry, blob) = (Registry::builder().refuse_mounts().start(), noise(300_000));
    for is_warm in [false, true] {
        registry.clear_requests();
        let kit = Kit::new();
        for repository in [REPOSITORY, "team/other"] {
            let session = kit.session(registry.host(), repository);
            let origins = [origin(&registry, REPOSITORY), origin(&registry, "team/other")];
            let delivery = kit.push_to(&session, &blob, &origins).unwrap();
            assert_eq!(delivery == Delivery::Present, is_warm, "{repository}: {delivery:?}");
        }
        assert_eq!(sent(&registry), if is_warm { 0 } else { 600_000 });
        assert_eq!(count(&registry, "POST", UPLOADS) == 0, is_warm);
    }
}
