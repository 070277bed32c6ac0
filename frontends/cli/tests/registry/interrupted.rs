//! A run that waits for a registry ends when it is told to.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use longshore_testkit::registry::{Registry, Rule};
use longshore_testkit::sample::Random;
use rustix::process::{Pid, Signal, kill_process};

use super::machine::Machine;
use crate::run::heeding;

/// Sends a signal once `is_time` says so of a line of standard error. The exit code.
fn interrupted(machine: &Machine, arguments: &[&str], signal: Signal, is_time: impl Fn(&str) -> bool) -> Option<i32> {
    let mut command = heeding(&machine.command(arguments));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let is_found = lines.any(|line| is_time(&line));
    let code = stopped(&mut child, signal);
    assert!(is_found, "it ended before, with {code:?}");
    code
}

/// Sends a signal, after which the process must end soon. The exit code.
fn stopped(child: &mut Child, signal: Signal) -> Option<i32> {
    let begun = Instant::now();
    kill_process(Pid::from_child(child), signal).unwrap();
    let code = child.wait().unwrap().code();
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    code
}

#[test]
fn a_wait_that_a_registry_asked_for_is_shown_and_ends_with_an_interrupt() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let registry = Registry::start();
        registry.fail(Rule::on("*", "/blobs/").status(429).header("Retry-After", "100").times(u32::MAX));
        let machine = Machine::new();
        let output = format!("type=registry,name={}/app:1", registry.host());
        let arguments = ["export", "rootfs:tree", "--progress=plain", "-o", &output];
        let is_wait = |line: &str| line.starts_with("warning: ") && line.contains("429") && line.contains("in 100 s");
        assert_eq!(interrupted(&machine, &arguments, signal, is_wait), Some(code));
        assert!(registry.tags("app").is_empty());
    }
}

#[test]
fn a_wait_of_a_source_ends_with_an_interrupt() {
    let registry = Registry::start();
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    machine.ok(&["export", "rootfs:tree", "-o", &format!("type=registry,name={name}")]);
    registry.fail(Rule::on("GET", "/manifests/").status(429).header("Retry-After", "100").times(u32::MAX));
    let arguments = ["export", &format!("docker://{name}"), "--progress=plain", "-o", "type=oci,dest=x.tar"];
    assert_eq!(interrupted(&machine, &arguments, Signal::INT, |line| line.contains("in 100 s")), Some(130));
    assert!(!machine.work.path("x.tar").exists());
}

#[test]
fn an_upload_that_stalls_ends_with_an_interrupt() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", "/blobs/uploads/").stall().times(u32::MAX));
    let machine = Machine::new();
    machine.work.write("big/file", Random::new(1).bytes(16 << 20));
    let output = format!("type=registry,name={}/app:1", registry.host());
    let mut command = heeding(&machine.command(&["export", "rootfs:big", "--progress=quiet", "-o", &output]));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let is_stalled = || registry.requests().iter().any(|request| request.method == "PUT");
    let until = Instant::now() + Duration::from_secs(60);
    while !is_stalled() {
        assert!(Instant::now() < until, "nothing is sent");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(stopped(&mut child, Signal::INT), Some(130));
    assert!(registry.tags("app").is_empty());
}

#[test]
fn a_registry_that_asks_for_too_much_patience_is_left() {
    let registry = Registry::start();
    registry.fail(Rule::on("HEAD", "/blobs/").status(429).header("Retry-After", "1000").times(u32::MAX));
    let machine = Machine::new();
    let output = format!("type=registry,name={}/app:1", registry.host());
    let said = ["429", "it asks to retry in 1000 s", "hint: run it again then"];
    machine.fails(&["export", "rootfs:tree", "-o", &output], 4, &said);
}
