//! Progress: one stream of events for terminals, JSON output and programs that embed Longshore.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A progress event. Byte counts refer to the bytes named by the task, not to bytes written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A task began.
    Started {
        /// Its number, unique in this run.
        task: u64,
        /// What it does, such as `layer rootfs:/srv/tree`.
        name: String,
        /// Total bytes to process, if known.
        total: Option<u64>,
    },
    /// A task processed more bytes.
    Advanced {
        /// Its number.
        task: u64,
        /// How many bytes since the last event.
        bytes: u64,
    },
    /// A task ended.
    Finished {
        /// Its number.
        task: u64,
        /// Its outcome.
        outcome: Outcome,
    },
    /// A warning for the user; the run continues.
    Warning {
        /// One line.
        message: String,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, with its result, such as a digest.
    Done(String),
    /// Skipped, as its result already existed.
    Skipped(String),
    /// Dropped before it was done: an error, or a cancelled run.
    Failed,
}

/// A receiver of events. It is called from many threads and should return immediately.
pub trait ProgressSink: Send + Sync {
    /// Takes one event.
    fn send(&self, event: Event);
}

/// Creates tasks. Clones report to the same sink.
#[derive(Clone)]
pub struct Progress {
    sink: Arc<dyn ProgressSink>,
    next: Arc<AtomicU64>,
    /// The kinds of warnings already given.
    warned: Arc<Mutex<HashSet<String>>>,
}

impl Progress {
    /// Reports to `sink`.
    pub fn new(sink: Arc<dyn ProgressSink>) -> Self {
        Self { sink, next: Arc::default(), warned: Arc::default() }
    }

    /// Creates a progress without a sink.
    pub fn silent() -> Self {
        struct Silent;
        impl ProgressSink for Silent {
            fn send(&self, _: Event) {}
        }
        Self::new(Arc::new(Silent))
    }

    /// Begins a task of `total` bytes, if known.
    pub fn task(&self, name: impl Into<String>, total: Option<u64>) -> Task {
        let task = self.next.fetch_add(1, Ordering::Relaxed);
        self.sink.send(Event::Started { task, name: name.into(), total });
        Task { sink: self.sink.clone(), task, ended: false }
    }

    /// Shows a warning to the user.
    pub fn warn(&self, message: impl Into<String>) {
        self.sink.send(Event::Warning { message: message.into() });
    }

    /// Shows a warning unless one of the same `kind` was shown before, by any clone.
    pub fn warn_once(&self, kind: &str, message: impl FnOnce() -> String) {
        if self.warned.lock().insert(kind.to_owned()) {
            self.warn(message());
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::silent()
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

/// A running task. Dropping it reports a failure, so no error path can forget to.
#[must_use = "a task that is dropped has failed"]
pub struct Task {
    sink: Arc<dyn ProgressSink>,
    task: u64,
    ended: bool,
}

impl Task {
    /// Reports that `bytes` more were processed.
    pub fn advance(&self, bytes: u64) {
        self.sink.send(Event::Advanced { task: self.task, bytes });
    }

    /// Ends the task with its result.
    pub fn done(self, result: impl Into<String>) {
        self.end(Outcome::Done(result.into()));
    }

    /// Ends the task, whose result already existed.
    pub fn skipped(self, reason: impl Into<String>) {
        self.end(Outcome::Skipped(reason.into()));
    }

    fn end(mut self, outcome: Outcome) {
        self.ended = true;
        self.sink.send(Event::Finished { task: self.task, outcome });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.ended {
            self.sink.send(Event::Finished { task: self.task, outcome: Outcome::Failed });
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("task", &self.task).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_warning_is_given_once() {
        #[derive(Default)]
        struct Messages(Mutex<Vec<Event>>);
        impl ProgressSink for Messages {
            fn send(&self, event: Event) {
                self.0.lock().push(event);
            }
        }
        let messages = Arc::new(Messages::default());
        let progress = Progress::new(messages.clone());
        for (kind, message) in [("a", "1"), ("b", "2"), ("a", "3")] {
            progress.clone().warn_once(kind, || message.to_owned());
        }
        let warning = |message: &str| Event::Warning { message: message.to_owned() };
        assert_eq!(*messages.0.lock(), [warning("1"), warning("2")]);
    }
}
