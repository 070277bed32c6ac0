//! The options of layers that are made of directories and tar archives.

use std::borrow::Cow;

use longshore_core::options::{Attrs, Options, Value, Visitor, parse_for};
use longshore_core::tree::Patterns;
use longshore_core::{Error, Result};

/// The options of a layer: who owns its files, and which are left out.
#[derive(Debug, Clone, Default)]
pub struct LayerOptions {
    owner: Option<Owner>,
    exclude: Option<Excludes>,
}

impl LayerOptions {
    /// Reads the options of `owner`, which messages name, such as `--layer`.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_core::ErrorKind::InvalidOption): an unknown option, or a bad value.
    pub fn parse(owner: &str, attrs: &Attrs) -> Result<Self> {
        parse_for(owner, attrs)
    }

    /// Returns the user and group that own every file, if they are given.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.owner.map(|Owner(uid, gid)| (uid, gid))
    }

    /// Returns the files that are left out.
    pub(crate) fn excludes(&self) -> Patterns {
        self.exclude.clone().map(|Excludes(patterns)| patterns).unwrap_or_default()
    }
}

impl Options for LayerOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("owner", "Set the owner of every file", "as they are", &mut self.owner)?;
        visitor.option(
            "exclude",
            "Exclude files that match these .dockerignore patterns",
            "none; a .dockerignore in the directory applies",
            &mut self.exclude,
        )
    }
}

/// `UID:GID`, in numbers: names would depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner(u32, u32);

impl Value for Owner {
    fn syntax() -> Cow<'static, str> {
        "UID:GID".into()
    }

    fn parse(text: &str) -> Result<Self> {
        // The highest number means "unchanged" to chown(2).
        let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id != u32::MAX);
        let owner = text.split_once(':').and_then(|(uid, gid)| Some(Self(number(uid)?, number(gid)?)));
        owner.ok_or_else(|| {
            Error::option(format!("expected numeric UID:GID, not `{}`", text.escape_debug()))
                .with_hint("for root write 0:0")
        })
    }
}

#[derive(Debug, Clone)]
struct Excludes(Patterns);

impl Value for Excludes {
    fn syntax() -> Cow<'static, str> {
        "PATTERN[,PATTERN…]".into()
    }

    fn parse(text: &str) -> Result<Self> {
        Patterns::new(&Vec::<String>::parse(text)?).map(Self).map_err(|error| {
            let message = error.message().to_owned();
            Error::option(message).with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_numbers() {
        assert_eq!(Owner::parse("0:100").unwrap(), Owner(0, 100));
        for text in ["root:root", "0", "0:", "-1:0", "4294967295:0", "0:0:0"] {
            assert!(Owner::parse(text).unwrap_err().message().contains(text), "{text}");
        }
    }
}
