//! Every command that writes, killed before each of its system calls that change something, or failed there.
//!
//! Calls are counted over all threads of a command together. By default a few points of each command and fault are tried;
//! `LONGSHORE_FAULTS=N` tries N of each, and `docs/reliability.md` has the figures of such a run.

#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "faults/figures.rs"]
mod figures;
#[path = "faults/points.rs"]
mod points;
#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/scenarios.rs"]
mod scenarios;
#[path = "faults/trace.rs"]
mod trace;

use figures::Figures;
use nix::libc;
use points::{check_all, spread, wanted};
use scenario::Prepared;
use scenarios::{SCENARIOS, Scenario};
use trace::Fault;

const FAULTS: [Fault; 6] = [
    Fault::Kill,
    Fault::Fail(libc::ENOSPC),
    Fault::Fail(libc::EIO),
    Fault::FailRead(libc::EIO),
    Fault::Fail(libc::EMFILE),
    Fault::Fail(libc::EINTR),
];

/// How many points of each scenario and fault are tried, unless `LONGSHORE_FAULTS` says.
const POINTS: usize = 1;

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
        let place = prepared.fresh();
        let traced = prepared.follow(&place, fault, at, &mut ());
        let call = traced.hit?;
        let of = |problem: String| format!("{}, {fault} at {at} (call {call}): {problem}", prepared.scenario.name);
        Some(prepared.problems(&place, traced.code, &traced.stderr).into_iter().map(of).collect())
    }
}

#[test]
fn commands_survive_every_fault() {
    let wanted = wanted(POINTS);
    let scenarios: Vec<&'static Scenario> = SCENARIOS.iter().collect();
    let prepared = check_all(&scenarios, |scenario| Prepared::new(scenario));
    let kinds: Vec<_> = prepared.iter().flat_map(|prepared| FAULTS.map(|fault| (prepared, fault))).collect();
    let calls = check_all(&kinds, |(prepared, fault)| prepared.calls(*fault));
    let points = kinds
        .iter()
        .zip(calls)
        .flat_map(|((prepared, fault), calls)| spread(calls, wanted).map(|at| Point { prepared, fault: *fault, at }));
    let points: Vec<Point<'_>> = points.collect();
    let found = check_all(&points, Point::check);
    let mut figures = Figures::new("faults", ["scenario", "fault"]);
    let mut problems = Vec::new();
    for (point, found) in points.iter().zip(found) {
        let Some(found) = found else { continue };
        figures.add([point.prepared.scenario.name.to_owned(), point.fault.to_string()], found.len());
        problems.extend(found);
    }
    let tried = figures.tried();
    println!("{tried} points, {} problems", problems.len());
    assert!(tried * 10 >= points.len() * 9, "{tried} of {} points were reached", points.len());
    figures.write();
    assert!(problems.is_empty(), "{} problems in {tried} points:\n{}", problems.len(), problems.join("\n"));
}
