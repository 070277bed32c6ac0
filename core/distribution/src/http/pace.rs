//! The speed of a transfer, and when it is too slow to wait for.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use longshore_content::Progress;
use longshore_oci::{Error, ErrorKind};

use super::{Failure, Reason, Timeouts};

/// Measures one transfer, across all of its connections.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: Timeouts,
    /// Bytes and waiting time since the speed was last checked.
    bytes: u64,
    time: Duration,
    /// How long the transfer has been continuously slow.
    slow: Duration,
    is_said: bool,
}

impl Pace {
    pub(crate) fn new(limits: Timeouts) -> Self {
        Self { limits, bytes: 0, time: Duration::ZERO, slow: Duration::ZERO, is_said: false }
    }

    /// Counts `bytes` that took the peer `time`. `left` bytes are to follow, if known.
    /// Reports a transfer that has become slow to `progress`, once.
    ///
    /// # Errors
    /// Fails if the transfer is slow and cannot finish in time at its speed.
    pub(crate) fn moved(
        &mut self,
        bytes: u64,
        time: Duration,
        left: Option<u64>,
        what: &str,
        progress: &Progress,
    ) -> Result<(), Failure> {
        self.bytes += bytes;
        self.time += time;
        if self.time < self.limits.slow_after || self.time.is_zero() {
            return Ok(());
        }
        let (bytes, time) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.time));
        if bytes as f64 >= self.limits.slow as f64 * time.as_secs_f64() {
            self.slow = Duration::ZERO;
            return Ok(());
        }
        self.slow += time;
        let speed = format!("{what}: {bytes} bytes in {} s", time.as_secs_f64().round());
        if !self.can_finish(bytes, time, left) {
            let limit = self.limits.slow_finish.as_secs();
            let error = Error::new(ErrorKind::Unavailable, format!("{speed}, too slow to finish within {limit} s"));
            let error = error.with_hint("check the network, and whether the registry is overloaded").retryable();
            return Err(Failure::because(Reason::Slow, error));
        }
        if !std::mem::replace(&mut self.is_said, true) {
            progress.warn(format!("{speed}, which is slow"));
        }
        Ok(())
    }

    fn can_finish(&self, bytes: u64, time: Duration, left: Option<u64>) -> bool {
        let limit = self.limits.slow_finish;
        match left {
            Some(left) => left as f64 * time.as_secs_f64() <= limit.as_secs_f64() * bytes as f64,
            None => self.slow <= limit,
        }
    }
}

/// A request body. Measures how long the peer takes to accept it, not how long producing it takes.
pub(crate) struct Outgoing<'a> {
    reader: &'a mut dyn Read,
    pace: &'a mut Pace,
    /// The bytes being sent, and since when.
    given: Option<(u64, Instant)>,
    /// Bytes of the transfer still to follow, if known.
    left: Option<u64>,
    what: &'a str,
    progress: &'a Progress,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(
        reader: &'a mut dyn Read,
        pace: &'a mut Pace,
        left: Option<u64>,
        what: &'a str,
        progress: &'a Progress,
    ) -> Self {
        Self { reader, pace, given: None, left, what, progress }
    }
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((bytes, since)) = self.given.take() {
            let moved = self.pace.moved(bytes, since.elapsed(), self.left, self.what, self.progress);
            moved.map_err(Failure::into_error)?;
        }
        let count = self.reader.read(buffer)?;
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        self.given = Some((count as u64, Instant::now()));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Timeouts = Timeouts {
        slow: 1000,
        slow_after: Duration::from_secs(10),
        slow_finish: Duration::from_secs(100),
        ..Timeouts::DEFAULT
    };

    fn second(pace: &mut Pace, bytes: u64, left: Option<u64>) -> Result<(), Failure> {
        pace.moved(bytes, Duration::from_secs(1), left, "a blob", &Progress::default())
    }

    #[test]
    fn what_is_slow_but_ends_soon_is_waited_for() {
        let mut pace = Pace::new(LIMITS);
        for at in 0..50 {
            second(&mut pace, 100, Some(5000 - at * 100)).unwrap();
        }
        assert!(pace.is_said);
    }

    #[test]
    fn what_cannot_end_in_time_is_ended() {
        for left in [Some(1 << 20), None] {
            let mut pace = Pace::new(LIMITS);
            let ended = (0..1000).find_map(|at| second(&mut pace, 3, left).err().map(|failure| (at, failure)));
            let (at, failure) = ended.unwrap();
            assert_eq!(failure.reason, Reason::Slow);
            assert_eq!(at, if left.is_some() { 9 } else { 109 });
            assert!(failure.error().message().starts_with("a blob: 30 bytes in 10 s"), "{}", failure.error());
        }
    }

    #[test]
    fn speed_is_that_of_the_time_before() {
        let mut pace = Pace::new(LIMITS);
        // Long pauses between fast parts are no slow transfer.
        for _ in 0..10 {
            second(&mut pace, 10_000, None).unwrap();
            (0..9).for_each(|_| second(&mut pace, 0, None).unwrap());
        }
        assert!(!pace.is_said);
    }
}
