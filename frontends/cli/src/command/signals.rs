//! Signals: the first one requests the run to stop, the second one ends it.

use std::process::exit;
use std::thread;
use std::time::Duration;

use longshore_core::{Cancel, Error, ErrorKind, Result, discard_scratch};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit_code::{Code, note_signal};
use crate::stderr::say_without_waiting;

/// How long a run may take to stop. Then anything uninterruptible, such as a write to a blocked pipe, is ended.
const GRACE: Duration = Duration::from_millis(1500);

/// Stops the run at the first signal, and ends the process at the second: the next run removes leftovers.
/// Ignored signals, as under nohup, stay ignored.
pub(super) fn cancel_on_signal() -> Result<Cancel> {
    let cancel = Cancel::default();
    let ignored = ignored();
    let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(heeded)
        .map_err(|error| Error::new(ErrorKind::Other, "cannot listen to signals").with_source(error))?;
    let flag = cancel.clone();
    let listen = move || {
        for signal in signals.forever() {
            let signal = u8::try_from(signal).unwrap_or(u8::MAX);
            let code = i32::from(Code::Interrupted(signal).number());
            if !note_signal(signal) {
                say_without_waiting("error: interrupted twice\n");
                exit(code);
            }
            let flag = flag.clone();
            // On its own thread, so that the next signal is handled even if this one waits.
            let stop = move || {
                flag.cancel();
                thread::sleep(GRACE);
                discard_scratch();
                say_without_waiting("error: interrupted\n");
                exit(code);
            };
            if thread::Builder::new().spawn(stop).is_err() {
                exit(code);
            }
        }
    };
    thread::Builder::new()
        .spawn(listen)
        .map_err(|error| Error::from(error).context("cannot listen to signals".to_owned()))?;
    Ok(cancel)
}

/// Returns the signals that this process was started to ignore, one bit each, as in proc(5).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
