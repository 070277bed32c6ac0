//! Why a response is missing: errors of the HTTP library, the system and TLS, as failures.

use std::fmt;
use std::io;

use longshore_oci::{Error, ErrorKind};
use ureq::Timeout;

use super::url::bounded;
use super::{Failure, Reason};

/// A failure found below the HTTP library, passed through it.
#[derive(Debug)]
pub(super) struct Cause {
    reason: Reason,
    error: Error,
}

impl Cause {
    pub(super) fn new(reason: Reason, error: Error) -> Self {
        Self { reason, error }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Cause {}

impl From<Cause> for ureq::Error {
    fn from(cause: Cause) -> Self {
        Self::Io(io::Error::other(cause))
    }
}

/// Returns the failure of the request `name`. A host that has `answered` before may do so again.
pub(super) fn failure(name: &str, error: ureq::Error, has_answered: bool) -> Failure {
    let found = classify(name, error);
    match found.reason {
        Reason::Nowhere if has_answered => Failure::broken(found.into_error()),
        _ => found,
    }
}

fn classify(name: &str, error: ureq::Error) -> Failure {
    if let ureq::Error::Io(error) = error {
        // An unreadable body, or a cancelled request, has its own error.
        return match error.downcast::<Error>() {
            Ok(own) => Failure::from(own),
            Err(error) => match error.downcast::<Cause>() {
                Ok(Cause { reason, error }) => Failure::because(reason, error.context(name)),
                Err(error) => io_failure(name, &error),
            },
        };
    }
    let text = bounded(&error.to_string());
    let unavailable = |text: &str| Error::new(ErrorKind::Unavailable, format!("{name}: {text}"));
    let invalid = || Error::new(ErrorKind::InvalidInput, format!("{name}: {text}"));
    match error {
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => nowhere(unavailable("connection timed out")),
        ureq::Error::Timeout(Timeout::RecvResponse) => {
            Failure::because(Reason::Late, unavailable("timed out waiting for a response").retryable())
        }
        ureq::Error::Timeout(_) => Failure::broken(unavailable(&format!("timed out ({text})"))),
        ureq::Error::HostNotFound => unknown_host(name, None),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Failure::because(Reason::Final, invalid()),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            Failure::because(Reason::Final, unavailable(&format!("the response is not valid HTTP ({text})")))
        }
        _ if is_about_certificates(&text) => untrusted(name, &text),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => not_tls(name, &text),
        _ => Failure::broken(unavailable(&text)),
    }
}

fn nowhere(error: Error) -> Failure {
    let hint = "check the name and the port of the registry, and the network";
    Failure::because(Reason::Nowhere, error.with_hint(hint))
}

/// Returns the failure for a host without an address, in the system's words.
pub(super) fn unknown_host(name: &str, said: Option<&str>) -> Failure {
    let said = said.map(|said| format!(" ({})", bounded(said))).unwrap_or_default();
    nowhere(Error::new(ErrorKind::Unavailable, format!("{name}: no such host{said}")))
}

fn io_failure(name: &str, error: &io::Error) -> Failure {
    let text = bounded(Error::from(io::Error::new(error.kind(), error.to_string())).message());
    let unavailable = || Error::new(ErrorKind::Unavailable, format!("{name}: {text}"));
    match error.kind() {
        _ if is_about_certificates(&text) => untrusted(name, &text),
        io::ErrorKind::InvalidData => not_tls(name, &text),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => nowhere(unavailable()),
        _ => Failure::broken(unavailable()),
    }
}

/// Matches the library's wording, both for local errors and for TLS alerts of the peer.
fn is_about_certificates(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["certificate", "unknownissuer", "unknownca"].iter().any(|word| text.contains(word))
}

fn untrusted(name: &str, text: &str) -> Failure {
    let error = Error::new(ErrorKind::Denied, format!("{name}: {text}"));
    let hint = match text {
        text if text.contains("alert") => {
            "the registry wants a different client certificate: put client.cert and client.key into \
             ~/.config/longshore/certs.d/HOST:PORT"
        }
        text if text.contains("not valid for name") => "use a name that the certificate is valid for",
        text if text.contains("CaUsedAsEndEntity") => {
            "that is the certificate of a CA: the registry needs one signed by the CA (CA:FALSE)"
        }
        _ => {
            "put the certificate of its CA into ~/.config/longshore/certs.d/HOST:PORT/ca.crt; \
             registry.insecure=true of an output skips the check"
        }
    };
    Failure::because(Reason::Untrusted, error.with_hint(hint))
}

fn not_tls(name: &str, text: &str) -> Failure {
    let error = Error::new(ErrorKind::Unavailable, format!("{name}: the server does not speak TLS: {text}"));
    let hint = "registry.insecure=true of an output uses plain HTTP; a source needs server = \"http://HOST:PORT\" in \
                ~/.config/longshore/certs.d/HOST:PORT/hosts.toml";
    Failure::because(Reason::NotTls, error.with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_reached_is_nowhere() {
        let of = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        let nowhere: [fn() -> ureq::Error; 4] = [
            || ureq::Error::Timeout(Timeout::Connect),
            || ureq::Error::Timeout(Timeout::Resolve),
            || ureq::Error::HostNotFound,
            || Cause::new(Reason::Nowhere, unknown_host("r.example", Some("no")).into_error()).into(),
        ];
        for error in nowhere {
            let failure = failure("GET r.example", error(), false);
            assert_eq!(failure.reason, Reason::Nowhere, "{failure:?}");
            assert!(failure.error().hint().is_some() && !failure.is_temporary());
            assert!(super::failure("GET r.example", error(), true).is_temporary());
        }
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::AddrNotAvailable,
        ] {
            assert_eq!(failure("x", of(kind), false).reason, Reason::Nowhere, "{kind}");
        }
        assert_eq!(failure("x", of(io::ErrorKind::ConnectionReset), false).reason, Reason::Broken);
    }
}
