//! What is signed, or meant for one host, goes nowhere else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_content::Provider;
use longshore_oci::{Digest, ErrorKind};
use longshore_testkit::registry::{Registry, Rule, TokenOptions};

use crate::kit::*;

#[track_caller]
fn assert_untold(kit: &Kit, error: &longshore_oci::Error) {
    let said =
        format!("{} {:?} {:?} {:?}", error.with_causes(), error.hint(), kit.notes.warnings(), kit.notes.outcomes());
    assert!(!said.to_lowercase().contains("secret"), "{said}");
}

#[test]
fn a_signed_place_of_a_blob_is_not_told() {
    for place in ["http://127.0.0.1:1/x?X-Amz-Signature=secret", "ftp://127.0.0.1:1/x?X-Amz-Signature=secret"] {
        let (registry, kit) = (Registry::start(), Kit::new());
        registry.fail(Rule::on("GET", "/blobs/").redirect(place).times(1000));
        let error = kit.pull(registry.host()).open(&Digest::of(b"a blob"), 0).err().unwrap();
        assert_untold(&kit, &error);
    }
}

#[test]
fn a_signed_place_of_a_blob_that_fails_is_not_told() {
    let (registry, storage, kit) = (Registry::start(), Registry::start(), Kit::new());
    let place = format!("http://{}/v2/storage/blobs/x?X-Amz-Signature=secret", storage.host());
    registry.fail(Rule::on("GET", "/blobs/").redirect(&place).times(1000));
    storage.fail(Rule::on("GET", "/blobs/").status(503).times(1000));
    let error = kit.pull(registry.host()).open(&Digest::of(b"a blob"), 0).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
    assert!(!kit.notes.warnings().is_empty());
    assert_untold(&kit, &error);
}

#[test]
fn a_signed_place_of_an_upload_is_not_told() {
    type Fault = fn(Rule) -> Rule;
    let faults: [Fault; 4] =
        [|rule| rule.status(503), |rule| rule.status(403), Rule::drop_before_answer, Rule::wrong_digest_header];
    let mut failed = 0;
    for fault in faults {
        let (registry, kit) = (Registry::builder().location_query("signature=secret").start(), Kit::new());
        registry.fail(fault(Rule::on("PUT", UPLOADS).times(1000)));
        registry.fail(fault(Rule::on("GET", UPLOADS).times(1000)));
        // What is stored without an answer is found.
        registry.fail(Rule::on("HEAD", "/blobs/").status(404).times(1000));
        for sent in [kit.push(registry.host(), b"a blob").map(drop), kit.stream(registry.host(), b"b").map(drop)] {
            if let Err(error) = sent {
                failed += 1;
                assert_untold(&kit, &error);
            }
        }
    }
    assert!(failed >= 4, "{failed}");
}

#[test]
fn credentials_do_not_go_to_another_server() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").start();
        home.login(registry.host(), "user", "password");
        let basic = Registry::builder().basic("user", "password").start();
        let text = format!("server = \"http://{}\"\n", basic.host());
        home.hosts_toml(registry.host(), &text);
        put_manifest(&basic, "1.0");
        let error = Kit::new().pull(registry.host()).resolve("1.0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{}", error.with_causes());
        let requests = basic.requests();
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|request| request.authorization().is_none()), "{requests:?}");
    });
}

#[test]
fn a_server_that_is_the_registry_has_its_credentials() {
    isolated(|home| {
        let registry = Registry::builder().basic("user", "password").start();
        home.login(registry.host(), "user", "password");
        home.hosts_toml(registry.host(), &format!("server = \"http://{}\"\n", registry.host()));
        let expected = put_manifest(&registry, "1.0").0;
        assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), expected);
    });
}

#[test]
fn a_server_may_have_settings_of_its_own() {
    isolated(|home| {
        let registry = Registry::start();
        let text = format!(
            "server = \"http://{}\"\nskip_verify = true\ncapabilities = [\"pull\", \"resolve\"]\n[header]\nX-Team = \"one\"\n",
            registry.host()
        );
        home.hosts_toml(registry.host(), &text);
        let expected = put_manifest(&registry, "1.0").0;
        assert_eq!(Kit::new().pull(registry.host()).resolve("1.0").unwrap(), expected);
        let asked =
            matching(&registry, "HEAD", "/manifests/").into_iter().chain(matching(&registry, "GET", "/manifests/"));
        assert!(asked.into_iter().all(|request| request.header("x-team") == Some("one")));
    });
}

/// Authorities are read for every host, so one that is none shows that it was found.
#[test]
fn a_directory_without_certificates_does_not_hide_another_one() {
    isolated(|home| {
        let registry = Registry::start();
        home.hosts_toml(registry.host(), "");
        home.write(&format!("config/docker/certs.d/{}/ca.crt", registry.host()), "no certificate");
        let error = Kit::new().push(registry.host(), b"a blob").unwrap_err();
        assert!(error.with_causes().contains("docker/certs.d"), "{}", error.with_causes());
    });
}

#[test]
fn a_token_that_is_waited_for_holds_up_nobody_who_has_one() {
    isolated(|home| {
        let registry = Registry::builder().tokens(TokenOptions::default()).start();
        home.login(registry.host(), "user", "password");
        let kit = Kit::new();
        kit.push(registry.host(), b"one").unwrap();
        registry.fail(Rule::on("GET", "team/other").status(429).header("Retry-After", "100").times(1000));
        let waiting = Kit { pusher: kit.client.pusher(), client: kit.client.clone(), ..Kit::new() };
        let other = waiting.session(registry.host(), "team/other");
        thread::scope(|scope| {
            let asking = scope.spawn(|| waiting.push_to(&other, b"three", &[]));
            until(|| !waiting.notes.warnings().is_empty());
            let since = Instant::now();
            let pushed = kit.push(registry.host(), b"two");
            waiting.cancel.cancel();
            assert_eq!(asking.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            pushed.unwrap();
            assert!(since.elapsed() < Duration::from_secs(30), "it took {:?}", since.elapsed());
        });
        assert_blob(&registry, b"two");
    });
}

/// A token for the repository of most tests, as the registry gives it.
fn token(registry: &Registry) -> String {
    let mut stream = TcpStream::connect(registry.address()).unwrap();
    let user = STANDARD.encode("user:password");
    let path = format!("/token?service=test&scope=repository:{REPOSITORY}:pull,push");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {user}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split('"').find(|part| part.starts_with("opaque.")).unwrap().to_owned()
}

#[test]
fn the_life_of_a_token_may_be_written_in_any_way() {
    isolated(|home| {
        for life in ["18446744073709551615", "1e300", "299.5", "\"300\"", "\"soon\"", "-1", "0", "null", "[]"] {
            let registry = Registry::builder().tokens(TokenOptions::default()).start();
            home.login(registry.host(), "user", "password");
            let body = format!(r#"{{"token":"{}","expires_in":{life}}}"#, token(&registry));
            registry.fail(Rule::on("GET", "/token").body(&body).times(1000));
            registry.clear_requests();
            let kit = Kit::new();
            for blob in [b"one", b"two"] {
                kit.push(registry.host(), blob).unwrap();
                assert_blob(&registry, blob);
            }
            assert_eq!(count(&registry, "GET", "/token"), 1, "{life}");
        }
    });
}
