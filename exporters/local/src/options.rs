//! The options of `type=local`.

use std::borrow::Cow;
use std::path::Path;

use longshore_core::files::{FilesDirectory, FilesOptions};
use longshore_core::options::{Options, Value, Visitor, choice_syntax, parse_choice};
use longshore_core::{Error, Result};

/// The options of `type=local`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct LocalOptions {
    pub(crate) files: FilesOptions,
    mode: Option<Mode>,
    allow_delete: Option<bool>,
}

/// What happens to files that are in the directory already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
enum Mode {
    /// They stay.
    #[default]
    Copy,
    /// They are removed, unless the image has them.
    Delete,
}

impl Value for Mode {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text.trim())
    }
}

impl Options for LocalOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.files.visit(visitor)?;
        visitor.option("mode", "Keep or remove files that the image does not have", "copy", &mut self.mode)?;
        visitor.option(
            "allow-delete",
            "With mode=delete, also remove files that no export put there",
            "false",
            &mut self.allow_delete,
        )
    }

    fn validate(&self) -> Result<()> {
        self.files.validate()?;
        if self.allow_delete == Some(true) && !self.deletes() {
            return Err(
                Error::option("allow-delete=true does nothing without mode=delete").with_hint("add mode=delete")
            );
        }
        Ok(())
    }
}

impl LocalOptions {
    /// Returns whether files that the image does not have are removed.
    pub(crate) fn deletes(&self) -> bool {
        self.mode == Some(Mode::Delete)
    }

    /// Returns the directory `root`, as the options change it.
    pub(crate) fn directory(&self, root: &Path) -> FilesDirectory {
        FilesDirectory::new(root).with_delete(self.deletes(), self.allow_delete == Some(true))
    }
}
