//! Why an engine gave no response, or not the wanted one.

use std::io;

use longshore_oci::{Error, ErrorKind};
use serde::Deserialize;

use crate::Endpoint;
use crate::endpoint::Place;

/// The most that is repeated of a foreign text, in characters.
const SHOWN: usize = 300;

/// Returns the error of a request without a response.
pub(crate) fn of(endpoint: &Endpoint, error: ureq::Error) -> Error {
    let cannot = |why: &str| {
        Error::new(ErrorKind::Unavailable, format!("cannot connect to the Docker Engine at {endpoint}: {why}"))
    };
    let is_socket = matches!(endpoint.place, Place::Unix(_));
    let error = match error {
        ureq::Error::Io(error) => match error.downcast::<Error>() {
            // That of the body to be sent.
            Ok(own) => return own,
            Err(error) => error,
        },
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            return Error::new(
                ErrorKind::Unavailable,
                format!("{endpoint} is no Docker Engine: its response is not HTTP ({})", shown(&error.to_string())),
            );
        }
        ureq::Error::Timeout(_) => return cannot("it does not respond in time").retryable(),
        ureq::Error::HostNotFound => return cannot("no such host"),
        error => {
            return cannot(&shown(&error.to_string()))
                .with_hint("check the certificates of the context, or of DOCKER_CERT_PATH");
        }
    };
    match error.kind() {
        io::ErrorKind::NotFound if is_socket => cannot("there is no such socket").with_hint(IS_IT_RUNNING),
        io::ErrorKind::ConnectionRefused => cannot("nothing listens there").with_hint(IS_IT_RUNNING),
        io::ErrorKind::PermissionDenied => Error::new(
            ErrorKind::Denied,
            format!("cannot connect to the Docker Engine at {endpoint}: permission denied"),
        )
        .with_hint("run as root, or as a member of the group that owns the socket"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Error::new(ErrorKind::Unavailable, format!("the Docker Engine at {endpoint} closed the connection"))
                .with_hint("see its log")
        }
        io::ErrorKind::InvalidData => {
            cannot(&format!("it does not speak TLS, or its certificate is not valid ({})", shown(&error.to_string())))
        }
        _ => cannot(&shown(&error.to_string())),
    }
}

const IS_IT_RUNNING: &str = "is it running? DOCKER_HOST or a context may name another";

/// Returns the error in a response; `body` is its beginning.
pub(crate) fn refused(path: &str, status: u16, body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let said = match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { message }) => shown(&message),
        Err(_) => shown(&String::from_utf8_lossy(body)),
    };
    let kind = match status {
        404 => ErrorKind::NotFound,
        401 | 403 => ErrorKind::Denied,
        400 | 409 => ErrorKind::InvalidInput,
        501 => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    Error::new(kind, format!("the engine refuses {} ({status}){said}", request(path)))
}

/// Returns the error for a response that is not what it should be.
pub(crate) fn garbled(path: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the response to {} is malformed: {}", request(path), shown(why)))
}

/// Returns the error for a response that ends early.
pub(crate) fn cut(path: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => own,
        Err(error) => Error::new(ErrorKind::Unavailable, format!("the response to {} ends early", request(path)))
            .with_source(error),
    }
}

/// Returns the error for a path that is no URI.
pub(crate) fn invalid(path: &str, error: &ureq::http::Error) -> Error {
    Error::input(format!("{} is not a request: {error}", request(path)))
}

/// Returns a path without its query.
fn request(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// Returns the beginning of a foreign text, in one line.
pub(crate) fn shown(text: &str) -> String {
    let line: String = text.trim().chars().take(SHOWN).flat_map(char::escape_debug).collect();
    // Quotes are no danger, and messages have many.
    line.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_permission_says_so() {
        let endpoint: Endpoint = "unix:///run/docker.sock".parse().unwrap();
        let error = of(&endpoint, ureq::Error::Io(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(error.kind(), ErrorKind::Denied);
        let expected = "cannot connect to the Docker Engine at unix:///run/docker.sock: permission denied";
        assert_eq!(error.message(), expected);
        assert!(error.hint().unwrap().contains("group that owns the socket"));
    }
}
