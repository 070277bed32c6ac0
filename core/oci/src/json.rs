//! The one JSON writer for documents that are hashed, and code shared by their readers.
//!
//! Writes what Go's `encoding/json` writes, because that is what every peer hashes: `<`, `>`, `&`,
//! U+2028 and U+2029 escaped, maps sorted by key (by the types that use [`BTreeMap`]), no newline at
//! the end.
//!
//! [`BTreeMap`]: std::collections::BTreeMap

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::error::{Error, Result};

/// Serialises `document` on one line: image configurations and `index.json`.
///
/// # Errors
/// `document` cannot be written as JSON, e.g. a map whose keys are not strings.
pub fn compact<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    write(document, GoFormatter(CompactFormatter))
}

/// Serialises `document` indented by two spaces: manifests and indexes, as `BuildKit` writes them.
///
/// # Errors
/// As [`compact`].
pub fn indented<T: Serialize>(document: &T) -> Result<Vec<u8>> {
    write(document, GoFormatter(PrettyFormatter::with_indent(b"  ")))
}

/// Reads `null` as an empty list, map or number: Go's tools write it for a slice or map that was never set.
///
/// # Errors
/// Anything else that is not a `T`.
pub fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a document, or a part of one.
///
/// # Errors
/// Not JSON; a field that is missing or of another type, by its path in the document.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => Error::input(error.into_inner().to_string()),
            path => Error::input(format!("`{}`: {}", path.escape_debug(), error.into_inner())),
        }
    })?;
    deserializer.end().map_err(|error| Error::input(error.to_string()))?;
    Ok(read)
}

fn write<T: Serialize, F: Formatter>(document: &T, formatter: F) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    document
        .serialize(&mut serializer)
        .map_err(|error| Error::input("cannot write a document as JSON").with_source(error))?;
    Ok(bytes)
}

/// Adds Go's escapes to a formatter of `serde_json`.
struct GoFormatter<F>(F);

macro_rules! forward {
    ($($method:ident($($argument:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $method<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $argument: $kind)*) -> io::Result<()> {
            self.0.$method(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    forward! {
        begin_array(), end_array(), begin_array_value(first: bool), end_array_value(),
        begin_object(), end_object(), begin_object_key(first: bool), end_object_key(),
        begin_object_value(), end_object_value(),
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(writer, fragment)
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(writer, &strip_whitespace(fragment))
    }
}

fn write_escaped<W: ?Sized + io::Write>(writer: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        writer.write_all(&rest.as_bytes()[..at])?;
        let Some(special) = rest[at..].chars().next() else { break };
        write!(writer, "\\u{:04x}", u32::from(special))?;
        rest = &rest[at + special.len_utf8()..];
    }
    writer.write_all(rest.as_bytes())
}

/// Removes white space between tokens, as Go does with a `RawMessage`; numbers stay as written.
fn strip_whitespace(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            in_string = true;
        } else if character.is_ascii_whitespace() {
            continue;
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn escapes_as_go_does() {
        let text = "a<b>&\u{2028}\u{2029}é\"\\\n";
        assert_eq!(compact(&text).unwrap(), br#""a\u003cb\u003e\u0026\u2028\u2029"#.iter().chain("é\\\"\\\\\\n\"".as_bytes()).copied().collect::<Vec<u8>>());
    }

    #[test]
    fn raw_values_are_compacted_but_not_reinterpreted() {
        let raw: Box<RawValue> = serde_json::from_str("{ \"a b\" : [ 1.50 , 1e400, \"x \\\" <\" ] }").unwrap();
        assert_eq!(String::from_utf8(compact(&raw).unwrap()).unwrap(), r#"{"a b":[1.50,1e400,"x \" \u003c"]}"#);
    }
}
