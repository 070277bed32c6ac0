//! Tokens: as few as possible, and new ones in time.

use std::time::Duration;

use longshore_content::Delivery;
use longshore_oci::ErrorKind;
use longshore_testkit::registry::{Registry, Rule, TokenOptions};

use crate::kit::*;

/// A registry with tokens, at which one is logged in.
fn registry(home: &Home, options: TokenOptions) -> Registry {
    let registry = Registry::builder().tokens(options).start();
    home.login(registry.host(), "user", "password");
    registry
}

fn refusals(registry: &Registry) -> usize {
    registry.requests().iter().filter(|request| request.path != "/v2/" && request.status == 401).count()
}

#[test]
fn one_token_serves_a_whole_push() {
    isolated(|home| {
        let registry = registry(home, TokenOptions::default());
        let kit = Kit::new();
        let session = kit.session(registry.host(), REPOSITORY);
        for blob in [&b"{}"[..], b"one", b"two"] {
            kit.push_to(&session, blob, &[]).unwrap();
        }
        let (descriptor, bytes) = manifest("a");
        session.manifest(&descriptor, &bytes, &kit.work()).unwrap();
        session.tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
        assert_eq!(kit.pull(registry.host()).resolve("1.0").unwrap(), descriptor);
        assert_eq!(count(&registry, "GET", "/token"), 1);
        assert_eq!(refusals(&registry), 1);
    });
}

#[test]
fn a_token_that_expires_is_replaced_before_it_is_refused() {
    isolated(|home| {
        // It would be good for longer than is said.
        let registry = registry(home, TokenOptions { expires_in: Some(1), ..TokenOptions::default() });
        let kit = Kit::new();
        kit.push(registry.host(), b"one").unwrap();
        registry.fail(Rule::on("HEAD", "/blobs/").delay(Duration::from_secs(1)));
        kit.push(registry.host(), b"two").unwrap();
        assert_blob(&registry, b"two");
        assert!(count(&registry, "GET", "/token") > 1);
        assert_eq!(refusals(&registry), 1);
    });
}

#[test]
fn a_token_of_unknown_life_is_used() {
    isolated(|home| {
        let registry = registry(home, TokenOptions { expires_in: None, ..TokenOptions::default() });
        let kit = Kit::new();
        kit.push(registry.host(), b"one").unwrap();
        kit.push(registry.host(), b"two").unwrap();
        assert_eq!(count(&registry, "GET", "/token"), 1);
    });
}

#[test]
fn an_upload_whose_token_ends_has_a_new_one() {
    isolated(|home| {
        for size in [300_000, 8_000_000] {
            let registry = registry(home, TokenOptions { lifetime: Duration::from_secs(2), ..TokenOptions::default() });
            // The token is good when the upload begins, and not any more when the blob comes.
            registry.fail(Rule::on("POST", UPLOADS).after(1).delay(Duration::from_millis(2100)));
            let (kit, blob) = (Kit::new(), noise(size));
            kit.push(registry.host(), b"first").unwrap();
            kit.push(registry.host(), &blob).unwrap();
            assert_blob(&registry, &blob);
            let refused = matching(&registry, "PUT", UPLOADS).iter().filter(|put| put.status == 401).count();
            assert_eq!((refused, count(&registry, "GET", "/token")), (1, 2));
            assert_eq!(registry.open_uploads(), 0);
        }
    });
}

#[test]
fn an_upload_that_breaks_and_whose_token_ends_goes_on() {
    isolated(|home| {
        let registry = registry(home, TokenOptions { uses: Some(3), ..TokenOptions::default() });
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(2_000_000));
        registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(1_000_000).times(3));
        let blob = noise(8_000_000);
        let delivery = Kit::new().push(registry.host(), &blob).unwrap();
        assert!(matches!(delivery, Delivery::Sent { resumed: 4.. }), "{delivery:?}");
        assert_blob(&registry, &blob);
        assert!(count(&registry, "GET", "/token") >= 3);
        assert!(sent(&registry) < 8_800_000, "{}", sent(&registry));
    });
}

#[test]
fn a_stream_whose_token_ends_has_a_new_one() {
    isolated(|home| {
        let registry = registry(home, TokenOptions { uses: Some(2), ..TokenOptions::default() });
        registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(1_000_000).times(2));
        let blob = noise(4_000_000);
        Kit::new().stream(registry.host(), &blob).unwrap().unwrap();
        assert_blob(&registry, &blob);
        assert!(count(&registry, "GET", "/token") >= 2);
        assert!(sent(&registry) < 4_400_000, "{}", sent(&registry));
    });
}

#[test]
fn every_use_of_a_token_that_is_counted_is_replaced() {
    isolated(|home| {
        for uses in [1, 2, 3, 4] {
            let registry = registry(home, TokenOptions { uses: Some(uses), ..TokenOptions::default() });
            let kit = Kit::new();
            for blob in [&b"{}"[..], b"one", b"two"] {
                kit.push(registry.host(), blob).unwrap();
                assert_blob(&registry, blob);
            }
            let (descriptor, bytes) = manifest("a");
            kit.session(registry.host(), REPOSITORY).tag("1.0", &descriptor, &bytes, &kit.work()).unwrap();
            assert_eq!(kit.pull(registry.host()).resolve("1.0").unwrap(), descriptor);
        }
    });
}

#[test]
fn a_mount_has_a_token_for_both_repositories() {
    isolated(|home| {
        let registry = registry(home, TokenOptions::default());
        let kit = Kit::new();
        kit.push(registry.host(), b"a blob").unwrap();
        let other = kit.session(registry.host(), "team/other");
        assert_eq!(kit.push_to(&other, b"a blob", &[]).unwrap(), Delivery::Mounted(REPOSITORY.to_owned()));
        let tokens = matching(&registry, "GET", "/token");
        let last = &tokens.last().unwrap().query;
        for scope in ["scope=repository:team/app:pull", "scope=repository:team/other:pull%2Cpush"] {
            assert!(last.contains(scope), "{scope} in {last}");
        }
        assert_eq!(tokens.len(), 3, "one for each repository, and one for the mount");
    });
}

#[test]
fn a_token_server_may_fail_for_a_while() {
    isolated(|home| {
        let registry = registry(home, TokenOptions::default());
        registry.fail(Rule::on("GET", "/token").status(503));
        registry.fail(Rule::on("GET", "/token").status(429).header("Retry-After", "0"));
        registry.fail(Rule::on("GET", "/token").drop_before_answer());
        Kit::new().push(registry.host(), b"a blob").unwrap();
        assert_blob(&registry, b"a blob");
        assert_eq!(count(&registry, "GET", "/token"), 4);
    });
}

#[test]
fn a_token_server_that_fails_is_given_up() {
    isolated(|home| {
        let registry = registry(home, TokenOptions::default());
        registry.fail(Rule::on("GET", "/token").status(503).body("the vault is shut").times(1000));
        let error = Kit::new().push(registry.host(), b"a blob").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.with_causes().contains("the vault is shut"), "{}", error.with_causes());
        assert_eq!(count(&registry, "GET", "/token"), 6);
    });
}

#[test]
fn a_token_server_that_answers_nonsense_is_an_error_without_its_answer() {
    isolated(|home| {
        let registry = registry(home, TokenOptions::default());
        for body in ["secret-nonsense", r#"{"toke":"secret-nonsense"}"#, r#"{"token":""}"#] {
            registry.fail(Rule::on("GET", "/token").body(body));
            let error = Kit::new().push(registry.host(), b"a blob").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.with_causes().contains("secret-nonsense"), "{}", error.with_causes());
        }
    });
}
