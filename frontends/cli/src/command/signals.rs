//! Signals: the first one asks the run to stop.

use std::time::Duration;

use longshore_core::{Cancel, Error, ErrorKind, Result, discard_scratch};

use crate::exit_code::Code;

/// Stops the run at the first signal. What does not listen, such as a write to a pipe that nobody
/// reads, is ended soon after; the next run removes what is left over.
pub(super) fn cancel_on_signal() -> Result<Cancel> {
    let cancel = Cancel::default();
    let flag = cancel.clone();
    ctrlc::set_handler(move || {
        if !flag.is_cancelled() {
            flag.cancel();
            std::thread::sleep(Duration::from_millis(1500));
        }
        discard_scratch();
        eprintln!("error: interrupted");
        std::process::exit(Code::Interrupted as i32);
    })
    .map_err(|error| Error::new(ErrorKind::Other, "cannot listen to signals").with_source(error))?;
    Ok(cancel)
}
