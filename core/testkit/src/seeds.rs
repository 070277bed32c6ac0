//! How long tests of random inputs go on.

use std::time::{Duration, Instant};

/// Returns the seeds of random inputs: the first is always the same, more follow until `$LONGSHORE_FUZZ` seconds have
/// passed. A failure is repeated with its seed, so a test says it.
///
/// # Panics
/// The variable is not a number.
pub fn seeds(first: u64) -> impl Iterator<Item = u64> {
    let seconds = std::env::var("LONGSHORE_FUZZ").map_or(0, |text| text.parse().expect("LONGSHORE_FUZZ is a number"));
    let start = Instant::now();
    (first..)
        .enumerate()
        .take_while(move |(at, _)| *at == 0 || start.elapsed() < Duration::from_secs(seconds))
        .map(|(_, seed)| seed)
}
