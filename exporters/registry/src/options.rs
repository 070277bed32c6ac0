//! The options of `type=registry`.

use longshore_core::image::{ImageOptions, PushOptions};
use longshore_core::options::{Options, Visitor};
use longshore_core::{Error, Result};

/// The options of `type=registry`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    pub(crate) image: ImageOptions,
    pub(crate) push: PushOptions,
    /// Options that BuildKit's users write by habit.
    is_pushed: Option<bool>,
    store: Option<bool>,
    unpack: Option<bool>,
    name_canonical: Option<bool>,
}

impl Options for RegistryOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.image.visit_inline(visitor)?;
        self.push.visit(visitor)?;
        visitor.option("push", "Accepted for compatibility: this type always pushes", "true", &mut self.is_pushed)?;
        let never = "Accepted for compatibility: this type never keeps the image on this machine";
        visitor.option("store", never, "false", &mut self.store)?;
        visitor.option("unpack", never, "false", &mut self.unpack)?;
        visitor.option(
            "name-canonical",
            "Accepted for compatibility: a registry has each image as NAME@DIGEST, too",
            "true",
            &mut self.name_canonical,
        )
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()?;
        if self.is_pushed == Some(false) {
            return Err(Error::option("push=false: type=registry can only push")
                .with_hint("type=image keeps the image on this machine"));
        }
        for (key, value) in [("store", self.store), ("unpack", self.unpack)] {
            if value == Some(true) {
                return Err(Error::option(format!("{key}=true: type=registry keeps nothing on this machine"))
                    .with_hint(format!("write type=image,push=true,{key}=true")));
            }
        }
        self.push.check(&self.image)
    }
}
