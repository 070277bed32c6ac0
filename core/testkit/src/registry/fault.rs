//! Faults, and when they occur.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::oci::Digest;

use super::http::{Answer, Head};

/// A fault for certain requests: the next one that matches, unless [`times`](Self::times) and
/// [`after`](Self::after) say otherwise.
///
/// A request matches whether it is authorised or not, and has the fault of the first rule for it. The
/// faults of one rule add up where they can: `.delay(…).status(503).header("Retry-After", "1")`.
#[derive(Debug, Clone)]
pub struct Rule {
    method: String,
    target: String,
    header: Option<String>,
    skip: u32,
    times: u32,
    fault: Fault,
}

impl Rule {
    /// For requests of `method`, `*` for any, that have `target` somewhere in their path and query.
    #[must_use]
    pub fn on(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target, header: None, skip: 0, times: 1, fault: Fault::default() }
    }

    /// Only for requests that have this header.
    #[must_use]
    pub fn with_header(self, name: &str) -> Self {
        Self { header: Some(name.to_ascii_lowercase()), ..self }
    }

    /// For that many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Not for the first `skip` requests that match.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Answers with this status and does nothing else. The body of the request is not read, and the
    /// connection is closed if any.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.with(|fault| fault.status = Some(status))
    }

    /// Sets a header of the answer.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(|fault| fault.headers.push((name.to_owned(), value.to_owned())))
    }

    /// Removes a header of the answer.
    #[must_use]
    pub fn without_header(self, name: &str) -> Self {
        self.with(|fault| fault.removed.push(name.to_owned()))
    }

    /// Answers with this body, instead of an error document or of the real one.
    #[must_use]
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        self.with(|fault| fault.body = Some(body))
    }

    /// Answers 307 with this location, as [`status`](Self::status) does.
    #[must_use]
    pub fn redirect(self, url: &str) -> Self {
        self.status(307).header("Location", url)
    }

    /// Takes that many bytes of the body, which stay in an upload, and cuts the connection.
    #[must_use]
    pub fn drop_after_request_bytes(self, bytes: u64) -> Self {
        self.with(|fault| fault.request_bytes = Some(bytes))
    }

    /// Cuts the connection after that many bytes of the answer's body.
    #[must_use]
    pub fn drop_after_response_bytes(self, bytes: usize) -> Self {
        self.with(|fault| fault.response_bytes = Some(bytes))
    }

    /// Does what is asked, and closes the connection without an answer.
    #[must_use]
    pub fn drop_before_answer(self) -> Self {
        self.with(|fault| fault.unanswered = true)
    }

    /// Does what is asked, and waits before it answers.
    #[must_use]
    pub fn delay(self, time: Duration) -> Self {
        self.with(|fault| fault.delay = Some(time))
    }

    /// Sends that many bytes of the answer's body at a time, with a pause after each.
    #[must_use]
    pub fn trickle(self, bytes: usize, pause: Duration) -> Self {
        self.with(|fault| fault.trickle = Some((bytes.max(1), pause)))
    }

    /// Sends the head of the answer that many bytes at a time, with a pause after each.
    #[must_use]
    pub fn trickle_head(self, bytes: usize, pause: Duration) -> Self {
        self.with(|fault| fault.trickle_head = Some((bytes.max(1), pause)))
    }

    /// Sends `text` as it is, before anything of the body is read: interim responses. It is sent that many times,
    /// with a pause after each, as long as the client listens.
    #[must_use]
    pub fn interim(self, text: &str, times: u32, pause: Duration) -> Self {
        self.with(|fault| fault.interim = Some((text.to_owned(), times, pause)))
    }

    /// Sends these bytes instead of an answer, and closes the connection.
    #[must_use]
    pub fn raw(self, bytes: &[u8]) -> Self {
        self.with(|fault| fault.raw = Some(bytes.to_vec()))
    }

    /// Takes the body of the request that many bytes at a time, with a pause before each.
    #[must_use]
    pub fn take_slowly(self, bytes: usize, pause: Duration) -> Self {
        self.with(|fault| fault.take_slowly = Some((bytes.max(1), pause)))
    }

    /// Does nothing, and keeps the connection open until the registry is dropped.
    #[must_use]
    pub fn stall(self) -> Self {
        self.with(|fault| fault.stall = true)
    }

    /// Loses all blobs of the registry before it does what is asked, as one that collects garbage.
    #[must_use]
    pub fn lose_blobs(self) -> Self {
        self.with(|fault| fault.lose_blobs = true)
    }

    /// Answers with a `Docker-Content-Digest` of something else.
    #[must_use]
    pub fn wrong_digest_header(self) -> Self {
        self.with(|fault| fault.wrong_digest = true)
    }

    /// Flips a bit in the middle of the answer's body.
    #[must_use]
    pub fn corrupt_body(self) -> Self {
        self.with(|fault| fault.corrupt = true)
    }

    /// Answers with all of a blob, whatever range is asked for.
    #[must_use]
    pub fn ignore_range(self) -> Self {
        self.with(|fault| fault.ignore_range = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Fault)) -> Self {
        change(&mut self.fault);
        self
    }

    fn matches(&self, head: &Head) -> bool {
        let method = self.method == "*" || self.method == head.method;
        let header = self.header.as_ref().is_none_or(|name| head.header(name).is_some());
        method && header && format!("{}?{}", head.path, head.query).contains(&self.target)
    }
}

/// Returns the fault of a request, from the first matching rule whose turn it is.
pub(super) fn next(rules: &mut [Rule], head: &Head) -> Fault {
    for rule in rules.iter_mut().filter(|rule| rule.times > 0 && rule.matches(head)) {
        if rule.skip > 0 {
            rule.skip -= 1;
            continue;
        }
        rule.times -= 1;
        return rule.fault.clone();
    }
    Fault::default()
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fault {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    removed: Vec<String>,
    body: Option<Vec<u8>>,
    pub(super) request_bytes: Option<u64>,
    pub(super) response_bytes: Option<usize>,
    pub(super) unanswered: bool,
    pub(super) delay: Option<Duration>,
    pub(super) trickle: Option<(usize, Duration)>,
    pub(super) trickle_head: Option<(usize, Duration)>,
    pub(super) interim: Option<(String, u32, Duration)>,
    pub(super) raw: Option<Vec<u8>>,
    pub(super) take_slowly: Option<(usize, Duration)>,
    pub(super) stall: bool,
    pub(super) lose_blobs: bool,
    wrong_digest: bool,
    corrupt: bool,
    pub(super) ignore_range: bool,
}

impl Fault {
    /// Returns the response that is sent without looking at the request.
    pub(super) fn answer(&self) -> Option<Answer> {
        let status = self.status?;
        let code = match status {
            ..=399 => return Some(Answer::new(status)),
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        Some(Answer::error(status, code, "failed on purpose"))
    }

    /// Changes a response.
    pub(super) fn apply(&self, mut answer: Answer) -> Answer {
        if let Some(body) = &self.body {
            answer = answer.body(body.clone());
        }
        if self.corrupt && !answer.part.is_empty() {
            let middle = (answer.part.start + answer.part.end) / 2;
            Arc::make_mut(&mut answer.body)[middle] ^= 0x20;
        }
        if self.wrong_digest {
            answer = answer.replace_header("Docker-Content-Digest", Digest::of(b"something else"));
        }
        answer.headers.retain(|(name, _)| !self.removed.iter().any(|removed| removed.eq_ignore_ascii_case(name)));
        for (name, value) in &self.headers {
            answer = answer.replace_header(name, value);
        }
        answer
    }

    /// Returns whether the client gets no complete response.
    pub(super) fn cuts(&self) -> bool {
        self.unanswered || self.request_bytes.is_some() || self.response_bytes.is_some()
    }
}
