//! The warnings of a run.

use std::sync::Arc;

use longshore_core::{Event, Progress, ProgressSink, Work};
use parking_lot::Mutex;

/// Keeps the warnings that are reported to it.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    /// Returns work that reports, and the warnings that it reports.
    pub fn listen() -> (Work, Arc<Self>) {
        let warnings = Arc::new(Self::default());
        (Work::default().with_progress(Progress::new(warnings.clone())), warnings)
    }

    /// Returns the messages so far, in order.
    pub fn messages(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

impl ProgressSink for Warnings {
    fn send(&self, event: Event) {
        if let Event::Warning { message } = event {
            self.0.lock().push(message);
        }
    }
}
