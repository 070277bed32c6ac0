//! Manifests that refer to others: signatures, SBOMs.

use std::thread;
use std::time::Duration;

use longshore_oci::{Descriptor, MediaType, parse_index};
use longshore_testkit::registry::{Registry, Rule};
use serde_json::json;

use crate::kit::*;

/// A manifest about `subject`.
fn about(subject: &Descriptor, kind: &str) -> (Descriptor, Vec<u8>) {
    document(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::MANIFEST,
        "artifactType": kind,
        "config": Descriptor::of(MediaType::CONFIG, b"{}"),
        "layers": [],
        "subject": subject,
        "annotations": { "kind": kind },
    }))
}

/// As a list has it.
fn listed((descriptor, _): &(Descriptor, Vec<u8>), kind: &str) -> Descriptor {
    let mut listed = descriptor.clone().annotated("kind", kind);
    listed.artifact_type = Some(kind.to_owned());
    listed
}

fn tag_of(subject: &Descriptor) -> String {
    format!("sha256-{}", subject.digest.hex())
}

fn push(kit: &Kit, registry: &Registry, (descriptor, bytes): &(Descriptor, Vec<u8>)) {
    let session = kit.session(registry.host(), REPOSITORY);
    session.manifest(descriptor, bytes, &kit.work()).unwrap();
    session.list_referrers(&kit.work()).unwrap();
}

fn list(registry: &Registry, subject: &Descriptor) -> Vec<Descriptor> {
    let (media_type, bytes) = registry.manifest(REPOSITORY, &tag_of(subject)).unwrap();
    assert_eq!(media_type, MediaType::INDEX.as_str());
    parse_index(&Descriptor::of(MediaType::INDEX, &bytes), &bytes).unwrap().manifests
}

#[test]
fn a_registry_without_lists_has_them_under_tags() {
    let registry = Registry::builder().no_referrers().start();
    let (subject, _) = put_manifest(&registry, "1.0");
    let (first, second) = (about(&subject, "a/signature"), about(&subject, "an/sbom"));
    push(&Kit::new(), &registry, &first);
    assert_eq!(list(&registry, &subject), [listed(&first, "a/signature")]);
    // Another run keeps what it finds.
    push(&Kit::new(), &registry, &second);
    let both = [listed(&first, "a/signature"), listed(&second, "an/sbom")];
    assert_eq!(list(&registry, &subject), both);
    push(&Kit::new(), &registry, &second);
    assert_eq!(list(&registry, &subject), both);
    assert_eq!(Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap(), both);
}

#[test]
fn a_registry_with_lists_has_no_tags_for_them() {
    let registry = Registry::start();
    let (subject, _) = put_manifest(&registry, "1.0");
    let first = about(&subject, "a/signature");
    push(&Kit::new(), &registry, &first);
    assert_eq!(registry.tags(REPOSITORY), ["1.0"]);
    let found = Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap();
    assert_eq!(found, [listed(&first, "a/signature")]);
}

#[test]
fn referrers_of_several_subjects_are_listed_apart() {
    let registry = Registry::builder().no_referrers().start();
    let (one, _) = put_manifest(&registry, "1.0");
    let (other, _) = put_manifest(&registry, "2.0");
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    let referrers = [about(&one, "a"), about(&other, "b"), about(&one, "c")];
    for (descriptor, bytes) in &referrers {
        session.manifest(descriptor, bytes, &kit.work()).unwrap();
    }
    session.list_referrers(&kit.work()).unwrap();
    assert_eq!(list(&registry, &one), [listed(&referrers[0], "a"), listed(&referrers[2], "c")]);
    assert_eq!(list(&registry, &other), [listed(&referrers[1], "b")]);
}

/// Outputs of one run share a session, and end at the same time.
#[test]
fn outputs_that_list_at_the_same_time_lose_nothing() {
    let registry = Registry::builder().no_referrers().start();
    let (subject, _) = put_manifest(&registry, "1.0");
    // Without care both read an empty list, and the second one overwrites that of the first.
    registry.fail(Rule::on("GET", "/manifests/sha256-").delay(Duration::from_millis(200)));
    registry.fail(Rule::on("GET", "/manifests/sha256-").delay(Duration::from_millis(800)));
    let kit = Kit::new();
    let session = kit.session(registry.host(), REPOSITORY);
    let push = |kind| {
        let (descriptor, bytes) = about(&subject, kind);
        session.manifest(&descriptor, &bytes, &kit.work()).unwrap();
        session.list_referrers(&kit.work()).unwrap();
    };
    thread::scope(|scope| {
        scope.spawn(|| push("one"));
        until(|| count(&registry, "GET", "/manifests/sha256-") > 0);
        scope.spawn(|| push("two"));
    });
    let mut kinds: Vec<_> = list(&registry, &subject).into_iter().filter_map(|listed| listed.artifact_type).collect();
    kinds.sort();
    assert_eq!(kinds, ["one", "two"]);
}

#[test]
fn lists_survive_failures() {
    let registry = Registry::builder().no_referrers().start();
    let (subject, _) = put_manifest(&registry, "1.0");
    registry.fail(Rule::on("GET", "/referrers/").status(503));
    registry.fail(Rule::on("GET", "/manifests/sha256-").drop_before_answer());
    registry.fail(Rule::on("PUT", "/manifests/sha256-").status(500));
    let first = about(&subject, "a/signature");
    push(&Kit::new(), &registry, &first);
    registry.fail(Rule::on("GET", "/referrers/").status(429).header("Retry-After", "0"));
    registry.fail(Rule::on("GET", "/manifests/sha256-").status(503));
    let found = Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap();
    assert_eq!(found, [listed(&first, "a/signature")]);
}

#[test]
fn referrers_come_in_pages() {
    let registry = Registry::builder().page_size(2).start();
    let (subject, _) = put_manifest(&registry, "1.0");
    let kinds = ["a", "b", "c", "d", "e"];
    for kind in kinds {
        let (_, bytes) = about(&subject, kind);
        registry.put_manifest(REPOSITORY, None, MediaType::MANIFEST.as_str(), &bytes);
    }
    let kit = Kit::new();
    let repository = kit.pull(registry.host());
    let found = repository.referrers(&subject.digest).unwrap();
    let mut found_kinds: Vec<_> = found.iter().filter_map(|listed| listed.artifact_type.clone()).collect();
    found_kinds.sort();
    assert_eq!(found_kinds, kinds);
    assert_eq!(count(&registry, "GET", "/referrers/"), 3);
    // They are manifests, and read as such.
    assert_eq!(kit.read(&repository, &found[4]).unwrap().len() as u64, found[4].size);
}

#[test]
fn pages_are_found_among_other_links() {
    let registry = Registry::builder().page_size(1).several_links().start();
    let (subject, _) = put_manifest(&registry, "1.0");
    for kind in ["a", "b", "c"] {
        let (_, bytes) = about(&subject, kind);
        registry.put_manifest(REPOSITORY, None, MediaType::MANIFEST.as_str(), &bytes);
    }
    let found = Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap();
    let mut kinds: Vec<_> = found.into_iter().filter_map(|listed| listed.artifact_type).collect();
    kinds.sort();
    assert_eq!(kinds, ["a", "b", "c"]);
    assert_eq!(count(&registry, "GET", "/referrers/"), 3);
}

/// A registry that lists referrers, and does not say so when one is put.
#[test]
fn what_is_listed_on_a_later_page_needs_no_tag() {
    for pages in [1, 2] {
        let registry = Registry::builder().page_size(pages).several_links().start();
        let (subject, _) = put_manifest(&registry, "1.0");
        let all = ["a", "b", "c", "d"].map(|kind| about(&subject, kind));
        let kit = Kit::new();
        for referrer in &all {
            registry.fail(Rule::on("PUT", "/manifests/").without_header("OCI-Subject"));
            push(&kit, &registry, referrer);
        }
        assert_eq!(registry.tags(REPOSITORY), ["1.0"], "{pages}");
    }
}

#[test]
fn an_image_without_referrers_has_none() {
    for registry in [Registry::start(), Registry::builder().no_referrers().start()] {
        let (subject, _) = put_manifest(&registry, "1.0");
        assert_eq!(Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap(), []);
    }
}

#[test]
fn a_registry_that_answers_something_else_than_a_list_has_it_under_a_tag() {
    type Fault = fn(Rule) -> Rule;
    let faults: [Fault; 5] = [
        |rule| rule.header("Content-Type", "text/html").body("<html>welcome</html>"),
        |rule| rule.status(400),
        |rule| rule.status(405),
        |rule| rule.status(406),
        |rule| rule.status(404),
    ];
    for fault in faults {
        let registry = Registry::builder().no_referrers().start();
        let (subject, _) = put_manifest(&registry, "1.0");
        let first = about(&subject, "a/signature");
        push(&Kit::new(), &registry, &first);
        registry.fail(fault(Rule::on("GET", "/referrers/").times(1000)));
        let found = Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap();
        assert_eq!(found, [listed(&first, "a/signature")]);
    }
}

/// The first answer is that of a registry with lists, whose referrers API then answers a page.
#[test]
fn a_page_for_people_is_no_list() {
    let registry = Registry::start();
    let (subject, _) = put_manifest(&registry, "1.0");
    let page = Rule::on("GET", "/referrers/").header("Content-Type", "text/html").body("<html>welcome</html>");
    registry.fail(page.times(1000));
    assert_eq!(Kit::new().pull(registry.host()).referrers(&subject.digest).unwrap(), []);
    assert_eq!(count(&registry, "GET", "/manifests/sha256-"), 1);
}
