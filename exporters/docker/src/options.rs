//! The options of `type=docker`.

use std::borrow::Cow;

use longshore_core::image::ImageOptions;
use longshore_core::oci::Platform;
use longshore_core::options::{Options, Value, Visitor, choice_syntax, parse_choice};
use longshore_core::{Error, Result};

/// The options of `type=docker`; checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct DockerOptions {
    format: Option<Format>,
    tar: Option<bool>,
    symlinks: Option<bool>,
    platform: Option<Platform>,
    context: Option<String>,
    image: ImageOptions,
}

/// The layout of the tarball.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Format {
    /// Docker's `manifest.json` beside an OCI layout, over the same blobs.
    #[default]
    Combined,
    /// The format of `docker save` up to Docker 24.
    Legacy,
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
        let tar = "Write a tarball; `false` writes an OCI layout into a directory, without Docker's manifest.json";
        visitor.option("tar", tar, "true", &mut self.tar)?;
        let symlinks = "With format=legacy, write a repeated layer as a symbolic link";
        visitor.option("symlinks", symlinks, "true", &mut self.symlinks)?;
        visitor.option(
            "platform",
            "Platform that Docker sees of a multi-platform image",
            "that of this machine",
            &mut self.platform,
        )?;
        let context = "Load into the Docker Engine of this context of docker";
        visitor.option("context", context, "the one that docker uses", &mut self.context)?;
        self.image.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        match self.format() {
            Format::Legacy if self.context.is_some() => {
                Err(Error::option("format=legacy is for a file, not for an engine")
                    .with_hint("leave out context, or format=legacy"))
            }
            _ if !self.is_tar() && self.context.is_some() => {
                Err(Error::option("tar=false writes a directory, and context loads into an engine")
                    .with_hint("leave out one of them"))
            }
            Format::Combined if self.symlinks.is_some() => Err(Error::option("symlinks applies only to format=legacy")
                .with_hint("format=combined writes each layer once")),
            Format::Legacy if !self.is_tar() => {
                Err(Error::option("format=legacy is a tarball")
                    .with_hint("leave out tar=false, or choose format=combined"))
            }
            Format::Combined if !self.is_tar() && self.platform.is_some() => {
                Err(Error::option("platform chooses what manifest.json lists, which a directory does not have")
                    .with_hint("leave out platform; for one platform of an image, select it before it is exported"))
            }
            _ => self.image()?.validate(),
        }
    }
}

impl DockerOptions {
    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// Returns whether a tarball is written, and not a directory.
    pub(crate) fn is_tar(&self) -> bool {
        self.tar.unwrap_or(true)
    }

    /// Returns the context of the engine to load into.
    pub(crate) fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// Returns the options of images in this format.
    pub(crate) fn image(&self) -> Result<ImageOptions> {
        match self.format() {
            Format::Combined => Ok(self.image.clone()),
            Format::Legacy => self.image.uncompressed(),
        }
    }

    /// Returns whether a repeated layer becomes a symbolic link.
    pub(crate) fn symlinks(&self) -> bool {
        self.symlinks.unwrap_or(true)
    }

    /// Returns the platform of a multi-platform image to show to Docker.
    pub(crate) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }
}
