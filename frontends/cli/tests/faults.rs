//! Every command that writes, killed before each of its system calls that change something, or failed there.
//!
//! Calls are counted over all threads of a command together. By default a few points of each command and fault are tried;
//! `LONGSHORE_FAULTS=N` tries N of each, and `docs/reliability.md` has the figures of such a run.

#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/trace.rs"]
mod trace;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc;
use scenario::{Prepared, SCENARIOS, program, words};
use trace::{Fault, run};

const FAULTS: [Fault; 5] = [
    Fault::Kill,
    Fault::Fail(libc::ENOSPC),
    Fault::Fail(libc::EIO),
    Fault::Fail(libc::EMFILE),
    Fault::Fail(libc::EINTR),
];

/// How many points of each scenario and fault are tried, unless `LONGSHORE_FAULTS` says.
const POINTS: usize = 2;

/// One run of a command.
struct Point<'a> {
    prepared: &'a Prepared,
    fault: Fault,
    at: usize,
}

impl Point<'_> {
    /// What is wrong after it; `None` if the command ended before the call.
    fn check(&self) -> Option<Vec<String>> {
        let Self { prepared, fault, at } = *self;
        let (_place, root) = prepared.fresh();
        let arguments = words(prepared.scenario.command);
        let traced = run(program(), &arguments, &root, &root.join("store"), fault, at);
        let call = traced.hit?;
        let of = |problem: String| format!("{}, {fault} at {at} (call {call}): {problem}", prepared.scenario.name);
        Some(prepared.problems(&root, traced.code, &traced.stderr).into_iter().map(of).collect())
    }
}

/// How many calls of a command a fault can befall.
fn calls(prepared: &Prepared, fault: Fault) -> usize {
    let (_place, root) = prepared.fresh();
    let arguments = words(prepared.scenario.command);
    let traced = run(program(), &arguments, &root, &root.join("store"), fault, usize::MAX);
    assert_eq!(traced.code, Some(0), "{}: {}", prepared.scenario.name, traced.stderr);
    traced.calls
}

#[test]
fn commands_survive_every_fault() {
    let wanted = std::env::var("LONGSHORE_FAULTS").map_or(POINTS, |value| value.parse().unwrap());
    let prepared: Vec<Prepared> = SCENARIOS.iter().map(Prepared::new).collect();
    let mut points = Vec::new();
    for prepared in &prepared {
        for fault in FAULTS {
            let calls = calls(prepared, fault);
            let step = calls.div_ceil(wanted).max(1);
            points.extend((step / 2..calls).step_by(step).map(|at| Point { prepared, fault, at }));
        }
    }
    let (next, tried, problems) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |threads| threads.get()) {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(found) = point.check() {
                        tried.fetch_add(1, Ordering::Relaxed);
                        problems.lock().unwrap().extend(found);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    let tried = tried.into_inner();
    println!("{tried} points, {} problems", problems.len());
    assert!(tried * 10 >= points.len() * 9, "{tried} of {} points were reached", points.len());
    assert!(problems.is_empty(), "{} problems in {tried} points:\n{}", problems.len(), problems.join("\n"));
}
