//! The options of layers that are made of directories and tar archives.

use longshore_core::Result;
use longshore_core::layer::Whiteouts;
use longshore_core::options::{Attrs, Options, Owner, Visitor, parse_for};
use longshore_core::tree::Patterns;

/// The options of a layer: who owns its files, and which are left out.
#[derive(Debug, Clone, Default)]
pub struct LayerOptions {
    owner: Option<Owner>,
    exclude: Option<Patterns>,
    whiteouts: Option<Whiteouts>,
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
        self.owner.map(|Owner { uid, gid }| (uid, gid))
    }

    /// Returns how a directory says that files of lower layers are deleted.
    pub(crate) fn whiteouts(&self) -> Whiteouts {
        self.whiteouts.unwrap_or(Whiteouts::Plain)
    }

    /// Returns the files that are left out.
    pub(crate) fn excludes(&self) -> Patterns {
        self.exclude.clone().unwrap_or_default()
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
        )?;
        visitor.option(
            "whiteouts",
            "How a directory says that files of lower layers are deleted: as in an upper directory of overlayfs, or by \
             files named .wh.NAME",
            "plain: it says nothing, and what means something to overlayfs is an error",
            &mut self.whiteouts,
        )
    }
}
