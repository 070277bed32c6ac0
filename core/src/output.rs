//! The grammar of `--output`: what buildx takes, without what it gets silently wrong.

use std::path::PathBuf;

use longshore_oci::{Error, Result};

use crate::options::{Attrs, at_column};

/// One output as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// Its type.
    pub kind: String,
    /// Where it goes, if that was said.
    pub dest: Option<Dest>,
    /// All other options.
    pub attrs: Attrs,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// `-`.
    Stdout,
    /// A path.
    Path(PathBuf),
}

impl OutputSpec {
    /// Reads one `--output`; `None` for `type=cacheonly`, which asks for nothing.
    ///
    /// One CSV record of `key=value` fields, as Go's `encoding/csv` reads it. Keys are trimmed and
    /// lower-cased, but what follows `annotation….` keeps its case. One field that does not begin
    /// with `type=` is a path for `type=local`; `-` is `type=tar` on standard output.
    ///
    /// ```
    /// use longshore_core::OutputSpec;
    ///
    /// let spec = OutputSpec::parse(r#"type=oci,"name=a:1,a:2",dest=a.tar"#)?.unwrap();
    /// assert_eq!(spec.kind, "oci");
    /// assert_eq!(spec.attrs.iter().next().unwrap().1.value, "a:1,a:2");
    /// # Ok::<(), longshore_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) with the column: a record that is not CSV, a
    /// field without `=`, a key that stands twice, no type.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let fields = record(text)?;
        if let [field] = &fields[..]
            && !field.quoted
            && !field.value.starts_with("type=")
            && !field.value.is_empty()
        {
            return Ok(Some(Self::from_path(&field.value)));
        }
        if text.is_empty() {
            return Err(Error::option("invalid output: it is empty"));
        }
        let (mut kind, mut dest, mut attrs) = (None, None, Attrs::default());
        for Field { value, column, .. } in fields {
            let Some((key, value)) = value.split_once('=') else {
                let message = format!("invalid output: `{}` at column {column} is not KEY=VALUE", value.escape_debug());
                return Err(Error::option(message));
            };
            let key = lower_key(key.trim());
            let is_new = match key.as_str() {
                "type" => kind.replace(value.to_owned()).is_none(),
                "dest" => dest.replace(Dest::parse(value, column)?).is_none(),
                _ => attrs.insert(&key, value, Some(column)),
            };
            if !is_new {
                let at = at_column(Some(column));
                return Err(Error::option(format!("invalid output: `{}` stands again{at}", key.escape_debug())));
            }
        }
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or_else(|| {
            Error::option("invalid output: it has no type").with_hint("write type=oci,dest=FILE, for example")
        })?;
        if kind == "cacheonly" {
            return match (dest, attrs.iter().next()) {
                (None, None) => Ok(None),
                _ => Err(Error::option("invalid output: type=cacheonly writes nothing, so it has no options")),
            };
        }
        Ok(Some(Self { kind, dest, attrs }))
    }

    fn from_path(path: &str) -> Self {
        let (kind, dest) = match path {
            "-" => ("tar", Dest::Stdout),
            path => ("local", Dest::Path(path.into())),
        };
        Self { kind: kind.to_owned(), dest: Some(dest), attrs: Attrs::default() }
    }
}

impl Dest {
    fn parse(value: &str, column: usize) -> Result<Self> {
        match value {
            "" => Err(Error::option(format!("invalid output: `dest` at column {column} is empty"))),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::Path(path.into())),
        }
    }
}

/// Lower-cases a key, except the name of an annotation.
fn lower_key(key: &str) -> String {
    let lower = key.to_lowercase();
    match key.find('.') {
        Some(dot) if lower.starts_with("annotation") => format!("{}{}", key[..dot].to_lowercase(), &key[dot..]),
        _ => lower,
    }
}

/// A field of a record, and where it begins, in characters from 1.
struct Field {
    value: String,
    column: usize,
    quoted: bool,
}

/// Reads one CSV record (RFC 4180, with the rules of Go's `encoding/csv` about bare quotes).
fn record(text: &str) -> Result<Vec<Field>> {
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

fn invalid(column: usize, what: &str) -> Error {
    Error::option(format!("invalid output: {what} at column {column}"))
        .with_hint("a value with a comma is quoted with its key: \"name=a,b\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> OutputSpec {
        OutputSpec::parse(text).unwrap().unwrap()
    }

    fn attrs(text: &str) -> Vec<(String, String)> {
        parse(text).attrs.iter().map(|(key, attr)| (key.to_owned(), attr.value.clone())).collect()
    }

    #[test]
    fn shorthands() {
        for (text, kind, dest) in [
            ("out", "local", Dest::Path("out".into())),
            ("a=b", "local", Dest::Path("a=b".into())),
            ("-", "tar", Dest::Stdout),
            ("type=oci,dest=-", "oci", Dest::Stdout),
            ("type=oci,dest=a b", "oci", Dest::Path("a b".into())),
        ] {
            let spec = parse(text);
            assert_eq!((spec.kind.as_str(), spec.dest), (kind, Some(dest)), "{text}");
        }
        assert_eq!(OutputSpec::parse("type=cacheonly").unwrap(), None);
    }

    #[test]
    fn fields_are_csv() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        for (text, expected) in [
            (r#"type=x,"name=a,b",push=true"#, pairs(&[("name", "a,b"), ("push", "true")])),
            (r#"type=x,"a=""q""""#, pairs(&[("a", "\"q\"")])),
            ("type=x, Name =  v ", pairs(&[("name", "  v ")])),
            (
                "type=x,ANNOTATION-Index[linux/amd64].Org.Foo=Bar",
                pairs(&[("annotation-index[linux/amd64].Org.Foo", "Bar")]),
            ),
            ("type=x,Annotation.A=b=c", pairs(&[("annotation.A", "b=c")])),
            ("type=x,push=\n", pairs(&[("push", "")])),
        ] {
            assert_eq!(attrs(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_show_the_column() {
        for (text, expected) in [
            (r#"type=oci,name=a"b"#, "a quote within an unquoted field at column 16"),
            (r#"type=oci,"name=a"#, "a quote that is not closed at column 10"),
            (r#"type=oci,"name=a"x"#, "text after a closing quote at column 18"),
            ("type=oci,push", "`push` at column 10 is not KEY=VALUE"),
            ("type=oci,é=1,name", "`name` at column 14 is not KEY=VALUE"),
            ("type=oci,name=a,name=b", "`name` stands again at column 17"),
            ("type=oci,NAME=a,name=b", "`name` stands again at column 17"),
            ("type=oci,type=tar", "`type` stands again at column 10"),
            ("type=oci,dest=", "`dest` at column 10 is empty"),
            ("name=a,dest=b", "it has no type"),
            ("type=", "it has no type"),
            ("", "it is empty"),
            ("type=cacheonly,dest=a", "type=cacheonly writes nothing, so it has no options"),
            ("type=oci,\nname=a", "a line break at column 10"),
        ] {
            let error = OutputSpec::parse(text).unwrap_err();
            assert_eq!(error.message(), format!("invalid output: {expected}"), "{text}");
        }
    }
}
