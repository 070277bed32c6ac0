//! The body of a request, read on demand.

use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::http::{Answer, Failure, Head, line};

pub(super) struct Body<'a> {
    reader: &'a mut dyn BufRead,
    framing: Framing,
    /// The client, if it waits for `100 Continue` before it sends the body.
    waiting: Option<&'a TcpStream>,
    received: &'a AtomicU64,
    limit: Option<u64>,
    cut: Option<u64>,
    slowly: Option<(usize, Duration)>,
}

/// How the body ends (RFC 9112 section 6).
enum Framing {
    Length { left: u64 },
    Chunked { left: u64, started: bool, ended: bool },
}

impl<'a> Body<'a> {
    /// Returns the body after `head`, whose bytes are counted in `received`.
    pub(super) fn new(
        head: &Head,
        reader: &'a mut dyn BufRead,
        stream: &'a TcpStream,
        received: &'a AtomicU64,
    ) -> Result<Self, Answer> {
        let encoding = head.header("transfer-encoding").unwrap_or_default();
        let framing = if encoding.to_ascii_lowercase().ends_with("chunked") {
            Framing::Chunked { left: 0, started: false, ended: false }
        } else {
            let length = head.header("content-length").unwrap_or("0").parse();
            Framing::Length { left: length.map_err(|_| Answer::error(400, "UNKNOWN", "invalid content length"))? }
        };
        let expects = head.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        Ok(Self { reader, framing, waiting: expects.then_some(stream), received, limit: None, cut: None, slowly: None })
    }

    /// Refuses more than `limit` bytes, and breaks the connection after `cut` bytes.
    pub(super) fn limit(&mut self, limit: Option<u64>, cut: Option<u64>) {
        (self.limit, self.cut) = (limit, cut);
    }

    /// Reads so many bytes at a time, with a pause before each.
    pub(super) fn slow_down(&mut self, slowly: Option<(usize, Duration)>) {
        self.slowly = slowly;
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns the remaining bytes, if known.
    pub(super) fn length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length { left } => Some(left),
            Framing::Chunked { .. } => None,
        }
    }

    /// Returns whether it has not been read to its end.
    pub(super) fn is_unread(&self) -> bool {
        !matches!(self.framing, Framing::Length { left: 0 } | Framing::Chunked { ended: true, .. })
    }

    /// Refuses the body before reading it, if it is announced as too large.
    pub(super) fn check_length(&self) -> Result<(), Failure> {
        if self.limit.zip(self.length()).is_some_and(|(limit, length)| length > limit) {
            return Err(too_large());
        }
        Ok(())
    }

    /// Reads the next bytes; returns 0 at the end.
    pub(super) fn piece(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.cut == Some(self.received()) {
            return Err(Failure::Broken);
        }
        if self.is_unread()
            && let Some(mut stream) = self.waiting.take()
        {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Failure::Broken)?;
        }
        let left = self.left()?;
        if left == 0 {
            return if self.cut.is_some() { Err(Failure::Broken) } else { Ok(0) };
        }
        let most = left.min(self.cut.map_or(u64::MAX, |cut| cut - self.received()));
        let mut most = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        if let Some((bytes, pause)) = self.slowly {
            most = most.min(bytes);
            std::thread::sleep(pause);
        }
        let count = self.reader.read(&mut buffer[..most]).unwrap_or(0);
        if count == 0 {
            return Err(Failure::Broken);
        }
        self.received.fetch_add(count as u64, Ordering::Relaxed);
        match &mut self.framing {
            Framing::Length { left } | Framing::Chunked { left, .. } => *left -= count as u64,
        }
        if self.limit.is_some_and(|limit| self.received() > limit) {
            return Err(too_large());
        }
        Ok(count)
    }

    /// Returns the whole body.
    pub(super) fn read_to_end(&mut self) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.piece(&mut buffer)? {
                0 => return Ok(all),
                count => all.extend(&buffer[..count]),
            }
        }
    }

    /// Returns the bytes left in the body or its current chunk; 0 only at the end of the body.
    fn left(&mut self) -> Result<u64, Failure> {
        let Framing::Chunked { left, started, ended } = &mut self.framing else {
            return Ok(self.length().unwrap_or(0));
        };
        if *left > 0 || *ended {
            return Ok(*left);
        }
        let mut line = || line(self.reader).ok().flatten().ok_or(Failure::Broken);
        if *started && !line()?.is_empty() {
            return Err(Failure::Broken);
        }
        *started = true;
        let size = line()?;
        let size = size.split(';').next().unwrap_or_default().trim();
        *left = u64::from_str_radix(size, 16).map_err(|_| Failure::Broken)?;
        if *left == 0 {
            while !line()?.is_empty() {}
            *ended = true;
        }
        Ok(*left)
    }
}

fn too_large() -> Failure {
    Answer::error(413, "SIZE_INVALID", "the body is too large").into()
}
