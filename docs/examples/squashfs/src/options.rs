//! The options of `type=squashfs`.

use std::borrow::Cow;

use longshore_core::files::FilesOptions;
use longshore_core::options::{Options, Value, Visitor, choice_syntax, parse_choice};
use longshore_core::{Error, Result};

/// The options of `type=squashfs`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct SquashfsOptions {
    pub(crate) files: FilesOptions,
    compression: Option<Compression>,
    compression_level: Option<i32>,
    block_size: Option<BlockSize>,
}

/// How blocks of files are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
enum Compression {
    #[default]
    Gzip,
    Lz4,
    Lzo,
    Xz,
    Zstd,
}

impl Value for Compression {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text)
    }
}

/// The size of a block, in KiB: a power of two.
#[derive(Debug, Clone, Copy)]
struct BlockSize(u32);

impl Value for BlockSize {
    fn syntax() -> Cow<'static, str> {
        "4K|8K|…|1024K".into()
    }

    fn parse(text: &str) -> Result<Self> {
        let kilobytes = text.strip_suffix('K').and_then(|number| number.parse().ok());
        let valid = kilobytes.filter(|size: &u32| (4..=1024).contains(size) && size.is_power_of_two());
        let expected = || {
            Error::option(format!("expected a power of two from 4K to 1024K, not `{}`", text.escape_debug()))
                .with_hint("128K is what most images have")
        };
        valid.map(Self).ok_or_else(expected)
    }
}

impl Options for SquashfsOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.files.visit(visitor)?;
        visitor.option("compression", "Compression of blocks", "gzip", &mut self.compression)?;
        visitor.option(
            "compression-level",
            "Compression level: 1 to 9 for gzip, 1 to 22 for zstd",
            "9 for gzip, 15 for zstd",
            &mut self.compression_level,
        )?;
        visitor.option("block-size", "Size of a block", "128K", &mut self.block_size)
    }

    fn validate(&self) -> Result<()> {
        self.files.validate()?;
        let compression = self.compression.unwrap_or_default();
        let most = match compression {
            Compression::Gzip => 9,
            Compression::Zstd => 22,
            Compression::Lz4 | Compression::Lzo | Compression::Xz => 0,
        };
        match self.compression_level {
            Some(_) if most == 0 => Err(Error::option(format!("compression={compression} has no levels"))
                .with_hint("leave out compression-level")),
            Some(level) if !(1..=most).contains(&level) => {
                Err(Error::option(format!("compression-level {level} is not one of {compression}"))
                    .with_hint(format!("use 1 to {most}")))
            }
            _ => Ok(()),
        }
    }
}

impl SquashfsOptions {
    /// Returns the arguments of `tar2sqfs` that they stand for.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--compressor".to_owned(), self.compression.unwrap_or_default().to_string()];
        if let Some(level) = self.compression_level {
            arguments.extend(["--comp-extra".to_owned(), format!("level={level}")]);
        }
        if let Some(BlockSize(kilobytes)) = self.block_size {
            arguments.extend(["--block-size".to_owned(), (kilobytes << 10).to_string()]);
        }
        arguments
    }
}
