//! JSON as Docker wrote it in the days of this format.

use longshore_core::Result;
use longshore_core::oci::json;
use serde::Serialize;

/// Returns `document` on one line, as written by Go before 1.22: newer versions have short escapes for `\b` and `\f`,
/// which [`json::compact`] writes.
pub(super) fn document<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    let mut rest = json::compact(document)?.into_iter();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'b') => bytes.extend_from_slice(br"\u0008"),
            Some(b'f') => bytes.extend_from_slice(br"\u000c"),
            escaped => bytes.extend([b'\\'].into_iter().chain(escaped)),
        }
    }
    Ok(bytes)
}

/// Like [`document`], with the newline that Go's `Encoder` adds.
pub(super) fn line<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = document(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_have_the_long_escapes_of_old_go() {
        let text = "\u{8}\u{c}\n\r\t\u{1}\u{7f}\\b\\\\f\"<";
        let expected = r#""\u0008\u000c\n\r\t\u0001"#.to_owned() + "\u{7f}" + r#"\\b\\\\f\"\u003c""#;
        assert_eq!(String::from_utf8(document(&text).unwrap()).unwrap(), expected);
        assert_eq!(line(&[0]).unwrap(), b"[0]\n");
    }
}
