//! The grammar of `--output`: buildx's, but strict.

use std::path::PathBuf;

use longshore_content::nearest;
use longshore_oci::{Error, Result};

use crate::options::{Attrs, record};

const NOUN: &str = "output";

/// One requested output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputSpec {
    /// Its type.
    pub kind: String,
    /// Its destination, if given.
    pub dest: Option<Dest>,
    /// All other options.
    pub attrs: Attrs,
}

/// The destination of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dest {
    /// `-`.
    Stdout,
    /// A path.
    Path(PathBuf),
}

impl OutputSpec {
    /// Creates an output without a destination and options.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), dest: None, attrs: Attrs::default() }
    }

    /// Sets the destination.
    #[must_use]
    pub fn with_dest(self, dest: Option<Dest>) -> Self {
        Self { dest, ..self }
    }

    /// Sets the options.
    #[must_use]
    pub fn with_attrs(self, attrs: Attrs) -> Self {
        Self { attrs, ..self }
    }

    /// Reads one `--output`; `None` for `type=cacheonly`, which writes nothing.
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
    /// field without `=`, a key that is given twice, no type.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let fields = record::record(NOUN, text)?;
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
        for field in &fields {
            let (key, value) = record::key_value(NOUN, field)?;
            let twice = || record::given_twice(NOUN, &key, field.column);
            match key.as_str() {
                "type" if kind.is_none() => kind = Some(value.to_owned()),
                "dest" if dest.is_none() => dest = Some(Dest::parse(value, field.column)?),
                "type" | "dest" => return Err(twice()),
                _ => record::insert(NOUN, &mut attrs, &key, value, field.column)?,
            }
        }
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or_else(|| without_type(text, dest.is_some(), &attrs))?;
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

fn without_type(text: &str, has_dest: bool, attrs: &Attrs) -> Error {
    let keys = attrs.iter().map(|(key, _)| key);
    let hint = match nearest("type", keys) {
        Some(key) => format!("`{key}` was meant as `type`, perhaps"),
        None if has_dest => format!("write type=oci,{text}, for example"),
        None if attrs.iter().next().is_some() => format!("write type=image,{text}, for example"),
        None => "write type=oci,dest=FILE, for example".to_owned(),
    };
    Error::option("invalid output: it has no type").with_hint(hint)
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
    fn an_output_of_several_options_is_told_its_type() {
        for (text, hint) in [
            ("dest=a.tar,name=b", "write type=oci,dest=a.tar,name=b, for example"),
            ("push=true,name=b", "write type=image,push=true,name=b, for example"),
            ("tpye=oci,dest=a.tar", "`tpye` was meant as `type`, perhaps"),
            ("type=", "write type=oci,dest=FILE, for example"),
        ] {
            assert_eq!(OutputSpec::parse(text).unwrap_err().hint(), Some(hint), "{text}");
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
            ("type=oci,name=a,name=b", "`name` is given twice at column 17"),
            ("type=oci,NAME=a,name=b", "`name` is given twice at column 17"),
            ("type=oci,type=tar", "`type` is given twice at column 10"),
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
