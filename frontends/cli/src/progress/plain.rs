//! One line per step, for logs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use longshore_core::{Event, Outcome, ProgressSink};
use parking_lot::Mutex;

use super::Display;
use crate::stderr::say;

/// How long a step may go on before it is said again.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Plain {
    tasks: Mutex<HashMap<u64, Running>>,
}

struct Running {
    name: String,
    bytes: u64,
    total: Option<u64>,
    began: Instant,
    said: Instant,
}

impl Running {
    fn new(name: String, total: Option<u64>, now: Instant) -> Self {
        Self { name, bytes: 0, total, began: now, said: now }
    }

    /// Adds bytes; returns the line to say, if it is time.
    fn advance(&mut self, bytes: u64, now: Instant) -> Option<String> {
        self.bytes += bytes;
        if now.duration_since(self.said) < SILENCE {
            return None;
        }
        self.said = now;
        let of = self.total.map(|total| format!(" of {}", HumanBytes(total))).unwrap_or_default();
        let seconds = now.duration_since(self.began).as_secs();
        Some(line(&self.name, &format!("{}{of} so far, {seconds} s", HumanBytes(self.bytes)), ""))
    }
}

impl ProgressSink for Plain {
    fn send(&self, event: Event) {
        let mut tasks = self.tasks.lock();
        match event {
            Event::Started { task, name, total } => {
                tasks.insert(task, Running::new(name, total, Instant::now()));
            }
            Event::Advanced { task, bytes } => {
                let running = tasks.get_mut(&task);
                running.and_then(|running| running.advance(bytes, Instant::now())).iter().for_each(|line| say(line));
            }
            Event::Finished { task, outcome } => {
                let Some(Running { name, bytes, .. }) = tasks.remove(&task) else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_every_ten_seconds() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut running = Running::new("layer tree".to_owned(), Some(4096), began);
        let said: Vec<_> =
            [1, 9, 10, 12, 19, 21].map(|at| running.advance(100, after(at))).into_iter().flatten().collect();
        let expected = ["layer tree  300 B of 4.00 KiB so far, 10 s\n", "layer tree  600 B of 4.00 KiB so far, 21 s\n"];
        assert_eq!(said, expected);
    }
}
