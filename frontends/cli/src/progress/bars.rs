//! One bar per task, for terminals.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use longshore_core::{Event, Outcome, ProgressSink};
use parking_lot::Mutex;

use super::Display;

#[derive(Default)]
pub(super) struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<u64, ProgressBar>>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Bars {
    fn bar(name: String, total: Option<u64>) -> ProgressBar {
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(style("{wide_msg} {bar:20} {bytes:>10}/{total_bytes:>10} {bytes_per_sec:>12}")),
            None => {
                ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {bytes:>10} {bytes_per_sec:>12}"))
            }
        };
        bar.with_message(name)
    }
}

impl ProgressSink for Bars {
    fn send(&self, event: Event) {
        let mut bars = self.bars.lock();
        match event {
            Event::Started { task, name, total } => {
                let bar = self.all.add(Self::bar(name, total));
                bar.enable_steady_tick(Duration::from_millis(200));
                bars.insert(task, bar);
            }
            Event::Advanced { task, bytes } => {
                if let Some(bar) = bars.get(&task) {
                    bar.inc(bytes);
                }
            }
            Event::Finished { task, outcome } => {
                let Some(bar) = bars.remove(&task) else { return };
                match outcome {
                    Outcome::Done(_) => bar.finish(),
                    Outcome::Skipped(reason) => {
                        let name = bar.message();
                        bar.finish_with_message(format!("{name} ({reason})"));
                    }
                    Outcome::Failed => bar.abandon(),
                }
            }
            Event::Warning { message } => {
                let _ = self.all.println(format!("warning: {message}"));
            }
            _ => {}
        }
    }
}

impl Display for Bars {
    fn finish(&self) {
        let mut bars = self.bars.lock();
        bars.drain().for_each(|(_, bar)| bar.abandon());
        // The summary or the error reports the result.
        let _ = self.all.clear();
    }
}
