//! Responses: status, headers, and bodies within limits.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use longshore_content::{Guard, Progress};
use longshore_oci::{Error, ErrorKind};
use ureq::{Body, http};

use super::encoding::decoded;
use super::exchange::reading;
use super::{Failure, Pace, Timeouts, Url};

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Response {
    /// Where the request went.
    pub(crate) url: Url,
    /// A hint, if it is a refusal.
    pub(crate) hint: Option<String>,
    /// The cause of a refusal, if its headers say more than its status.
    pub(crate) cause: Option<String>,
    pub(super) response: http::Response<Body>,
    pub(super) limits: Timeouts,
    /// Breaks the connection when the run is cancelled while the body is read.
    pub(super) guard: Guard,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status(), 301 | 302 | 303 | 307 | 308)
    }

    /// Returns a header, if it is present and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Returns all values of a header, with invalid UTF-8 replaced.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let values = self.response.headers().get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// Returns the size of the body in bytes, if stated.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Returns the body. When the run is cancelled, reading fails immediately.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        struct Guarded(ureq::BodyReader<'static>, #[expect(dead_code, reason = "held for what it does")] Guard);
        impl Read for Guarded {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                reading(|| self.0.read(buffer))
            }
        }
        Box::new(Guarded(self.response.into_body().into_reader(), self.guard))
    }

    /// Reads the first `limit` bytes of the body: a document, not a blob. It is decoded if a cache compressed it.
    pub(crate) fn read(self, limit: u64) -> Result<Vec<u8>, Failure> {
        let (url, encoding) = (self.url.clone(), self.headers("content-encoding").join(", "));
        let bytes = self.read_body(limit)?;
        Ok(decoded(bytes, &encoding.trim().to_ascii_lowercase(), &url, limit)?)
    }

    fn read_body(self, limit: u64) -> Result<Vec<u8>, Failure> {
        let what = format!("cannot read {}", self.url);
        // A document is small: a slow one is not worth waiting for.
        let mut pace = Pace::new(Timeouts { slow_finish: Duration::ZERO, ..self.limits });
        let mut reader = self.into_reader().take(limit);
        let mut bytes = Vec::new();
        let mut piece = vec![0; 16 << 10];
        loop {
            let since = Instant::now();
            let broken = |error| Failure::broken(Error::new(ErrorKind::Unavailable, what.clone()).with_source(error));
            let count = reader.read(&mut piece).map_err(broken)?;
            if count == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&piece[..count]);
            pace.moved(count as u64, since.elapsed(), None, &what, &Progress::default())?;
        }
    }

    /// Returns the response if its status is one of `statuses`.
    ///
    /// # Errors
    /// Fails with the error in the response for any other status.
    pub(crate) fn expect(self, what: &str, statuses: &[u16]) -> Result<Self, Failure> {
        if statuses.contains(&self.status()) { Ok(self) } else { Err(Failure::of(what, self)) }
    }
}
