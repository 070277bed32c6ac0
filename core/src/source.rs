//! The grammar of sources: `[PLATFORM=]SCHEME[:VALUE][,KEY=VALUE…]`.

use std::path::Path;

use longshore_oci::{Error, Platform, Result};

use crate::options::{Attrs, record};

/// One requested source: `[PLATFORM=]SCHEME[:VALUE][,KEY=VALUE…]`.
///
/// A source is one CSV record, like an output: its first field is the source, the others are options.
/// A field that contains a comma is quoted as a whole, with its quotes doubled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The platform of the result, if given. Without an operating system it is that of Linux.
    pub platform: Option<Platform>,
    /// The word before the first colon.
    pub scheme: String,
    /// The text after that colon; empty if there is none.
    pub value: String,
    /// The options.
    pub attrs: Attrs,
}

impl Source {
    /// Creates a source without a platform and options.
    pub fn new(scheme: impl Into<String>, value: impl Into<String>) -> Self {
        Self { platform: None, scheme: scheme.into(), value: value.into(), attrs: Attrs::default() }
    }

    /// Reads a source.
    ///
    /// ```
    /// use longshore_core::Source;
    ///
    /// let source = Source::parse("linux/arm64=rootfs:out/arm,owner=0:0")?;
    /// assert_eq!((source.scheme.as_str(), source.value.as_str()), ("rootfs", "out/arm"));
    /// assert_eq!(source.platform.unwrap().to_string(), "linux/arm64");
    /// assert_eq!(source.attrs.iter().next().unwrap().1.value, "0:0");
    ///
    /// let source = Source::parse(r#""rootfs:a, b",owner=0:0"#)?;
    /// assert_eq!(source.value, "a, b");
    /// # Ok::<(), longshore_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption), with the column: a record that is not CSV, an option
    /// without `=` or given twice, and what precedes `=` in the first field if that is not a platform.
    pub fn parse(text: &str) -> Result<Self> {
        const NOUN: &str = "source";
        let fields = record::record(NOUN, text)?;
        let (first, options) = fields.split_at(1);
        let mut source = Self::parse_first(first.first().map_or("", |field| &field.value))?;
        for field in options {
            let (key, value) = record::key_value(NOUN, field)?;
            record::insert(NOUN, &mut source.attrs, &key, value, field.column)?;
        }
        Ok(source)
    }

    fn parse_first(text: &str) -> Result<Self> {
        let scheme_end = text.find(':').unwrap_or(text.len());
        // A `=` after the scheme belongs to a path or a name.
        let (platform, rest) = match text[..scheme_end].split_once('=') {
            Some((platform, _)) => {
                let is_nearly = |error: &Error| error.hint().is_some_and(|hint| hint.starts_with("did you mean"));
                let parsed =
                    platform.parse().map_err(|error: Error| match platform.contains('/') || is_nearly(&error) {
                        true => error,
                        false => error
                            .with_hint("a source is SCHEME:VALUE, such as rootfs:DIR, after PLATFORM= if it has one"),
                    });
                (Some(parsed?), &text[platform.len() + 1..])
            }
            None => (None, text),
        };
        let (scheme, value) = rest.split_once(':').unwrap_or((rest, ""));
        Ok(Self { platform, ..Self::new(scheme, value) })
    }

    /// Returns this source with `reference` selected: `VALUE:REFERENCE`, `//HOST/REFERENCE`, or `REFERENCE` where the
    /// value is empty or `//`.
    #[must_use]
    pub fn with_reference(mut self, reference: &str) -> Self {
        match self.value.as_str() {
            "" | "//" => {}
            value if value.starts_with("//") => self.value.push('/'),
            _ => self.value.push(':'),
        }
        self.value.push_str(reference);
        self
    }
}

/// Splits `PATH[:REFERENCE]`, the value of sources that hold several images.
///
/// Both parts may contain colons, so the path is the longest one that exists; `-`, standard input, counts as
/// existing. Where none exists the path ends at the first colon.
pub fn split_reference(value: &str) -> (&str, Option<&str>) {
    let ends = value.rmatch_indices(':').map(|(at, _)| at);
    let exists = |end: &usize| value[..*end] == *"-" || Path::new(&value[..*end]).exists();
    match [value.len()].into_iter().chain(ends).find(exists) {
        Some(end) => (&value[..end], value.get(end + 1..)),
        None => value.split_once(':').map_or((value, None), |(path, reference)| (path, Some(reference))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_records() {
        for (text, scheme, value, attrs) in [
            ("scratch", "scratch", "", vec![]),
            ("scratch,a=", "scratch", "", vec![("a", "")]),
            ("rootfs:/a=b", "rootfs", "/a=b", vec![]),
            ("docker://r:5000/app:1,Referrers=true", "docker", "//r:5000/app:1", vec![("referrers", "true")]),
            (r#""oci:a,b:v1",x=1,"y=2,""3""""#, "oci", "a,b:v1", vec![("x", "1"), ("y", "2,\"3\"")]),
            (r#""linux/arm/v7=oci:a,b""#, "oci", "a,b", vec![]),
        ] {
            let source = Source::parse(text).unwrap();
            let found: Vec<_> = source.attrs.iter().map(|(key, attr)| (key, attr.value.as_str())).collect();
            assert_eq!((source.scheme.as_str(), source.value.as_str(), found), (scheme, value, attrs), "{text}");
        }
    }

    /// No scheme contains a `=`, so what precedes one before the first colon is a platform.
    #[test]
    fn a_platform_may_leave_out_linux() {
        for (text, platform, scheme, value) in [
            ("linux/arm/v7=scratch", "linux/arm/v7", "scratch", ""),
            ("arm64=oci:layout:v1", "linux/arm64", "oci", "layout:v1"),
            ("arm/v6=docker://r:5000/a=b", "linux/arm/v6", "docker", "//r:5000/a=b"),
            ("wasi/wasm=rootfs:arm64=x", "wasi/wasm", "rootfs", "arm64=x"),
        ] {
            let source = Source::parse(text).unwrap();
            let found = (source.platform.unwrap().to_string(), source.scheme.as_str(), source.value.as_str());
            assert_eq!(found, (platform.to_owned(), scheme, value), "{text}");
        }
        assert_eq!(Source::parse("rootfs:arm64=x").unwrap().platform, None);
        for (text, hint) in [
            ("amd46=rootfs:x", "did you mean `amd64`?"),
            ("rootfs=./x", "a source is SCHEME:VALUE, such as rootfs:DIR, after PLATFORM= if it has one"),
        ] {
            assert_eq!(Source::parse(text).unwrap_err().hint(), Some(hint), "{text}");
        }
    }

    #[test]
    fn errors_show_the_column() {
        for (text, expected) in [
            ("rootfs:a,b", "`b` at column 10 is not KEY=VALUE"),
            ("rootfs:a,x=1,X=2", "`x` is given twice at column 14"),
            (r#"rootfs:a"b"#, "a quote within an unquoted field at column 9"),
            (r#""rootfs:a"#, "a quote that is not closed at column 1"),
        ] {
            let error = Source::parse(text).unwrap_err();
            assert_eq!(error.message(), format!("invalid source: {expected}"), "{text}");
            assert_eq!(error.hint().is_some(), !text.contains("X="), "{text}");
        }
        assert!(Source::parse("linux/=rootfs:a").is_err());
    }

    #[test]
    fn a_reference_is_selected() {
        for (source, reference, value) in [
            ("image", "app:1", "app:1"),
            ("docker://", "r.example/app:1", "//r.example/app:1"),
            ("docker://localhost:5000", "app:1", "//localhost:5000/app:1"),
            ("oci-archive:x.tar", "app:1", "x.tar:app:1"),
        ] {
            assert_eq!(Source::parse(source).unwrap().with_reference(reference).value, value, "{source}");
        }
    }

    #[test]
    fn paths_and_references_may_contain_colons() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a:b"), "").unwrap();
        let path = root.path().join("a:b").display().to_string();
        let with = |reference: &str| format!("{path}:{reference}");
        assert_eq!(split_reference(&path), (path.as_str(), None));
        assert_eq!(split_reference(&with("app:1")), (path.as_str(), Some("app:1")));
        assert_eq!(split_reference(&with("")), (path.as_str(), Some("")));
        assert_eq!(split_reference("-:app:1"), ("-", Some("app:1")));
        assert_eq!(split_reference("-"), ("-", None));
        assert_eq!(split_reference("missing:app:1"), ("missing", Some("app:1")));
    }
}
