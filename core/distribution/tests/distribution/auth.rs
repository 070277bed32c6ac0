//! Who we are: credentials of this machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_oci::{Error, ErrorKind};
use longshore_testkit::registry::{Registry, TokenOptions};
use serde_json::json;

use crate::kit::*;

const WRONG: &str = "wrong-secret";

fn identity_options() -> TokenOptions {
    let password = "an-identity".to_owned();
    TokenOptions { user: "<token>".to_owned(), password, anonymous: false, ..TokenOptions::default() }
}

/// Pushes and pulls, as whoever is logged in.
fn use_registry(registry: &Registry) {
    let kit = Kit::new();
    kit.push(registry.host(), b"a blob").unwrap();
    assert_blob(registry, b"a blob");
    let expected = put_manifest(registry, "1.0").0;
    assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), expected);
}

#[track_caller]
fn assert_denied(error: &Error) {
    let said = format!("{} {error:?} {}", error.with_causes(), error.hint().unwrap_or_default());
    assert_eq!(error.kind(), ErrorKind::Denied, "{said}");
    assert!(error.hint().is_some_and(|hint| hint.contains("log in")), "{said}");
    let encoded = STANDARD.encode(format!("user:{WRONG}"));
    assert!(!said.contains(WRONG) && !said.contains(&encoded), "{said}");
}

#[test]
fn a_registry_gets_a_name_and_a_password() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "pass:word").start();
        home.login(registry.host(), "user", "pass:word");
        use_registry(&registry);
        assert_eq!(count(&registry, "GET", "/token"), 0);
    });
}

#[test]
fn a_registry_that_names_many_ways_gets_one_that_we_know() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").several_challenges().start();
        home.login(registry.host(), "user", "password");
        use_registry(&registry);
    });
}

#[test]
fn a_token_is_better_than_a_password() {
    isolated(|home| {
        let registry = Registry::builder().tokens(TokenOptions::default()).several_challenges().start();
        home.login(registry.host(), "user", "password");
        use_registry(&registry);
        let (given, token): (Vec<_>, Vec<_>) = registry.requests().into_iter().partition(|r| r.path != "/token");
        assert!(!token.is_empty());
        let given: Vec<_> = given.iter().filter_map(|request| request.authorization()).collect();
        assert!(given.iter().all(|header| header.starts_with("Bearer ")), "{given:?}");
    });
}

#[test]
fn the_login_of_podman_is_used() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").start();
        let auth = STANDARD.encode("user:password");
        // Podman can keep another account for a part of a registry.
        let key = format!("{}/team", registry.host());
        home.write("run/containers/auth.json", &json!({ "auths": { key: { "auth": auth } } }).to_string());
        use_registry(&registry);
    });
}

#[test]
fn a_wrong_password_is_denied_at_once() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").start();
        home.login(registry.host(), "user", WRONG);
        let kit = Kit::new();
        assert_denied(&kit.push(registry.host(), b"a blob").unwrap_err());
        assert_eq!(count(&registry, "HEAD", "/blobs/"), 2);
        assert_denied(&kit.pull(registry.host()).resolve("1.0").unwrap_err());
        assert!(!format!("{:?} {:?}", kit.client, kit.pull(registry.host())).contains(WRONG));
        assert_eq!(kit.notes.warnings(), Vec::<String>::new());
    });
}

#[test]
fn a_password_that_gives_no_token_is_denied_at_once() {
    isolated(|home| {
        let registry = Registry::builder().tokens(TokenOptions::default()).start();
        home.login(registry.host(), "user", WRONG);
        let kit = Kit::new();
        assert_denied(&kit.push(registry.host(), b"a blob").unwrap_err());
        assert_eq!(count(&registry, "GET", "/token"), 1);
        assert_eq!(count(&registry, "HEAD", "/blobs/"), 1);
        assert_denied(&kit.pull(registry.host()).resolve("1.0").unwrap_err());
        assert!(!format!("{:?} {:?}", kit.client, kit.pull(registry.host())).contains(WRONG));
    });
}

#[test]
fn nobody_may_push_without_a_login() {
    for registry in [
        Registry::builder().tokens(TokenOptions::default()).start(),
        Registry::builder().tokens(TokenOptions { anonymous: false, ..TokenOptions::default() }).start(),
        Registry::builder().basic("user", "password").start(),
    ] {
        assert_denied(&Kit::new().push(registry.host(), b"a blob").unwrap_err());
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[test]
fn anyone_may_pull_with_a_token_for_anyone() {
    let registry = Registry::builder().tokens(TokenOptions::default()).start();
    let expected = put_manifest(&registry, "1.0").0;
    let kit = Kit::new();
    let repository = kit.pull(registry.host());
    assert_eq!(repository.resolve("1.0").unwrap(), expected);
    assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"{}")).unwrap(), b"{}");
    assert_eq!(count(&registry, "GET", "/token"), 1);
}

#[test]
fn an_identity_token_is_posted() {
    isolated(|home| {
        let options = TokenOptions { refresh_token: Some("an-identity".to_owned()), ..identity_options() };
        let registry = Registry::builder().tokens(options).start();
        home.identity(registry.host(), "an-identity");
        use_registry(&registry);
        assert_eq!(count(&registry, "GET", "/token"), 0);
        assert_ne!(count(&registry, "POST", "/token"), 0);
    });
}

#[test]
fn an_identity_token_is_sent_in_the_old_way_where_the_new_one_is_not_known() {
    isolated(|home| {
        for status in [401, 404, 405] {
            let options = TokenOptions { post_status: Some(status), ..identity_options() };
            let registry = Registry::builder().tokens(options).start();
            home.identity(registry.host(), "an-identity");
            use_registry(&registry);
            assert_ne!(count(&registry, "POST", "/token"), 0, "{status}");
        }
    });
}

#[test]
fn a_wrong_identity_token_is_denied_at_once() {
    isolated(|home| {
        let options = TokenOptions { refresh_token: Some("an-identity".to_owned()), ..identity_options() };
        let registry = Registry::builder().tokens(options).start();
        home.identity(registry.host(), WRONG);
        assert_denied(&Kit::new().push(registry.host(), b"a blob").unwrap_err());
        assert_eq!(count(&registry, "POST", "/token"), 1);
    });
}
