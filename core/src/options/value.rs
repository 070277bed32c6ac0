//! Value types: each has its syntax and parser.

use std::borrow::Cow;

use longshore_oci::{Error, Platform, Result};

use super::record::{quoted, record};

/// A type that an option can have.
pub trait Value: Sized {
    /// Returns the syntax of values, such as `true|false`.
    fn syntax() -> Cow<'static, str>;

    /// Parses a value.
    ///
    /// # Errors
    /// An error whose message says what was expected and what was found.
    fn parse(text: &str) -> Result<Self>;
}

/// Go's `strconv.ParseBool`; an empty value is `true`, for every option alike.
impl Value for bool {
    fn syntax() -> Cow<'static, str> {
        "true|false".into()
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(expected::<Self>(text)),
        }
    }
}

impl Value for String {
    fn syntax() -> Cow<'static, str> {
        "TEXT".into()
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(text.to_owned())
    }
}

/// A list is one CSV record: an item with a comma must be quoted.
impl Value for Vec<String> {
    fn syntax() -> Cow<'static, str> {
        "TEXT[,TEXT…]".into()
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(record("list", text)?.into_iter().map(|field| field.value).collect())
    }
}

/// Writes a list as the text of one option, from which `Vec<String>` is read.
pub fn list_value(items: &[String]) -> String {
    items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(",")
}

impl Value for i32 {
    fn syntax() -> Cow<'static, str> {
        "NUMBER".into()
    }

    fn parse(text: &str) -> Result<Self> {
        text.parse().map_err(|_| expected::<Self>(text))
    }
}

/// Who owns a file: `UID:GID`, in numbers, as names would depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Value for Owner {
    fn syntax() -> Cow<'static, str> {
        "UID:GID".into()
    }

    fn parse(text: &str) -> Result<Self> {
        // The highest number means "unchanged" to chown(2).
        let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX);
        let owner = text.split_once(':').and_then(|(uid, gid)| Some(Self { uid: number(uid)?, gid: number(gid)? }));
        owner.ok_or_else(|| {
            let meant = number(text).unwrap_or(0);
            let who = if number(text).is_some() { "" } else { "for root " };
            Error::option(format!("expected numeric UID:GID, not `{}`", text.escape_debug()))
                .with_hint(format!("{who}write {meant}:{meant}"))
        })
    }
}

impl Value for Platform {
    fn syntax() -> Cow<'static, str> {
        "[OS/]ARCH[/VARIANT]".into()
    }

    fn parse(text: &str) -> Result<Self> {
        text.parse()
    }
}

/// Returns the error for `text` where a `T` was expected.
fn expected<T: Value>(text: &str) -> Error {
    Error::option(format!("expected {}, not `{}`", T::syntax(), text.escape_debug()))
}

/// Returns the syntax of a closed set of words, for a [`Value`] that derives its words with `strum`.
pub fn choice_syntax<T: strum::VariantNames>() -> Cow<'static, str> {
    T::VARIANTS.join("|").into()
}

/// Reads one word of a closed set.
///
/// # Errors
/// Another word, with the nearest one of the set.
pub fn parse_choice<T: Value + strum::VariantNames + std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        let error = expected::<T>(text);
        match super::nearest(text, T::VARIANTS.iter().copied()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bool_reads_what_go_reads() {
        for text in ["1", "t", "T", "TRUE", "true", "True", ""] {
            assert!(bool::parse(text).unwrap(), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert!(!bool::parse(text).unwrap(), "{text}");
        }
        assert_eq!(bool::parse("yes").unwrap_err().message(), "expected true|false, not `yes`");
    }

    #[test]
    fn lists_are_read_as_they_were_written() {
        for items in [vec!["a"], vec!["a", "b"], vec!["*.{a,b}", "\"q\"", ""], vec!["", ""]] {
            let items: Vec<String> = items.into_iter().map(str::to_owned).collect();
            assert_eq!(Vec::<String>::parse(&list_value(&items)).unwrap(), items);
        }
    }

    #[test]
    fn owners_are_numbers() {
        assert_eq!(Owner::parse("0:100").unwrap(), Owner { uid: 0, gid: 100 });
        for text in ["root:root", "0", "0:", "-1:0", "4294967295:0", "0:0:0"] {
            assert!(Owner::parse(text).unwrap_err().message().contains(text), "{text}");
        }
    }
}
