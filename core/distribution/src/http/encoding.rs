//! Content encodings of documents (RFC 9110, 8.4), which no request of ours asks for.

use longshore_oci::{Error, ErrorKind, Result};
use zune_inflate::{DeflateDecoder, DeflateOptions};

use super::{Url, bounded};

/// Returns the document that `bytes`, the start of a body, hold: at most `limit` bytes of it.
///
/// Some caches compress responses that no client asked them to. A registry that only claims to compress, and sends the document as
/// it is, does no harm.
///
/// # Errors
/// Encodings other than gzip; what is not valid gzip, or has more than `limit` bytes when decoded.
pub(super) fn decoded(bytes: Vec<u8>, encoding: &str, url: &Url, limit: u64) -> Result<Vec<u8>> {
    let is_json =
        || bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|first| matches!(first, b'{' | b'['));
    match encoding {
        "" | "identity" => Ok(bytes),
        _ if is_json() => Ok(bytes),
        "gzip" | "x-gzip" => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let options = DeflateOptions::default().set_limit(limit).set_size_hint(0);
            DeflateDecoder::new_with_options(&bytes, options).decode_gzip().map_err(|error| {
                let message =
                    format!("{url} has the content encoding `{encoding}`, but cannot be decoded within {limit} bytes");
                Error::corrupt(format!("{message}: {:?}", error.error))
            })
        }
        _ => {
            let message = format!("{url} has the content encoding `{}`", bounded(encoding));
            let hint = "the request asked for `identity`: check the proxy or cache before the registry";
            Err(Error::new(ErrorKind::Unsupported, message).with_hint(hint))
        }
    }
}
