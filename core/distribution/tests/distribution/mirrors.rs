//! Mirrors, as `hosts.toml` names them.

use longshore_oci::{Descriptor, ErrorKind};
use longshore_testkit::registry::{Registry, Rule, TokenOptions};

use crate::kit::*;

/// Says that `registry` is mirrored by these hosts, in this order.
fn mirror(home: &Home, registry: &Registry, mirrors: &[&str]) {
    let hosts = mirrors.iter().map(|host| format!("[host.\"http://{host}\"]\n"));
    home.hosts_toml(registry.host(), &hosts.collect::<String>());
}

#[track_caller]
fn assert_told_which_registry(mirror: &Registry, registry: &Registry) {
    let requests = mirror.requests();
    let ns = format!("ns={}", registry.host());
    assert!(!requests.is_empty() && requests.iter().all(|request| request.query == ns), "{requests:?}");
}

#[test]
fn a_mirror_serves_what_it_has() {
    isolated(|home| {
        let (registry, other) = (Registry::start(), Registry::start());
        mirror(home, &registry, &[other.host()]);
        let expected = put_manifest(&other, "1.0").0;
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_eq!(repository.resolve("1.0").unwrap(), expected);
        assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"{}")).unwrap(), b"{}");
        assert_told_which_registry(&other, &registry);
        assert!(registry.requests().is_empty());
        assert_eq!(kit.notes.warnings(), Vec::<String>::new());
    });
}

#[test]
fn what_mirrors_lack_comes_from_the_registry() {
    isolated(|home| {
        let (registry, empty, second) = (Registry::start(), Registry::start(), Registry::start());
        let gone = Registry::start().host().to_owned();
        mirror(home, &registry, &[empty.host(), &gone, second.host()]);
        let expected = put_manifest(&registry, "1.0").0;
        second.put_blob(REPOSITORY, b"a blob");
        second.fail(Rule::on("GET", "/manifests/").status(500).times(1000));
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_eq!(repository.resolve("1.0").unwrap(), expected);
        assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"a blob")).unwrap(), b"a blob");
        assert_eq!(count(&registry, "GET", "/blobs/"), 0);
        assert_told_which_registry(&empty, &registry);
        assert_told_which_registry(&second, &registry);
        // One that fails is not waited for, one that is gone is asked once, and one that lacks something is not
        // worth a word.
        assert_eq!(count(&second, "GET", "/manifests/"), 1);
        assert_eq!(kit.notes.warnings().len(), 2, "{:?}", kit.notes.warnings());
        let own = matching(&registry, "GET", "/manifests/");
        assert!(own.iter().all(|request| request.query.is_empty()), "{own:?}");
    });
}

#[test]
fn what_nobody_has_is_not_found() {
    isolated(|home| {
        let (registry, other) = (Registry::start(), Registry::start());
        mirror(home, &registry, &[other.host()]);
        let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.with_causes());
    });
}

#[test]
fn a_mirror_does_not_get_the_credentials_of_the_registry() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").start();
        home.login(registry.host(), "user", "password");
        let basic = Registry::builder().basic("user", "password").start();
        let tokens = Registry::builder().tokens(TokenOptions { anonymous: false, ..TokenOptions::default() }).start();
        mirror(home, &registry, &[basic.host(), tokens.host()]);
        let expected = put_manifest(&registry, "1.0").0;
        put_manifest(&basic, "1.0");
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_eq!(repository.resolve("1.0").unwrap(), expected);
        assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"{}")).unwrap(), b"{}");
        for mirror in [&basic, &tokens] {
            let requests = mirror.requests();
            assert!(!requests.is_empty());
            assert!(requests.iter().all(|request| request.authorization().is_none()), "{requests:?}");
        }
    });
}

#[test]
fn a_mirror_has_its_own_credentials() {
    isolated(|home| {
        let registry = Registry::start();
        let other = Registry::builder().basic("mirror", "password").start();
        home.login(other.host(), "mirror", "password");
        mirror(home, &registry, &[other.host()]);
        let expected = put_manifest(&other, "1.0").0;
        assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), expected);
    });
}

#[test]
fn a_mirror_may_have_blobs_and_no_say_in_tags() {
    isolated(|home| {
        let (registry, other) = (Registry::start(), Registry::start());
        let text = format!("[host.\"http://{}\"]\ncapabilities = [\"pull\"]\n", other.host());
        home.hosts_toml(registry.host(), &text);
        let (expected, _) = put_manifest(&registry, "1.0");
        other.put_blob(REPOSITORY, b"a blob");
        let kit = Kit::new();
        let repository = kit.pull(registry.host());
        assert_eq!(repository.resolve("1.0").unwrap(), expected);
        assert_eq!(count(&other, "GET", "/manifests/"), 0);
        assert_eq!(kit.read(&repository, &kit.store.put(layer(), b"a blob")).unwrap(), b"a blob");
        assert_eq!(count(&registry, "GET", "/blobs/"), 0);
    });
}

#[test]
fn a_blob_of_a_mirror_goes_on_where_it_was() {
    isolated(|home| {
        let (registry, other, blob) = (Registry::start(), Registry::start(), noise(300_000));
        mirror(home, &registry, &[other.host()]);
        other.put_blob(REPOSITORY, &blob);
        registry.put_blob(REPOSITORY, &blob);
        other.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(100_000));
        let kit = Kit::new();
        assert!(kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap() == blob);
        assert_eq!(count(&other, "GET", "/blobs/"), 2);
    });
}

#[test]
fn a_mirror_that_breaks_for_good_in_mid_blob_is_left() {
    isolated(|home| {
        let (registry, other, blob) = (Registry::start(), Registry::start(), noise(300_000));
        mirror(home, &registry, &[other.host()]);
        other.put_blob(REPOSITORY, &blob);
        registry.put_blob(REPOSITORY, &blob);
        other.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(100_000));
        other.fail(Rule::on("GET", "/blobs/").status(404).times(1000));
        let kit = Kit::new();
        assert!(kit.read(&kit.pull(registry.host()), &Descriptor::of(layer(), &blob)).unwrap() == blob);
    });
}

#[test]
fn a_mirror_is_not_pushed_to() {
    isolated(|home| {
        let (registry, other) = (Registry::start(), Registry::start());
        mirror(home, &registry, &[other.host()]);
        let kit = Kit::new();
        kit.push(registry.host(), b"a blob").unwrap();
        assert_blob(&registry, b"a blob");
        assert!(other.requests().is_empty());
    });
}

#[test]
fn settings_that_cannot_be_read_are_an_error_that_says_where() {
    isolated(|home| {
        let registry = Registry::start();
        home.hosts_toml(registry.host(), "[host");
        let kit = Kit::new();
        let session = longshore_content::Pusher::repository(
            &kit.pusher,
            &name(registry.host(), REPOSITORY),
            longshore_content::RegistryOptions::default(),
        );
        let error = session.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.with_causes().contains("hosts.toml"), "{}", error.with_causes());
    });
}
