//! The options of `type=docker`.

use std::borrow::Cow;

use longshore_core::Result;
use longshore_core::image::ImageOptions;
use longshore_core::oci::Platform;
use longshore_core::options::{Options, Value, Visitor, choice_syntax, parse_choice};

#[derive(Debug, Clone, Default)]
pub(crate) struct DockerOptions {
    format: Option<Format>,
    platform: Option<Platform>,
    pub(crate) image: ImageOptions,
}

/// How the tarball is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Format {
    /// Docker's `manifest.json` beside an OCI layout, over the same blobs.
    #[default]
    Combined,
}

impl Value for Format {
    fn syntax() -> Cow<'static, str> {
        choice_syntax::<Self>()
    }

    fn parse(text: &str) -> Result<Self> {
        parse_choice(text)
    }
}

impl Options for DockerOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("format", "Layout of the tarball", "combined", &mut self.format)?;
        visitor.option(
            "platform",
            "Platform of the image that Docker sees, if there are several",
            "that of this machine",
            &mut self.platform,
        )?;
        self.image.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()
    }
}

impl DockerOptions {
    /// The platform that Docker sees of an image for several.
    pub(crate) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }
}
