//! The options of `type=registry`.

use longshore_core::image::{ImageOptions, PushOptions};
use longshore_core::options::{Options, Visitor};
use longshore_core::{Error, Result};

/// The options of `type=registry`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    pub(crate) image: ImageOptions,
    pub(crate) push: PushOptions,
    /// An option that BuildKit's users write by habit.
    is_pushed: Option<bool>,
}

impl Options for RegistryOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.image.visit_inline(visitor)?;
        self.push.visit(visitor)?;
        visitor.option("push", "Accepted for compatibility: this type always pushes", "true", &mut self.is_pushed)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()?;
        if self.is_pushed == Some(false) {
            return Err(Error::option("push=false: type=registry can only push")
                .with_hint("type=image keeps the image on this machine"));
        }
        self.push.check(&self.image)
    }
}
