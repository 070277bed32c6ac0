//! When to retry.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_content::{Cancel, Work};
use longshore_oci::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};

use super::Failure;

/// The retry policy: attempts and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in a row that may bring no progress.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait that we choose.
    pub longest: Duration,
    /// The longest wait that a registry may ask for.
    pub longest_asked: Duration,
}

impl RetryPolicy {
    /// Sets the attempts in a row that may bring no progress.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the wait after the first failure.
    #[must_use]
    pub fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Sets the longest wait that the client chooses.
    #[must_use]
    pub fn with_longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets the longest wait that a registry may ask for.
    #[must_use]
    pub fn with_longest_asked(mut self, longest_asked: Duration) -> Self {
        self.longest_asked = longest_asked;
        self
    }
}

impl Default for RetryPolicy {
    /// Six attempts within about 15 seconds; five minutes if a registry asks for it.
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            longest_asked: Duration::from_secs(300),
        }
    }
}

/// The attempts of one operation.
#[derive(Debug)]
pub(crate) struct Retries<'a> {
    policy: RetryPolicy,
    work: &'a Work,
    /// Attempts since the last progress.
    failed: u32,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(policy: RetryPolicy, work: &'a Work) -> Self {
        Self { policy, work, failed: 0 }
    }

    /// Continues an operation that has already failed so many times.
    pub(crate) fn after(policy: RetryPolicy, work: &'a Work, failed: u32) -> Self {
        Self { policy, work, failed }
    }

    /// Attempts since the last progress.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// Records progress: the next failure counts as the first one again.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next attempt, or fails if none is left.
    pub(crate) fn wait(&mut self, failure: Failure) -> Result<()> {
        self.work.cancel.check()?;
        if !failure.is_temporary() {
            return Err(failure.into_error());
        }
        self.failed += 1;
        if self.failed >= self.policy.attempts {
            let attempts = self.policy.attempts;
            return Err(failure.into_error().context(format!("failed after {attempts} attempts")));
        }
        let wait = match failure.retry_after {
            Some(asked) if asked > self.policy.longest_asked => return Err(too_long(failure, asked)),
            Some(asked) => asked,
            None => self.backoff(),
        };
        let (next, of) = (self.failed + 1, self.policy.attempts);
        let error = failure.into_error();
        self.work.progress.warn(format!(
            "{}: retrying in {} (attempt {next} of {of})",
            error.with_causes(),
            seconds(wait)
        ));
        sleep(wait, &self.work.cancel)
    }

    /// Between one and two times the delay, so that many clients do not retry together.
    fn backoff(&self) -> Duration {
        let doubled = self.policy.first.saturating_mul(1 << (self.failed - 1).min(16));
        let random = RandomState::new().build_hasher().finish() % 1000;
        let jittered = doubled + doubled.mul_f64(random as f64 / 1000.0);
        jittered.min(self.policy.longest)
    }
}

/// Runs `attempt` until it succeeds, fails for good, or has failed too often.
pub(crate) fn run<T>(policy: RetryPolicy, work: &Work, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let mut retries = Retries::new(policy, work);
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(failure) => retries.wait(failure)?,
        }
    }
}

fn too_long(failure: Failure, asked: Duration) -> Error {
    let error = failure.into_error();
    Error::new(ErrorKind::Unavailable, format!("{}: it asks to retry in {}", error.message(), seconds(asked)))
        .with_hint("run it again then: what was pushed is not sent again")
        .retryable()
}

fn seconds(wait: Duration) -> String {
    if wait >= Duration::from_secs(1) { format!("{} s", wait.as_secs()) } else { format!("{} ms", wait.as_millis()) }
}

/// Sleeps for `wait`, or until cancelled.
pub(crate) fn sleep(wait: Duration, cancel: &Cancel) -> Result<()> {
    let woken = Arc::new((Mutex::new(false), Condvar::new()));
    let wake = woken.clone();
    let _guard = cancel.on_cancel(move || {
        *wake.0.lock() = true;
        wake.1.notify_all();
    });
    let until = Instant::now() + wait;
    let mut is_woken = woken.0.lock();
    while !*is_woken {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        woken.1.wait_for(&mut is_woken, left);
    }
    drop(is_woken);
    cancel.check()
}
