//! The response to an archive: a stream of JSON messages, in which an engine says what it loaded and what went wrong.

use std::io::Read;

use longshore_oci::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::failure::{cut, garbled, shown};

/// More than the messages about one archive take, in bytes.
const LIMIT: u64 = 16 << 20;
/// What containerd's store begins a message with about an image whose content it lacks: to it that is no error, and the
/// image stays.
const BROKEN: &str = "Error unpacking image";

#[derive(Deserialize)]
struct Message {
    stream: Option<String>,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

/// Reads the response to `path` to its end.
///
/// # Errors
/// The first error in it; a response that is malformed or ends early.
pub(crate) fn read(path: &str, response: impl Read) -> Result<()> {
    let messages = serde_json::Deserializer::from_reader(response.take(LIMIT)).into_iter::<Message>();
    for message in messages {
        let message = message.map_err(|error| match error.io_error_kind() {
            Some(_) => cut(path, error.into()),
            None => garbled(path, &error.to_string()),
        })?;
        let said = message.detail.and_then(|detail| detail.message).or(message.error);
        let broken = message.stream.filter(|text| text.starts_with(BROKEN));
        if let Some(text) = said.or(broken) {
            let is_full = ["no space left on device", "disk quota exceeded"].iter().any(|words| text.contains(words));
            let kind = if is_full { ErrorKind::NoSpace } else { ErrorKind::InvalidInput };
            return Err(Error::new(kind, format!("the engine cannot load it: {}", shown(&text))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(response: &str) -> Error {
        read("/images/load", response.as_bytes()).unwrap_err()
    }

    #[test]
    fn errors_in_the_stream_are_errors() {
        read("/images/load", &b""[..]).unwrap();
        read(
            "/images/load",
            &b"{\"stream\":\"Loaded image: app:1\\n\"}\r\n{\"status\":\"x\",\"progressDetail\":{}}\r\n"[..],
        )
        .unwrap();
        let cases = [
            (
                r#"{"errorDetail":{"message":"invalid tar header"},"error":"x"}"#,
                "the engine cannot load it: invalid tar header",
            ),
            (r#"{"stream":"ok"}{"error":"no space"}"#, "the engine cannot load it: no space"),
            (
                r#"{"stream":"Loaded image ID: sha256:1\n"}{"stream":"Error unpacking image sha256:1: not found\n"}"#,
                "the engine cannot load it: Error unpacking image sha256:1: not found",
            ),
        ];
        for (response, expected) in cases {
            assert_eq!(error(response).message(), expected);
        }
        assert!(error("garbage").message().starts_with("the response to /images/load is malformed"));
        assert!(error(r#"{"stream":"Lo"#).message().contains("malformed"));
    }
}
