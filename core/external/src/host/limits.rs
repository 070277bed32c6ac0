//! How long a plugin may take.

use std::time::Duration;

/// Limits on plugins, so that none holds up a run for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time for an answer to `hello`, `describe` and `resolve`.
    pub answer: Duration,
    /// Time without a message during `export`, `publish` and `build`.
    pub silence: Duration,
    /// Time to end after `cancel`, `discard`, and after the last answer; then the plugin is killed.
    pub grace: Duration,
}

impl Default for Limits {
    /// Returns 10 seconds for an answer, 10 minutes of silence, 5 seconds to end.
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), silence: Duration::from_secs(600), grace: Duration::from_secs(5) }
    }
}

impl Limits {
    /// Sets the time for an answer.
    #[must_use]
    pub fn with_answer(self, answer: Duration) -> Self {
        Self { answer, ..self }
    }

    /// Sets the time without a message.
    #[must_use]
    pub fn with_silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Sets the time to end.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}
