//! Limits on how long a peer may keep us waiting.

use std::time::Duration;

/// How long a registry may be silent, and how slow it may be.
///
/// Each limit holds for registries, token servers and the hosts that registries lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Time until there is a connection, and until the address of a name is known.
    pub connect: Duration,
    /// Time between two pieces of a body, in either direction. A transfer without a byte for so long has
    /// stalled, and is resumed like one whose connection broke.
    pub idle: Duration,
    /// Time from the end of a request until the whole head of the response has arrived, interim responses (1xx)
    /// included, where the request carried no blob.
    pub answer: Duration,
    /// The same where the request carried or closes a blob: a registry may move and hash the blob meanwhile.
    pub commit: Duration,
    /// Bytes per second at which a registry is expected to move and hash a blob: [`commit`](Self::commit) is
    /// extended by one second for each so many bytes.
    pub commit_rate: u64,
    /// Time for the body of an error response; what has arrived by then is shown.
    pub error_body: Duration,
    /// Interim responses (1xx) to one request.
    pub interim: u32,
    /// Bytes per second below which a transfer is slow.
    pub slow: u64,
    /// The time over which the speed of a transfer is measured. A transfer that was slow for so long is reported.
    pub slow_after: Duration,
    /// Time in which a slow transfer must be able to finish at its speed. One that cannot is ended.
    pub slow_finish: Duration,
}

impl Timeouts {
    /// The limits of [`default`](Self::default), for constants.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        answer: Duration::from_secs(60),
        commit: Duration::from_secs(60),
        commit_rate: 8 << 20,
        error_body: Duration::from_secs(5),
        interim: 16,
        slow: 4 << 10,
        slow_after: Duration::from_secs(120),
        slow_finish: Duration::from_secs(3600),
    };

    /// Sets the time until there is a connection.
    #[must_use]
    pub const fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Sets the time between two pieces of a body.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the time until the head of a response to a request that carried no blob.
    #[must_use]
    pub const fn with_answer(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }

    /// Sets the time until the head of a response to a request that carried or closed a blob.
    #[must_use]
    pub const fn with_commit(mut self, commit: Duration) -> Self {
        self.commit = commit;
        self
    }

    /// Sets the bytes per second at which a registry is expected to move and hash a blob.
    #[must_use]
    pub const fn with_commit_rate(mut self, commit_rate: u64) -> Self {
        self.commit_rate = commit_rate;
        self
    }

    /// Sets the time for the body of an error response.
    #[must_use]
    pub const fn with_error_body(mut self, error_body: Duration) -> Self {
        self.error_body = error_body;
        self
    }

    /// Sets the number of interim responses (1xx) to one request.
    #[must_use]
    pub const fn with_interim(mut self, interim: u32) -> Self {
        self.interim = interim;
        self
    }

    /// Sets the bytes per second below which a transfer is slow.
    #[must_use]
    pub const fn with_slow(mut self, slow: u64) -> Self {
        self.slow = slow;
        self
    }

    /// Sets the time over which the speed of a transfer is measured.
    #[must_use]
    pub const fn with_slow_after(mut self, slow_after: Duration) -> Self {
        self.slow_after = slow_after;
        self
    }

    /// Sets the time in which a slow transfer must be able to finish.
    #[must_use]
    pub const fn with_slow_finish(mut self, slow_finish: Duration) -> Self {
        self.slow_finish = slow_finish;
        self
    }

    /// Returns the time limit for the response head of a request with so many bytes.
    pub(super) fn settling(&self, bytes: u64) -> Duration {
        if bytes == 0 {
            return self.answer;
        }
        let extra = bytes.checked_div(self.commit_rate).unwrap_or_default();
        self.commit.max(self.answer).saturating_add(Duration::from_secs(extra))
    }
}

impl Default for Timeouts {
    /// Returns limits that a working registry on a slow line stays within: one minute of silence, 4 KiB/s.
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_for_an_answer_grows_with_what_was_sent() {
        let limits = Timeouts { commit_rate: 1 << 20, ..Timeouts::DEFAULT };
        assert_eq!(limits.settling(0), Duration::from_secs(60));
        assert_eq!(limits.settling(1000), Duration::from_secs(60));
        assert_eq!(limits.settling(3 << 30), Duration::from_secs(60 + 3072));
        assert_eq!(Timeouts { commit_rate: 0, ..limits }.settling(3 << 30), Duration::from_secs(60));
    }
}
