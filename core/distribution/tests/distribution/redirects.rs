//! Answers that lead elsewhere: credentials stay where they belong.

use std::io::{Read, Write};
use std::net::TcpStream;

use longshore_content::{Delivery, Provider};
use longshore_oci::{Digest, ErrorKind};
use longshore_testkit::registry::{Registry, Rule, TokenOptions};

use crate::kit::*;

#[track_caller]
fn assert_no_credentials(registry: &Registry) {
    let requests = registry.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|request| request.authorization().is_none()), "{requests:?}");
}

#[test]
fn a_blob_may_be_elsewhere() {
    let blob = noise(300_000);
    let registry = Registry::builder().tokens(TokenOptions::default()).start();
    put_manifest(&registry, "1.0");
    let storage = Registry::start();
    let digest = storage.put_blob("storage", &blob);
    let url = format!("http://{}/v2/storage/blobs/{digest}?signed=a%2Fb", storage.host());
    registry.fail(Rule::on("GET", "/blobs/").redirect(&url).times(2));
    // The place is asked for again when the connection to it breaks.
    storage.fail(Rule::on("GET", "/blobs/").drop_after_response_bytes(100_000));
    let kit = Kit::new();
    let repository = kit.pull(registry.host());
    repository.resolve("1.0").unwrap();
    assert!(kit.read(&repository, &kit.store.put(layer(), &blob)).unwrap() == blob);
    assert!(matching(&registry, "GET", "/blobs/").iter().all(|get| get.authorization().is_some()));
    assert_no_credentials(&storage);
    let storage = storage.requests();
    assert_eq!(storage.iter().map(|get| get.header("range")).collect::<Vec<_>>(), [None, Some("bytes=100000-")]);
    assert!(storage.iter().all(|get| get.query == "signed=a%2Fb"));
}

#[test]
fn a_manifest_may_be_elsewhere() {
    let registry = Registry::builder().tokens(TokenOptions::default()).start();
    let storage = Registry::start();
    let expected = put_manifest(&storage, "1.0").0;
    let url = format!("http://{}/v2/{REPOSITORY}/manifests/1.0", storage.host());
    registry.fail(Rule::on("GET", "/manifests/").redirect(&url));
    assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), expected);
    assert_no_credentials(&storage);
}

#[test]
fn redirects_in_a_circle_end() {
    let registry = Registry::start();
    let url = format!("http://{}/v2/{REPOSITORY}/manifests/1.0", registry.host());
    registry.fail(Rule::on("GET", "/manifests/").redirect(&url).times(1000));
    let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
    assert!(error.with_causes().contains("redirects"), "{}", error.with_causes());
    assert!(count(&registry, "GET", "/manifests/") < 20);
}

#[test]
fn a_redirect_to_nowhere_is_an_error() {
    for (location, expected) in
        [("ftp://a.example/", "neither http nor https"), ("http://u:secret@a.example/", "a user in it")]
    {
        let registry = Registry::start();
        registry.fail(Rule::on("GET", "/blobs/").redirect(location));
        let error = Kit::new().pull(registry.host()).open(&Digest::of(b"x"), 0).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.with_causes().contains(expected), "{}", error.with_causes());
        assert!(!error.with_causes().contains("secret"), "{}", error.with_causes());
    }
}

#[test]
fn a_blob_that_is_stored_elsewhere_is_there() {
    let registry = Registry::start();
    registry.fail(Rule::on("HEAD", "/blobs/").redirect("http://storage.example/blob"));
    assert_eq!(Kit::new().push(registry.host(), b"a blob").unwrap(), Delivery::Present);
    assert_eq!(count(&registry, "POST", UPLOADS), 0);
}

/// Begins an upload, as a registry does that leaves uploads to another host.
fn begin_upload(storage: &Registry) {
    let mut stream = TcpStream::connect(storage.address()).unwrap();
    let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let request = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[test]
fn an_upload_may_go_elsewhere_without_credentials() {
    isolated(|home| {
        let storage = Registry::start();
        begin_upload(&storage);
        let base = format!("http://{}", storage.host());
        let registry = Registry::builder().tokens(TokenOptions::default()).absolute_location(&base).start();
        home.login(registry.host(), "user", "password");
        storage.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        let blob = noise(300_000);
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&storage, &blob);
        assert_no_credentials(&storage);
        assert!(matching(&registry, "POST", UPLOADS).iter().any(|post| post.authorization().is_some()));
    });
}

#[test]
fn an_absolute_location_of_the_registry_itself_has_credentials() {
    isolated(|home| {
        let registry =
            Registry::builder().basic("user", "password").absolute_location("http://{host}").location_query("s=a%2F+b");
        let registry = registry.start();
        home.login(registry.host(), "user", "password");
        let blob = noise(300_000);
        registry.fail(Rule::on("PUT", UPLOADS).drop_after_request_bytes(100_000));
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&registry, &blob);
    });
}

#[test]
fn a_token_server_without_tls_elsewhere_is_not_asked() {
    isolated(|home| {
        for realm in ["http://tokens.example/token", "http://10.0.0.1/token", "https://user@tokens.example/"] {
            let options = TokenOptions { realm: Some(realm.to_owned()), ..TokenOptions::default() };
            let registry = Registry::builder().tokens(options).start();
            home.login(registry.host(), "user", "password");
            let error = Kit::new().push(registry.host(), b"a blob").unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::InvalidInput), "{realm}: {error:?}");
            assert_eq!(count(&registry, "HEAD", "/blobs/"), 1, "{realm}");
            assert_no_credentials(&registry);
        }
    });
}

#[test]
fn an_upload_may_begin_elsewhere() {
    for status in [307, 308] {
        let registry = Registry::builder().tokens(TokenOptions { anonymous: true, ..TokenOptions::default() }).start();
        let storage = Registry::start();
        let place = format!("http://{}/v2/{REPOSITORY}/blobs/uploads/?signed=a", storage.host());
        registry.fail(Rule::on("POST", UPLOADS).status(status).header("Location", &place));
        let blob = noise(300_000);
        Kit::new().push(registry.host(), &blob).unwrap();
        assert_blob(&storage, &blob);
        assert_no_credentials(&storage);
        assert_eq!(matching(&storage, "POST", "signed=a").len(), 1);
    }
}

#[test]
fn a_redirect_that_changes_the_method_begins_no_upload() {
    let (registry, storage) = (Registry::start(), Registry::start());
    let place = format!("http://{}/v2/{REPOSITORY}/blobs/uploads/", storage.host());
    registry.fail(Rule::on("POST", UPLOADS).status(302).header("Location", &place));
    let error = Kit::new().push(registry.host(), b"a blob").unwrap_err();
    assert!(error.with_causes().contains("302"), "{}", error.with_causes());
    assert!(storage.requests().is_empty());
}
