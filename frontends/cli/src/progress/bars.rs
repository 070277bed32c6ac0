//! For terminals: a line per running step, a tick for each that is done, and one line for the whole run.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use longshore_core::{Event, Outcome, ProgressSink};
use parking_lot::Mutex;

use super::Display;

/// How many characters of a digest are shown.
const DIGEST: usize = 12;
/// Columns that what is done may take.
const COLUMNS: usize = 79;

pub(super) struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
}

struct State {
    /// The whole run: bytes of all steps.
    whole: ProgressBar,
    bars: HashMap<u64, ProgressBar>,
    done: usize,
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // Of steps of unknown length there is no part to show.
    let part = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let known = state.len().filter(|len| *len > 0);
        let _ = match known {
            Some(len) => write!(out, "{:>3}%", (state.pos().min(len) * 100) / len),
            None => write!(out, "    "),
        };
    };
    style.with_key("part", part).progress_chars("━━─")
}

impl Default for Bars {
    fn default() -> Self {
        let all = MultiProgress::new();
        let whole = all.add(ProgressBar::new(0));
        whole.set_style(style("{part} {bytes} {bytes_per_sec}, {elapsed} so far, {eta} left  {wide_msg}"));
        whole.enable_steady_tick(Duration::from_millis(200));
        Self { all, state: Mutex::new(State { whole, bars: HashMap::new(), done: 0 }) }
    }
}

impl Bars {
    fn bar(&self, state: &State, name: &str, total: Option<u64>) -> ProgressBar {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style("  {wide_msg} {bar:16} {part} {bytes:>10}")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {bytes:>10}")),
        };
        let bar = self.all.insert_before(&state.whole, bar.with_message(short(name)));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Leaves a line for what ended above those that move.
    fn say(&self, mark: char, name: &str, how: &str) {
        let room = COLUMNS.saturating_sub(3 + how.chars().count() + 1);
        let _ = self.all.println(format!("{mark} {:room$} {how}", cut(name, room)));
    }
}

/// Shortens digests.
pub(super) fn short(text: &str) -> String {
    let mut words = text.split("sha256:");
    let mut all = words.next().unwrap_or_default().to_owned();
    for word in words {
        let hex = word.bytes().take_while(u8::is_ascii_hexdigit).count();
        all += &word[..hex.min(DIGEST)];
        all += &word[hex..];
    }
    all
}

/// Cuts a text to so many characters.
fn cut(text: &str, room: usize) -> String {
    match text.chars().count() > room {
        true => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

impl ProgressSink for Bars {
    fn send(&self, event: Event) {
        let mut state = self.state.lock();
        match event {
            Event::Started { task, name, total } => {
                state.whole.inc_length(total.unwrap_or(0));
                let bar = self.bar(&state, &name, total);
                state.bars.insert(task, bar);
            }
            Event::Advanced { task, bytes } => {
                state.whole.inc(bytes);
                if let Some(bar) = state.bars.get(&task) {
                    bar.inc(bytes);
                }
            }
            Event::Finished { task, outcome } => {
                let Some(bar) = state.bars.remove(&task) else { return };
                let name = bar.message();
                let bytes = bar.position();
                bar.finish_and_clear();
                self.all.remove(&bar);
                state.done += 1;
                match outcome {
                    Outcome::Done(_) if bytes > 0 => self.say('✓', &name, &HumanBytes(bytes).to_string()),
                    Outcome::Done(_) => self.say('✓', &name, ""),
                    Outcome::Skipped(reason) => self.say('✓', &name, &short(&reason)),
                    // The error is reported at the end.
                    Outcome::Failed => self.say('✗', &name, ""),
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
        let mut state = self.state.lock();
        state.bars.drain().for_each(|(_, bar)| bar.finish_and_clear());
        let (done, bytes, elapsed) = (state.done, state.whole.position(), state.whole.elapsed());
        state.whole.finish_and_clear();
        if done > 0 {
            let steps = if done == 1 { "step" } else { "steps" };
            let took = if elapsed.as_secs() < 60 {
                format!("{:.1} s", elapsed.as_secs_f64())
            } else {
                HumanDuration(elapsed).to_string()
            };
            crate::stderr::say(&format!("{done} {steps}, {}, {took}\n", HumanBytes(bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short(&format!("push {digest} to r/a")), "push 0123456789ab to r/a");
        assert_eq!(short("layer tree"), "layer tree");
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
    }
}
