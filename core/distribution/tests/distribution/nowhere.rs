//! Registries that do not exist: no attempt after the first.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use longshore_oci::{Error, ErrorKind};

use crate::kit::*;

/// Pulls from and pushes to a host that cannot answer.
#[track_caller]
fn fail(host: &str, connect: Duration) -> Vec<Error> {
    let kit = Kit::with(options(LONG.with_connect(connect), 4));
    let since = Instant::now();
    let errors = vec![kit.pull(host).resolve("1.0").unwrap_err(), kit.push(host, b"a blob").unwrap_err()];
    assert!(since.elapsed() < Duration::from_secs(15), "it took {:?}", since.elapsed());
    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
        assert!(error.hint().is_some_and(|hint| hint.contains("check the name")), "{error:?}");
    }
    assert_eq!(kit.notes.warnings(), Vec::<String>::new(), "nothing is tried again");
    errors
}

#[test]
fn a_host_that_has_no_address_fails_with_the_first_attempt() {
    for host in ["registry.invalid", "registry.invalid:5000"] {
        for error in fail(host, Duration::from_secs(5)) {
            let said = error.with_causes();
            assert!(said.contains("no such host") || said.contains("connection timed out"), "{said}");
            assert!(said.contains("registry.invalid"), "{said}");
        }
    }
}

#[test]
fn a_host_that_takes_no_connections_fails_with_the_first_attempt() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for error in fail(&free, Duration::from_secs(5)) {
        assert!(error.with_causes().contains("refused"), "{}", error.with_causes());
    }
}
