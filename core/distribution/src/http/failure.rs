//! Failures of requests, in words.

use std::io::Read;
use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;
use longshore_oci::{Error, ErrorKind};
use serde::Deserialize;

use super::Response;
use super::url::bounded;

/// A failed request.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    /// The error codes of the registry (distribution-spec 1.1, "Error Codes").
    codes: Vec<String>,
    /// How long the registry asks to wait.
    pub(crate) retry_after: Option<Duration>,
    error: Error,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The registry answered with this status.
    Status(u16),
    /// No response: the connection failed, broke or stalled.
    Broken,
    /// The request arrived, but its response was late.
    Late,
    /// The transfer is too slow to finish in time.
    Slow,
    /// The host has no address, refuses connections or is unreachable, and never responded before.
    Nowhere,
    /// Its certificate is not trusted by us, or ours is not trusted by it.
    Untrusted,
    /// The server does not speak TLS.
    NotTls,
    /// A retry would fail in the same way.
    Final,
}

impl Failure {
    /// Returns a failure without a response.
    pub(crate) fn broken(error: Error) -> Self {
        Self::because(Reason::Broken, error.retryable())
    }

    /// Returns a failure without a usable response.
    pub(crate) fn because(reason: Reason, error: Error) -> Self {
        Self { reason, codes: Vec::new(), retry_after: None, error }
    }

    /// Returns the failure described by an unsuccessful response. Reads its body, up to a limit.
    pub(crate) fn of(what: &str, response: Response) -> Self {
        let status = response.status();
        let (host, own_hint) = (response.url.authority.clone(), response.hint.clone());
        let cause = response.cause.clone().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let retry_after = response.header("retry-after").and_then(|value| parse_retry_after(value, SystemTime::now()));
        let mut body = Vec::new();
        // Without a body, the status must do.
        let _ = response.into_reader().take(BODY_LIMIT).read_to_end(&mut body);
        let Said { text, codes } = said(&String::from_utf8_lossy(&body));
        let message = match (text.is_empty(), reason_phrase(status)) {
            (false, _) => format!("{what}: {host} returned {status}: {text}{cause}"),
            (true, Some(phrase)) => format!("{what}: {host} returned {status} {phrase}{cause}"),
            (true, None) => format!("{what}: {host} returned status {status}{cause}"),
        };
        let mut error = Error::new(kind(status), message);
        if is_temporary(status) {
            error = error.retryable();
        }
        if let Some(hint) = own_hint.or_else(|| hint(status).map(str::to_owned)) {
            error = error.with_hint(hint);
        }
        Self { reason: Reason::Status(status), codes, retry_after, error }
    }

    /// Adds a hint on what to do.
    pub(crate) fn with_hint(self, hint: String) -> Self {
        Self { error: self.error.with_hint(hint), ..self }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self.reason {
            Reason::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Returns whether the registry sent this error code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|own| own == code)
    }

    /// Returns whether the same request may succeed later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self.reason {
            Reason::Status(status) => is_temporary(status),
            Reason::Broken | Reason::Late => true,
            Reason::Slow | Reason::Nowhere | Reason::Untrusted | Reason::NotTls | Reason::Final => false,
        }
    }

    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

/// Failures that cannot be retried.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::because(Reason::Final, error)
    }
}

/// How much of a response is read for a message.
const BODY_LIMIT: u64 = 16 << 10;

fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 507..=599)
}

fn kind(status: u16) -> ErrorKind {
    match status {
        401 | 403 | 405 | 407 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        415 | 501 | 505 => ErrorKind::Unsupported,
        400 | 409 | 411..=414 | 416 | 422 => ErrorKind::InvalidInput,
        _ if is_temporary(status) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        403 => Some("check that the account has permission to do this"),
        405 => Some("it does not accept pushes here: is it read-only?"),
        407 => Some("the proxy requires a user name and password: put them into its URL"),
        _ => None,
    }
}

fn reason_phrase(status: u16) -> Option<&'static str> {
    let status = ureq::http::StatusCode::from_u16(status).ok()?;
    status.canonical_reason()
}

/// The contents of an error response.
struct Said {
    text: String,
    codes: Vec<String>,
}

/// Reads the errors of a registry (distribution-spec 1.1, "Error Codes"), or the text of a proxy.
fn said(body: &str) -> Said {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        detail: Option<serde_json::Value>,
    }
    let Ok(Body { errors }) = serde_json::from_str(body) else {
        // An HTML page has no useful single line.
        let text = if body.trim_start().starts_with('<') { String::new() } else { bounded(body) };
        return Said { text, codes: Vec::new() };
    };
    let line = |One { code, message, detail }: &One| {
        // What the message already says is not repeated as JSON.
        let detail = detail.as_ref().filter(|detail| !detail.is_null() && message.is_none()).map(|detail| match detail
            .as_str()
        {
            Some(text) => text.to_owned(),
            None => detail.to_string(),
        });
        [code.clone(), message.clone().unwrap_or_default(), detail.unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ")
    };
    let text = bounded(&errors.iter().map(line).collect::<Vec<_>>().join("; "));
    Said { text, codes: errors.into_iter().map(|error| error.code).collect() }
}

/// Both forms of Retry-After (RFC 9110, section 10.2.3): seconds, or a date.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // HTTP dates are those of RFC 2822 with the zone `GMT`.
    let until = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(SystemTime::from(until).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_has_two_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:29:10 GMT", now), Some(Duration::from_secs(70)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", now), None);
    }

    #[test]
    fn errors_of_registries_are_one_line() {
        let body = r#"{"errors":[{"code":"DENIED","message":"no\nway","detail":null},{"code":"X","detail":{"a":1}}]}"#;
        assert_eq!(said(body).text, "DENIED: no\\nway; X: {\"a\":1}");
        assert_eq!(said("<html><body>nginx</body></html>").text, "");
        assert_eq!(said("upstream\u{7} gone").text, "upstream\\u{7} gone");
    }
}
