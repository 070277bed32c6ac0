//! The options of `type=oci`.

use longshore_core::Result;
use longshore_core::image::ImageOptions;
use longshore_core::options::{Options, Visitor};

/// The options of `type=oci`; checked, they are one output.
#[derive(Debug, Clone)]
pub struct OciOptions {
    tar: Option<bool>,
    pub(crate) image: ImageOptions,
}

impl Default for OciOptions {
    fn default() -> Self {
        Self { tar: None, image: ImageOptions::with_tags() }
    }
}

impl Options for OciOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("tar", "Write a tar archive; `false` writes into a directory", "true", &mut self.tar)?;
        self.image.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()
    }
}

impl OciOptions {
    pub(crate) fn is_tar(&self) -> bool {
        self.tar.unwrap_or(true)
    }
}
