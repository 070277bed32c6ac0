//! One CSV record: the syntax of outputs and sources.

use longshore_oci::{Error, Result};

use super::{Attrs, at_column};

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its text, without quotes.
    pub(crate) value: String,
    /// Where the field begins, in characters from 1.
    pub(crate) column: usize,
    /// Whether the field was quoted.
    pub(crate) quoted: bool,
}

/// Reads one CSV record (RFC 4180, with the rules of Go's `encoding/csv` about bare quotes). `noun` names the
/// record at the start of messages, such as `output`.
pub(crate) fn record(noun: &str, text: &str) -> Result<Vec<Field>> {
    let invalid = |column: usize, what: &str| {
        Error::option(format!("invalid {noun}: {what} at column {column}")).with_hint(quoting(noun))
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut characters = text.chars().enumerate().map(|(at, character)| (at + 1, character)).peekable();
    let mut fields = Vec::new();
    loop {
        let column = characters.peek().map_or(text.chars().count() + 1, |(column, _)| *column);
        let quoted = characters.next_if(|(_, character)| *character == '"').is_some();
        let mut value = String::new();
        loop {
            match characters.next() {
                None if quoted => return Err(invalid(column, "a quote that is not closed")),
                None => {
                    fields.push(Field { value, column, quoted });
                    return Ok(fields);
                }
                Some((at, '"')) if !quoted => return Err(invalid(at, "a quote within an unquoted field")),
                Some((_, ',')) if !quoted => break,
                Some((at, '\n' | '\r')) => return Err(invalid(at, "a line break")),
                Some((_, '"')) if characters.next_if(|(_, next)| *next == '"').is_some() => value.push('"'),
                Some((_, '"')) => match characters.next() {
                    None => {
                        fields.push(Field { value, column, quoted });
                        return Ok(fields);
                    }
                    Some((_, ',')) => break,
                    Some((at, _)) => return Err(invalid(at, "text after a closing quote")),
                },
                Some((_, character)) => value.push(character),
            }
        }
        fields.push(Field { value, column, quoted });
    }
}

/// Returns how to write a field with a comma, quoted for a shell.
fn quoting(noun: &str) -> String {
    let example = if noun == "source" { r#"'"rootfs:a,b",owner=0:0'"# } else { r#"'type=oci,"name=a,b"'"# };
    format!("quote a field that contains a comma or a quote as a whole, and double its quotes: {example}")
}

/// Writes one field, quoted if necessary: [`record`] reads it back.
pub(crate) fn quoted(field: &str) -> String {
    if field.contains([',', '"']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

/// Reads a field as `KEY=VALUE` with a trimmed, lower-case key.
///
/// The user's part of the key of a [family](super::Family), after its stem, keeps its case.
pub(crate) fn key_value<'f>(noun: &str, field: &'f Field) -> Result<(String, &'f str)> {
    let Some((key, value)) = field.value.split_once('=') else {
        let (text, column) = (field.value.escape_debug(), field.column);
        return Err(Error::option(format!("invalid {noun}: `{text}` at column {column} is not KEY=VALUE"))
            .with_hint(quoting(noun)));
    };
    let key = key.trim();
    let (stem, rest) = key.split_at(super::family::stem(key).len());
    let key = stem.to_lowercase() + rest;
    Ok((key, value))
}

/// Adds `KEY=VALUE` to `attrs`, which must not have the key yet.
pub(crate) fn insert(noun: &str, attrs: &mut Attrs, key: &str, value: &str, column: usize) -> Result<()> {
    if attrs.insert(key, value, Some(column)) { Ok(()) } else { Err(given_twice(noun, key, column)) }
}

/// Returns the error for a key that is given a second time.
pub(crate) fn given_twice(noun: &str, key: &str, column: usize) -> Error {
    Error::option(format!("invalid {noun}: `{}` is given twice{}", key.escape_debug(), at_column(Some(column))))
}
