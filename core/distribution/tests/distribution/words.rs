//! What users are told: warnings of registries, and the causes of refusals.

use longshore_oci::Digest;
use longshore_testkit::registry::{Registry, Rule};

use crate::kit::*;

#[test]
fn a_warning_of_a_registry_is_shown_once_and_escaped() {
    let registry = Registry::start();
    put_manifest(&registry, "1.0");
    let warn = |text: &str| Rule::on("*", "/v2/team/").header("Warning", text).times(3);
    registry.fail(warn("299 - \"team/app moves to \u{202e}\t'team/new', bald möglichst\""));
    registry.fail(warn("299 - \"be quick\""));
    registry.fail(warn("199 other \"not for people\""));
    let kit = Kit::new();
    let repository = kit.pull(registry.host());
    for _ in 0..4 {
        repository.resolve("1.0").unwrap();
        kit.push(registry.host(), b"a blob").unwrap();
    }
    let host = registry.host();
    let expected = [
        format!("{host} says: team/app moves to \\u{{202e}}\\t'team/new', bald möglichst"),
        format!("{host} says: be quick"),
    ];
    assert_eq!(kit.notes.warnings(), expected);
}

#[test]
fn a_refusal_names_what_the_challenge_says() {
    for (challenge, expected) in [
        (
            r#"Basic realm="r", error="insufficient_scope", error_description="no push, not \"here\"""#,
            "the challenge says insufficient_scope, no push, not \"here\"",
        ),
        ("Negotiate", "the challenge asks for negotiate, which is not supported"),
        ("Digest realm=\"a\", Hoba max-age=1", "the challenge asks for digest or hoba, which is not supported"),
    ] {
        for status in [401, 403] {
            let registry = Registry::start();
            let rule = Rule::on("PUT", "/manifests/").status(status).header("WWW-Authenticate", challenge);
            registry.fail(rule.times(1000));
            registry.put_blob(REPOSITORY, b"{}");
            let (kit, (descriptor, bytes)) = (Kit::new(), manifest("a"));
            let session = kit.session(registry.host(), REPOSITORY);
            let said = session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap_err().with_causes();
            assert!(said.contains(expected) && said.contains(&status.to_string()), "{said}");
        }
    }
}

#[test]
fn a_range_that_was_not_asked_for_is_named() {
    let registry = Registry::start();
    let blob = noise(200_000);
    registry.put_blob(REPOSITORY, &blob);
    registry.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(100_000));
    registry.fail(Rule::on("GET", "/blobs/").header("Content-Range", "bytes 7-199999/200000"));
    let kit = Kit::new();
    let said = kit.read(&kit.pull(registry.host()), &kit.store.put(layer(), &blob)).unwrap_err().with_causes();
    assert!(said.contains("the range `bytes 7-199999/200000`, asked for `bytes 100000-`"), "{said}");
    assert!(registry.blob(REPOSITORY, &Digest::of(&blob)).is_some());
}
