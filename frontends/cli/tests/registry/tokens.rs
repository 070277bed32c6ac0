//! A token server: who asks for what, and who gets it.

use longshore_core::oci::Digest;
use longshore_testkit::registry::{Recorded, Registry, TokenOptions};
use serde_json::json;

use super::machine::{Machine, digest_of, document, layers, mounts, uploads};

/// `user:password` in base64: what the test kit takes.
const AUTH: &str = "dXNlcjpwYXNzd29yZA==";

fn machine(registry: &Registry) -> Machine {
    let machine = Machine::new();
    let settings = json!({ "auths": { registry.host(): { "auth": AUTH } } });
    machine.configure(".docker/config.json", settings.to_string());
    machine
}

fn start() -> Registry {
    Registry::builder().tokens(TokenOptions { anonymous: false, ..TokenOptions::default() }).start()
}

/// The scopes of each token that was asked for.
fn scopes(registry: &Registry) -> Vec<Vec<String>> {
    let requests = registry.requests();
    let tokens = requests.iter().filter(|request| request.path == "/token");
    let scopes = |request: &Recorded| {
        let pairs = request.query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
        pairs.map(|scope| scope.replace("%2C", ",")).collect()
    };
    tokens.map(scopes).collect()
}

#[test]
fn a_token_of_each_repository_and_one_of_both_for_mounts() {
    let registry = start();
    let machine = machine(&registry);
    let host = registry.host();
    let output = format!("type=registry,name={host}/a:1");
    let (_, digest) = machine.export_one(&["rootfs:tree", "--no-store", "-o", &output]);
    assert_eq!(digest_of(&registry, "a", "1"), Some(digest.clone()));
    assert_eq!(scopes(&registry), [["repository:a:pull,push"]]);

    registry.clear_requests();
    let output = format!("type=registry,name={host}/b/c:2");
    let copy = ["export", &format!("docker://{host}/a:1"), "--progress=plain", "-o", &output];
    let ran = machine.ok(&copy);
    assert_eq!(digest_of(&registry, "b/c", "2"), Some(digest));
    assert!(uploads(&registry.requests()).is_empty(), "{:#?}", registry.requests());
    assert_eq!(mounts(&registry).len(), 2, "a layer and a configuration");
    assert_eq!(ran.stderr.matches("mounted from a").count(), 2, "{}", ran.stderr);
    let mut scopes = scopes(&registry);
    scopes.sort();
    scopes.dedup();
    let (read, write) = ("repository:a:pull".to_owned(), "repository:b/c:pull,push".to_owned());
    for expected in [vec![read.clone()], vec![write.clone()], vec![read, write]] {
        assert!(scopes.contains(&expected), "{expected:?} is not in {scopes:?}");
    }
    assert!(!scopes.iter().flatten().any(|scope| scope == "repository:a:pull,push"), "{scopes:?}");
    assert!(!ran.stderr.contains("password") && !ran.stderr.contains(AUTH), "{}", ran.stderr);
}

#[test]
fn tokens_that_expire_are_asked_for_again() {
    let options = TokenOptions { uses: Some(2), anonymous: false, ..TokenOptions::default() };
    let registry = Registry::builder().tokens(options).start();
    let machine = machine(&registry);
    let output = format!("type=registry,name={}/a:1", registry.host());
    // One at a time: another request would use a token up that was just given for this one.
    let sources = ["rootfs:tree", "--layer", "etc:/etc", "--push-jobs", "1"];
    let (_, digest) = machine.export_one(&[&sources[..], &["-o", &output]].concat());
    assert_eq!(digest_of(&registry, "a", "1"), Some(digest.clone()));
    assert!(scopes(&registry).len() > 2, "a token is good for two requests");
    for layer in layers(&document(&registry, "a", "1")) {
        assert_eq!(Digest::of(&registry.blob("a", &layer).unwrap()), layer);
    }
    let verified = machine.ok(&["verify", &format!("docker://{}/a:1", registry.host())]);
    assert!(String::from_utf8(verified.stdout).unwrap().starts_with(&format!("ok {digest} ")));
}

#[test]
fn who_has_no_password_reads_what_everyone_may_and_writes_nothing() {
    let registry = Registry::builder().tokens(TokenOptions::default()).start();
    let host = registry.host();
    let output = format!("type=registry,name={host}/a:1");
    machine(&registry).ok(&["export", "rootfs:tree", "-o", &output]);
    let stranger = Machine::new();
    stranger.ok(&["verify", &format!("docker://{host}/a:1")]);
    registry.clear_requests();
    let output = format!("type=registry,name={host}/b:1");
    let said = ["401", "log in with `longshore login "];
    stranger.fails(&["export", "rootfs:tree", "-o", &output], 4, &said);
    assert!(registry.tags("b").is_empty() && uploads(&registry.requests()).is_empty());
}
