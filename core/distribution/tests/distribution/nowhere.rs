//! Registries that do not exist: no attempt after the first.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
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

/// A socket that listens, and whose queue is full: the system drops what would connect, as a firewall does.
struct Deaf {
    process: Child,
    address: String,
    _queue: Vec<TcpStream>,
}

impl Deaf {
    /// `None` without Python, which can listen with the shortest queue.
    fn start() -> Option<Self> {
        const SCRIPT: &str = "import socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen(0)\n\
                              print('%s:%d' % s.getsockname(), flush=True)\nsys.stdin.read()";
        let mut command = Command::new("python3");
        let command = command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut process) = command.spawn() else {
            assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "python3 is not installed");
            eprintln!("skipped: python3 is not installed");
            return None;
        };
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let socket = address.trim().parse().unwrap();
        let connect = |_: &u32| TcpStream::connect_timeout(&socket, Duration::from_millis(200)).ok();
        let queue = (0..8).map_while(|at| connect(&at)).collect();
        Some(Self { process, address: address.trim().to_owned(), _queue: queue })
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

#[test]
fn a_host_that_does_not_answer_fails_with_the_first_attempt() {
    let Some(deaf) = Deaf::start() else { return };
    for error in fail(&deaf.address, Duration::from_secs(1)) {
        assert!(error.with_causes().contains("connection timed out"), "{}", error.with_causes());
    }
}
