//! Points that are tried on all processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many points of each kind are tried: as `LONGSHORE_FAULTS` says, or `usual`.
pub fn wanted(usual: usize) -> usize {
    std::env::var("LONGSHORE_FAULTS").map_or(usual, |value| value.parse().expect("LONGSHORE_FAULTS is a number"))
}

/// `wanted` numbers below `all`, evenly spread.
pub fn spread(all: usize, wanted: usize) -> impl Iterator<Item = usize> {
    let step = all.div_ceil(wanted).max(1);
    (step / 2..all).step_by(step)
}

/// What `check` finds at each of `points`, in their order.
pub fn check_all<P: Sync, F: Send>(points: &[P], check: impl Fn(&P) -> F + Sync) -> Vec<F> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |threads| threads.get()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(point) = points.get(at) else { break };
                    let result = check(point);
                    found.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, found)| found).collect()
}
