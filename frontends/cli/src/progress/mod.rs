//! Progress on standard error: bars, lines or JSON.

mod bars;
mod json;
mod plain;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use longshore_core::{Event, ProgressSink, Response};

use crate::args::ProgressStyle;
use crate::stderr::say;

/// Shows events, and finally what was written.
pub(crate) trait Display: ProgressSink {
    /// Clears temporary output from the screen.
    fn finish(&self) {}

    /// Prints what was written, one line per image.
    fn summary(&self, responses: &[Response]) {
        for response in responses {
            let to = response.destination.as_ref().map(|path| format!(" to {path}")).unwrap_or_default();
            for image in &response.images {
                let name = if image.names.is_empty() { String::new() } else { format!(" {}", image.names.join(", ")) };
                say(&format!("exported{name} {}{to}\n", image.root.digest));
            }
            if response.images.is_empty() {
                say(&format!("exported files{to}\n"));
            }
        }
    }
}

/// Returns the display for a style.
pub(crate) fn start(style: ProgressStyle) -> Arc<dyn Display> {
    match style {
        ProgressStyle::Auto if io::stderr().is_terminal() => Arc::new(bars::Bars::default()),
        ProgressStyle::Tty => Arc::new(bars::Bars::default()),
        ProgressStyle::Auto | ProgressStyle::Plain => Arc::new(plain::Plain::default()),
        ProgressStyle::Json => Arc::new(json::Json::start()),
        ProgressStyle::Quiet => Arc::new(Quiet),
    }
}

/// Nothing but errors.
struct Quiet;

impl ProgressSink for Quiet {
    fn send(&self, _: Event) {}
}

impl Display for Quiet {
    fn summary(&self, _: &[Response]) {}
}
