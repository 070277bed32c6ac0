//! One line per step, for logs.

use std::collections::HashMap;

use indicatif::HumanBytes;
use longshore_core::{Event, Outcome, ProgressSink};
use parking_lot::Mutex;

use super::Display;
use crate::stderr::say;

#[derive(Default)]
pub(super) struct Plain {
    tasks: Mutex<HashMap<u64, (String, u64)>>,
}

impl ProgressSink for Plain {
    fn send(&self, event: Event) {
        let mut tasks = self.tasks.lock();
        match event {
            Event::Started { task, name, .. } => {
                tasks.insert(task, (name, 0));
            }
            Event::Advanced { task, bytes } => {
                if let Some((_, done)) = tasks.get_mut(&task) {
                    *done += bytes;
                }
            }
            Event::Finished { task, outcome } => {
                let Some((name, bytes)) = tasks.remove(&task) else { return };
                match outcome {
                    Outcome::Done(result) => {
                        // A task without bytes, such as a tag, does not show any.
                        let bytes = if bytes > 0 { HumanBytes(bytes).to_string() } else { String::new() };
                        say(&line(&name, &bytes, &result));
                    }
                    Outcome::Skipped(reason) => say(&line(&name, &reason, "")),
                    // The error is reported separately.
                    Outcome::Failed => {}
                }
            }
            Event::Warning { message } => say(&format!("warning: {message}\n")),
            _ => {}
        }
    }
}

fn line(name: &str, how: &str, result: &str) -> String {
    [name, how, result].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ") + "\n"
}

impl Display for Plain {}
