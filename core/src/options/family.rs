//! Option families: keys of the same form, such as `annotation-manifest[PLATFORM].KEY`.

use longshore_oci::{Error, Result};

use super::Value;

/// The values of a family, in the order in which they were written. Families with other stems may share one place, and then
/// their order.
///
/// `Q` is the type in brackets, `T` the type of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family<Q, T>(Vec<Member<Q, T>>);

/// One option of a family: `STEM[QUALIFIER].NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<Q, T> {
    /// The text in brackets, if there are any.
    pub qualifier: Option<Q>,
    /// The text after the first dot that follows the stem; it keeps its case.
    pub name: String,
    /// The value.
    pub value: T,
    /// Its place among all options, as they were written.
    at: usize,
}

impl<Q, T> Default for Family<Q, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Q, T> Family<Q, T> {
    /// Returns the options of the family.
    pub fn members(&self) -> &[Member<Q, T>] {
        &self.0
    }
}

/// The target of the values of a family; implemented by [`Family`].
pub trait FamilyPlace {
    /// Stores the value `text` of the option `STEM[QUALIFIER].NAME`, which was written at the place `at` of all options.
    ///
    /// # Errors
    /// An invalid qualifier or value.
    fn set(&mut self, qualifier: Option<&str>, name: &str, text: &str, at: usize) -> Result<()>;
}

impl<Q: Value, T: Value> FamilyPlace for Family<Q, T> {
    fn set(&mut self, qualifier: Option<&str>, name: &str, text: &str, at: usize) -> Result<()> {
        let qualifier = qualifier.map(Q::parse).transpose()?;
        let before = self.0.partition_point(|member| member.at <= at);
        self.0.insert(before, Member { qualifier, name: name.to_owned(), value: T::parse(text)?, at });
        Ok(())
    }
}

/// Returns everything before the first bracket or dot: the key of a single option, or the stem of a family.
pub fn stem(key: &str) -> &str {
    &key[..key.find(['[', '.']).unwrap_or(key.len())]
}

/// Splits `key` by `pattern`, which is `STEM.NAME` or `STEM[QUALIFIER].NAME`, into an optional qualifier and a
/// name. `None` for a key that is not in the family.
///
/// # Errors
/// A key in the family that lacks its name, or has a qualifier that the family does not accept.
pub(super) fn split<'k>(pattern: &str, key: &'k str) -> Result<Option<(Option<&'k str>, &'k str)>> {
    if stem(key) != stem(pattern) {
        return Ok(None);
    }
    let malformed = || Error::option(format!("expected {pattern}"));
    let rest = &key[stem(key).len()..];
    let (qualifier, rest) = match rest.strip_prefix('[') {
        Some(_) if !pattern.contains('[') => return Err(malformed()),
        Some(rest) => {
            let (qualifier, rest) = rest.split_once(']').ok_or_else(malformed)?;
            (Some(qualifier), rest)
        }
        None => (None, rest),
    };
    match rest.strip_prefix('.') {
        Some(name) if !name.is_empty() => Ok(Some((qualifier, name))),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attrs, Options, Visitor, describe, parse};
    use super::*;
    use longshore_oci::Platform;

    #[derive(Debug, Default)]
    struct Labels {
        all: Family<String, String>,
        by_platform: Family<Platform, bool>,
        label: Option<String>,
    }

    impl Options for Labels {
        fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
            visitor.family("note.KEY", "A note", "none", &mut self.all)?;
            visitor.family("note-for[PLATFORM].KEY", "Whether to note", "none", &mut self.by_platform)?;
            visitor.option("label", "A label", "none", &mut self.label)
        }
    }

    fn read(key: &str, value: &str) -> Result<Labels> {
        let mut labels = Labels::default();
        parse("x", &Attrs::from_iter([(key, value), ("label", "l"), ("note.first", "1")]), &mut labels)?;
        Ok(labels)
    }

    #[test]
    fn members_are_read() {
        let labels = read("note.org.Example.A", "b").unwrap();
        let members: Vec<_> = labels.all.members().iter().map(|m| (m.name.as_str(), m.value.as_str())).collect();
        assert_eq!(members, [("org.Example.A", "b"), ("first", "1")]);
        assert_eq!(labels.label.as_deref(), Some("l"));
        let labels = read("note-for[linux/arm64].A.b", "false").unwrap();
        let [member] = labels.by_platform.members() else { panic!("one member") };
        assert_eq!(member.qualifier.as_ref().unwrap().to_string(), "linux/arm64");
        assert_eq!((member.name.as_str(), member.value), ("A.b", false));
        assert_eq!(read("note-for.A", "").unwrap().by_platform.members()[0].qualifier, None);
    }

    #[test]
    fn keys_and_values_that_are_not_of_the_family() {
        for (key, value, message, hint) in [
            ("note[x].A", "1", "option `note[x].A` of type=x: expected note.KEY", None),
            ("note", "1", "option `note` of type=x: expected note.KEY", None),
            ("note.", "1", "option `note.` of type=x: expected note.KEY", None),
            ("note-for[linux", "1", "option `note-for[linux` of type=x: expected note-for[PLATFORM].KEY", None),
            (
                "note-for[linux/arm64]A",
                "1",
                "option `note-for[linux/arm64]A` of type=x: expected note-for[PLATFORM].KEY",
                None,
            ),
            ("note-for.A", "maybe", "option `note-for.A` of type=x: expected true|false, not `maybe`", None),
            ("noet.A", "1", "type=x has no option `noet.A`", Some("did you mean `note.KEY`?")),
            (
                "note-fro[a].B",
                "1",
                "type=x has no option `note-fro[a].B`",
                Some("did you mean `note-for[PLATFORM].KEY`?"),
            ),
            (
                "zzz",
                "1",
                "type=x has no option `zzz`",
                Some("it has type, dest, note.KEY, note-for[PLATFORM].KEY, label"),
            ),
        ] {
            let error = read(key, value).unwrap_err();
            assert_eq!((error.message(), error.hint()), (message, hint), "{key}");
        }
        assert!(read("note-for[].A", "1").is_err());
    }

    #[test]
    fn families_that_share_a_place_share_their_order() {
        #[derive(Debug, Default)]
        struct Spellings(Family<String, String>);
        impl Options for Spellings {
            fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
                visitor.family("note.KEY", "A note", "none", &mut self.0)?;
                visitor.family("remark.KEY", "Same as note.KEY", "none", &mut self.0)
            }
        }
        let mut found = Spellings::default();
        let written = [("remark.a", "1"), ("note.a", "2"), ("remark.b", "3"), ("note.b", "4")];
        parse("x", &Attrs::from_iter(written), &mut found).unwrap();
        let values: Vec<_> = found.0.members().iter().map(|member| member.value.as_str()).collect();
        assert_eq!(values, ["1", "2", "3", "4"]);
    }

    /// A key that did not follow the pattern was named without its owner and its column.
    #[test]
    fn a_malformed_key_is_named_with_its_owner_and_column() {
        let mut attrs = Attrs::default();
        attrs.insert("note[x\n].A", "1", Some(7));
        let error = parse("x", &attrs, &mut Labels::default()).unwrap_err();
        assert_eq!(error.message(), "option `note[x\\n].A` of type=x at column 7: expected note.KEY");
    }

    #[test]
    fn a_family_is_described_once() {
        let keys: Vec<_> = describe(&mut Labels::default()).into_iter().map(|info| info.key).collect();
        assert_eq!(keys, ["note.KEY", "note-for[PLATFORM].KEY", "label"]);
    }
}
