//! Standard error: the only place that writes to it.
//!
//! It may be full, closed, or a pipe without a reader. Messages that cannot be written are dropped, and never decide
//! the outcome of a run.

use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes that can be written to a ready pipe without blocking (pipe(7), `PIPE_BUF`).
const READY: usize = 4096;

/// Writes `text`.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes a short `text` unless that would block, on a reader or on another thread that writes.
pub(crate) fn say_without_waiting(text: &str) {
    let stderr = io::stderr();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    if poll(&mut ready, Some(&at_once)).is_ok_and(|ready| ready > 0) && ready[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(&stderr, &text.as_bytes()[..text.len().min(READY)]);
    }
}
