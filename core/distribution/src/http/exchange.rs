//! Requests and responses on one connection, below the HTTP library: it gets one complete, final response head, in
//! time, and never the interim responses (1xx) before it.
//!
//! The library itself limits neither their number nor their duration, refuses those with headers, and counts the
//! bytes after them as part of the head.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use longshore_oci::{Error, ErrorKind};
use ureq::Timeout;
use ureq::http::Uri;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::cause::Cause;
use super::{Reason, Timeouts};

/// The longest response head, and the most that is buffered of a body, in bytes.
const HEAD_LIMIT: usize = 64 << 10;
const WINDOW: usize = 256 << 10;

thread_local! {
    /// When this thread began to read from a body, if it is reading.
    static READING: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs one read of a body, limiting its total time: the framing of a body (chunk sizes, trailers) gives the library no
/// bytes to return, however often it arrives.
pub(super) fn reading<T>(read: impl FnOnce() -> T) -> T {
    READING.set(Some(Instant::now()));
    let done = read();
    READING.set(None);
    done
}

/// Adds the limits to connections with one host. A connection with a proxy, which carries the one with the host, is
/// left alone.
#[derive(Debug)]
pub(super) struct Exchanges {
    /// Host and port.
    pub(super) authority: String,
    pub(super) limits: Timeouts,
}

impl<T: Transport> Connector<T> for Exchanges {
    type Out = Exchange<T>;

    fn connect(&self, details: &ConnectionDetails<'_>, inner: Option<T>) -> Result<Option<Exchange<T>>, ureq::Error> {
        let is_tunnel = !is_of(details.uri, &self.authority);
        let state = if is_tunnel { State::Tunnel } else { State::Body { until: None } };
        Ok(inner.map(|inner| Exchange { inner, limits: self.limits, input: Vec::new(), at: 0, is_new: false, state }))
    }
}

/// Returns whether a URI has this host and port.
pub(super) fn is_of(uri: &Uri, authority: &str) -> bool {
    uri.authority().is_some_and(|own| own.as_str().eq_ignore_ascii_case(authority))
}

/// A connection.
pub(super) struct Exchange<T> {
    inner: T,
    limits: Timeouts,
    /// Input for the library, from `at` on.
    input: Vec<u8>,
    at: usize,
    /// Whether the library can make progress with the input.
    is_new: bool,
    state: State,
}

enum State {
    /// Everything passes through unseen.
    Tunnel,
    /// A request is being sent; the response head comes next.
    Head(Head),
    /// The head has arrived; the body must by `until`.
    Body { until: Option<Instant> },
}

struct Head {
    /// Bytes of the request's body that were sent.
    sent: u64,
    /// When the last part of the request was sent.
    since: Instant,
    interim: u32,
    /// Whether the library was told to send the announced body.
    is_continued: bool,
    lines: Lines,
}

/// The lines received of a head.
#[derive(Default)]
struct Lines {
    /// Bytes of complete lines.
    checked: usize,
    status: Option<u16>,
}

impl Lines {
    /// Scans new lines in `input`. Returns the status and the length of the head once it is complete.
    fn scan(&mut self, input: &[u8]) -> Result<Option<(u16, usize)>, &'static str> {
        const VERSION: &[u8] = b"HTTP/1.";
        while let Some(length) = input[self.checked..].iter().position(|byte| *byte == b'\n') {
            let line = &input[self.checked..self.checked + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.checked += length + 1;
            match self.status {
                // Empty lines may come before a response (RFC 9112, section 2.2).
                None if line.is_empty() => {}
                None => self.status = Some(status(line, VERSION).ok_or("the first line is not an HTTP status line")?),
                Some(status) if line.is_empty() => return Ok(Some((status, self.checked))),
                Some(_) if is_field(line) => {}
                Some(_) => return Err("a line of the head is not an HTTP header"),
            }
        }
        let rest = &input[self.checked..];
        let is_foreign = || !rest.iter().zip(VERSION).all(|(byte, expected)| byte == expected);
        if self.status.is_none() && !matches!(rest, [] | [b'\r']) && is_foreign() {
            return Err("the response does not start like HTTP");
        }
        if input.len() > HEAD_LIMIT { Err("the head is longer than 64 KiB") } else { Ok(None) }
    }
}

/// Returns the status in `HTTP/1.1 200 OK`.
fn status(line: &[u8], version: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(version)?;
    let (minor, rest) = rest.split_first()?;
    let status = rest.strip_prefix(b" ")?;
    let digits = status.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit) && minor.is_ascii_digit())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns whether a line is a name, a colon and a value (RFC 9112, section 5).
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    name.len() < line.len() && !name.is_empty() && name.iter().all(is_token)
}

fn not_http(why: &str) -> ureq::Error {
    let error = Error::new(ErrorKind::Unavailable, why)
        .with_hint("check that a registry listens at this host and port, and not another service");
    Cause::new(Reason::Final, error).into()
}

impl<T: Transport> Exchange<T> {
    /// Takes all input that the connection has read.
    fn take_input(&mut self) {
        self.input.drain(..self.at);
        self.at = 0;
        let buffers = self.inner.buffers();
        let input = buffers.input();
        let length = input.len();
        self.input.extend_from_slice(input);
        buffers.input_consume(length);
        self.is_new = true;
    }

    /// Waits until the head is complete.
    fn await_head(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let begun = Instant::now();
        loop {
            let State::Head(head) = &mut self.state else { return Ok(!self.input.is_empty()) };
            match head.lines.scan(self.inner.buffers().input()).map_err(not_http)? {
                // After 101 the connection switches to another protocol.
                Some((status @ 100..=199, length)) if status != 101 => {
                    head.lines = Lines::default();
                    head.interim += 1;
                    if head.interim > self.limits.interim {
                        let limit = self.limits.interim;
                        return Err(not_http(&format!("more than {limit} interim responses (1xx) to one request")));
                    }
                    self.inner.buffers().input_consume(length);
                    if status == 100 && !std::mem::replace(&mut head.is_continued, true) {
                        // Without its headers, which the library refuses.
                        self.input.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                        self.is_new = true;
                        return Ok(true);
                    }
                }
                Some((status, _)) => {
                    let until = (status >= 400).then(|| Instant::now() + self.limits.error_body);
                    self.state = State::Body { until };
                    self.take_input();
                    return Ok(true);
                }
                None => {
                    let timeout = head.left(timeout, begun, &self.limits);
                    if timeout.after.is_zero() {
                        return Err(ureq::Error::Timeout(timeout.reason));
                    }
                    if !self.inner.await_input(timeout)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn await_body(&mut self, mut timeout: NextTimeout, until: Option<Instant>) -> Result<bool, ureq::Error> {
        // TLS records may trickle in, too: only usable bytes count.
        let patience = self.limits.idle.max(self.limits.slow_after);
        let patience = patience.saturating_sub(READING.get().map_or(Default::default(), |since| since.elapsed()));
        let left = until.map_or(patience, |until| until.saturating_duration_since(Instant::now()).min(patience));
        if left.is_zero() {
            return Err(ureq::Error::Timeout(Timeout::RecvBody));
        }
        if *timeout.after > left {
            (timeout.after, timeout.reason) = (left.into(), Timeout::RecvBody);
        }
        if self.input.len() - self.at >= WINDOW {
            return Ok(false);
        }
        if self.inner.buffers().input().is_empty() && !self.inner.await_input(timeout)? {
            return Ok(false);
        }
        self.take_input();
        Ok(true)
    }
}

impl Head {
    fn new() -> Self {
        Self { sent: 0, since: Instant::now(), interim: 0, is_continued: false, lines: Lines::default() }
    }

    /// Returns the remaining time for the head; the request may override it.
    fn left(&self, mut timeout: NextTimeout, begun: Instant, limits: &Timeouts) -> NextTimeout {
        let spent = begun.elapsed();
        if let Duration::Exact(after) = timeout.after {
            timeout.after = after.saturating_sub(spent).into();
        }
        let own = limits.settling(self.sent).saturating_sub(self.since.elapsed());
        let is_set = matches!(timeout.reason, Timeout::RecvResponse | Timeout::Await100);
        if !is_set && *timeout.after > own {
            (timeout.after, timeout.reason) = (own.into(), Timeout::RecvResponse);
        }
        NextTimeout { per_read: None, ..timeout }
    }
}

impl<T: Transport> Transport for Exchange<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        if matches!(self.state, State::Tunnel) { self.inner.buffers() } else { self }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let is_first = matches!(self.state, State::Body { .. });
        if is_first {
            self.state = State::Head(Head::new());
        }
        self.inner.transmit_output(amount, timeout)?;
        if let State::Head(head) = &mut self.state {
            head.sent += if is_first { 0 } else { amount as u64 };
            head.since = Instant::now();
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        match self.state {
            State::Tunnel => self.inner.await_input(timeout),
            State::Head(_) => self.await_head(timeout),
            State::Body { until } => self.await_body(timeout, until),
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T: Transport> Buffers for Exchange<T> {
    fn output(&mut self) -> &mut [u8] {
        self.inner.buffers().output()
    }

    fn input(&self) -> &[u8] {
        &self.input[self.at..]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.is_new = amount > 0;
        self.at = self.input.len().min(self.at + amount);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.inner.buffers().tmp_and_output()
    }

    fn can_use_input(&self) -> bool {
        self.is_new && self.at < self.input.len()
    }
}

impl<T: fmt::Debug> fmt::Debug for Exchange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans a head as it arrives, in pieces of `step` bytes.
    fn scan(head: &[u8], step: usize) -> Result<Option<(u16, usize)>, &'static str> {
        let mut lines = Lines::default();
        for end in (0..head.len()).step_by(step).chain([head.len()]) {
            if let Some(found) = lines.scan(&head[..end])? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    #[test]
    fn heads_are_whole_or_not_http() {
        for step in [1, 2, 7, 1000] {
            let head = b"HTTP/1.1 206 Partial\r\nA: b: c\r\nEmpty:\r\n\r\nbody";
            assert_eq!(scan(head, step), Ok(Some((206, head.len() - 4))));
            assert_eq!(scan(b"\r\n\nHTTP/1.0 404 x\nA:b\n\n", step), Ok(Some((404, 23))));
            assert_eq!(scan(b"HTTP/1.1 200 OK\r\nA: b\r\n", step), Ok(None));
            for foreign in [
                &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
                b"HTTP/2 200 OK\r\n",
                b"HTTP/1.1 abc\r\n",
                b"\x15\x03\x01\x00\x02\x02",
                b"HTTP/1.1 200 OK\r\nno header\r\n",
                b"HTTP/1.1 200 OK\r\n: empty\r\n",
                b"HTTP/1.1 200 OK\r\nA b: c\r\n",
            ] {
                assert!(scan(foreign, step).is_err(), "{}", foreign.escape_ascii());
            }
        }
        let long = [&b"HTTP/1.1 200 OK\r\n"[..], &b"A: b\r\n".repeat(20_000)].concat();
        assert!(scan(&long, 4096).is_err());
    }
}
