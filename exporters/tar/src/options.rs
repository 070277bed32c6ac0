//! The options of `type=tar`.

use longshore_core::Result;
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::files::FilesOptions;
use longshore_core::options::{Options, Visitor};

/// The options of `type=tar`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct TarOptions {
    pub(crate) files: FilesOptions,
    compression: Option<Algorithm>,
    compression_level: Option<i32>,
}

impl Options for TarOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.files.visit(visitor)?;
        visitor.option("compression", "Compression of the archive", "uncompressed", &mut self.compression)?;
        visitor.option(
            "compression-level",
            "Compression level: 0 to 12 for gzip, 1 to 22 for zstd",
            "6 for gzip, 3 for zstd",
            &mut self.compression_level,
        )
    }

    fn validate(&self) -> Result<()> {
        self.files.validate()?;
        self.encoding().map(drop)
    }
}

impl TarOptions {
    /// Returns the compression of the archive.
    ///
    /// # Errors
    /// A level that the algorithm does not support.
    pub(crate) fn encoding(&self) -> Result<Encoding> {
        Encoding::new(self.compression.unwrap_or(Algorithm::Uncompressed), self.compression_level)
    }
}
