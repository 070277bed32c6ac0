//! Requests and responses of HTTP/1.1 (RFC 9112).

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

/// The longest line of a head.
const LINE: u64 = 1 << 16;

/// A request without its body.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// Names are lower-case.
    pub(super) headers: Vec<(String, String)>,
    old: bool,
}

impl Head {
    /// Returns the next request; `None` at the end of the connection.
    pub(super) fn read(reader: &mut dyn BufRead) -> io::Result<Option<Self>> {
        let Some(first) = line(reader)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("request line"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = Vec::new();
        loop {
            let line = line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid("header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let old = version == "HTTP/1.0";
        Ok(Some(Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers, old }))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the decoded value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        form(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns whether the client sends nothing more on this connection.
    pub(super) fn closes(&self) -> bool {
        self.old || self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Returns a line without its end; `None` at the end of the connection.
pub(super) fn line(reader: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.take(LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(invalid("line"));
    }
    line.pop_if(|byte| *byte == b'\r');
    String::from_utf8(line).map(Some).map_err(|_| invalid("line"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("invalid {what}"))
}

/// Returns the pairs of a query or of a form.
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))).collect()
}

/// Undoes percent-encoding.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(escaped.map_or(*first, |(high, low)| high << 4 | low));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Why a request gets no regular response.
pub(super) enum Failure {
    /// The connection ended, or has to.
    Broken,
    Refused(Answer),
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Self::Refused(answer)
    }
}

pub(super) type Outcome = Result<Answer, Failure>;

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<Vec<u8>>,
    /// The part of `body` to send.
    pub(super) part: Range<usize>,
}

impl Answer {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Arc::default(), part: 0..0 }
    }

    /// Creates an error document (distribution-spec, "Error Codes").
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(status).json(&json!({ "errors": [{ "code": code, "message": message }] }))
    }

    pub(super) fn json(self, value: &Value) -> Self {
        self.header("Content-Type", "application/json").body(value.to_string().into_bytes())
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Returns the same with one header of that name.
    pub(super) fn replace_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    pub(super) fn body(mut self, body: impl Into<Arc<Vec<u8>>>) -> Self {
        self.body = body.into();
        self.part = 0..self.body.len();
        self
    }

    /// Returns the body.
    pub(super) fn content(&self) -> &[u8] {
        &self.body[self.part.clone()]
    }

    pub(super) fn write_head(&self, to: &mut dyn Write, close: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        // RFC 9110 section 8.6: never in a 204.
        if self.status != 204 && find(&self.headers, "content-length").is_none() {
            head += &format!("Content-Length: {}\r\n", self.part.len());
        }
        if close {
            head += "Connection: close\r\n";
        }
        head += "\r\n";
        to.write_all(head.as_bytes())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
