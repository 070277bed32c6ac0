//! One JSON object per line: docs/progress.md.

use std::time::Instant;

use longshore_core::{Event, ProgressSink, Response};
use serde_json::{Value, json};

use super::Display;
use crate::report;
use crate::stderr::say;

pub(super) struct Json {
    began: Instant,
}

impl Json {
    /// Begins, and has errors reported in the same form.
    pub(super) fn start() -> Self {
        report::as_json();
        Self { began: Instant::now() }
    }

    fn say(&self, mut event: Value) {
        event["ms"] = json!(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
        say(&format!("{event}\n"));
    }
}

impl ProgressSink for Json {
    fn send(&self, event: Event) {
        if let Ok(event) = serde_json::to_value(&event) {
            self.say(event);
        }
    }
}

impl Display for Json {
    fn summary(&self, responses: &[Response]) {
        for response in responses {
            self.say(json!({"event": "exported", "response": response}));
        }
    }
}
