//! Every command that writes, with the power cut before each of its system calls that change something, and after its
//! end: what was not flushed by then is lost.
//!
//! By default a few points of each command are tried; `LONGSHORE_FAULTS=N` tries N of each, and `docs/reliability.md` has
//! the figures of such a run, and what the replay does not cover.

#![cfg(target_arch = "x86_64")]
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "faults/figures.rs"]
mod figures;
#[path = "faults/medium.rs"]
mod medium;
#[path = "faults/points.rs"]
mod points;
#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/scenarios.rs"]
mod scenarios;
#[path = "faults/trace.rs"]
mod trace;

use figures::Figures;
use medium::{Cut, Medium};
use points::{check_all, spread, wanted};
use scenario::{Place, Prepared};
use scenarios::{SCENARIOS, Scenario};
use trace::Fault;

/// How many points of each scenario are tried, besides the end, unless `LONGSHORE_FAULTS` says.
const POINTS: usize = 1;

const CUTS: [Cut; 3] = [Cut::Strict, Cut::Names, Cut::Half];

/// Cuts of the power during one run of a command.
struct Point<'a> {
    prepared: &'a Prepared,
    /// The call before which they come; none for the end.
    at: usize,
}

impl Point<'_> {
    /// What is wrong after each cut; `None` if the command ended before the call.
    fn check(&self) -> Option<Vec<(Cut, Vec<String>)>> {
        let Self { prepared, at } = *self;
        let place = prepared.fresh();
        let mut medium = Medium::new(&place.root());
        let traced = prepared.follow(&place, Fault::Kill, at, &mut medium);
        if traced.hit.is_none() && at != usize::MAX {
            return None;
        }
        let when = traced.hit.map_or("the end".to_owned(), |call| format!("{at} (call {call})"));
        let check = |cut: Cut| {
            let left = Place::new();
            medium.replay(cut, &left.root());
            let of = |problem: String| format!("{}, {cut} at {when}: {problem}", prepared.scenario.name);
            (cut, prepared.problems(&left, traced.code, &traced.stderr).into_iter().map(of).collect())
        };
        Some(CUTS.map(check).into())
    }
}

#[test]
fn what_a_command_said_is_done_survives_a_power_cut() {
    let wanted = wanted(POINTS);
    // What a registry has is on no medium of this machine.
    let scenarios: Vec<&'static Scenario> = SCENARIOS.iter().filter(|scenario| scenario.pushed.is_none()).collect();
    let prepared = check_all(&scenarios, |scenario| Prepared::new(scenario));
    let calls = check_all(&prepared, |prepared| prepared.calls(Fault::Kill));
    let points = prepared
        .iter()
        .zip(calls)
        .flat_map(|(prepared, calls)| spread(calls, wanted).chain([usize::MAX]).map(move |at| Point { prepared, at }));
    let points: Vec<Point<'_>> = points.collect();
    let found = check_all(&points, Point::check);
    let mut figures = Figures::new("power loss", ["scenario", "medium"]);
    let mut problems = Vec::new();
    for (point, found) in points.iter().zip(found) {
        for (cut, found) in found.into_iter().flatten() {
            figures.add([point.prepared.scenario.name.to_owned(), cut.to_string()], found.len());
            problems.extend(found);
        }
    }
    let tried = figures.tried();
    println!("{tried} states, {} problems", problems.len());
    assert!(tried * 10 >= points.len() * CUTS.len() * 9, "{tried} states of {} points", points.len());
    figures.write();
    assert!(problems.is_empty(), "{} problems in {tried} states:\n{}", problems.len(), problems.join("\n"));
}
