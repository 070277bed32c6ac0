//! The options shared by all image exporters.

use longshore_oci::{Error, ImageName, MediaType, Result};

use super::Names;
use super::names::nameless;
use crate::compression::{Algorithm, Encoding};
use crate::epoch::{Epoch, EpochOption};
use crate::options::{Options, Visitor};
use crate::result::{Artifact, BuildResult, Existing, Image};

/// The options shared by all image exporters: image names, and everything that determines the bytes. Unset
/// differs from the default: only a set option takes an existing image apart.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    name: Option<Names>,
    compression: Option<Algorithm>,
    compression_level: Option<i32>,
    force_compression: Option<bool>,
    oci_mediatypes: Option<bool>,
    source_date_epoch: Option<EpochOption>,
    /// Not an option: whether an image may have tags without a name.
    takes_tags: bool,
}

impl Options for ImageOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        let names = match self.takes_tags {
            true => {
                "Names of the image; `*` for its own names and tags, `*?` for those that it has; without any, a directory \
                 gets the tag `latest`"
            }
            false => "Names of the image; `*` for its own names, `*?` for its own names if it has any",
        };
        visitor.option("name", names, "none", &mut self.name)?;
        visitor.option("compression", "Compression of new layers", "gzip", &mut self.compression)?;
        visitor.option(
            "compression-level",
            "Compression level: 0 to 12 for gzip, 1 to 22 for zstd; from level 10, zstd takes up to 72 MiB of memory \
             per job",
            "6 for gzip, 3 for zstd",
            &mut self.compression_level,
        )?;
        visitor.option(
            "force-compression",
            "Recompress the layers of existing images, too",
            "false",
            &mut self.force_compression,
        )?;
        visitor.option(
            "oci-mediatypes",
            "Use OCI media types; `false` uses Docker's",
            "true; existing images keep theirs",
            &mut self.oci_mediatypes,
        )?;
        visitor.option(
            "source-date-epoch",
            "Creation time of the image and its history; empty for none",
            "SOURCE_DATE_EPOCH of the build",
            &mut self.source_date_epoch,
        )
    }

    fn validate(&self) -> Result<()> {
        self.encoding().map(drop)
    }
}

impl ImageOptions {
    /// Creates the options of a format in which an image may have tags without a name, as in an OCI layout: `name=*` takes
    /// them, too.
    pub fn with_tags() -> Self {
        Self { takes_tags: true, ..Self::default() }
    }

    /// Returns the compression of layers.
    ///
    /// # Errors
    /// A level that the algorithm does not support.
    pub fn encoding(&self) -> Result<Encoding> {
        Encoding::new(self.compression.unwrap_or(Algorithm::Gzip), self.compression_level)
    }

    /// Returns these options for a format in which every layer is uncompressed, including those of existing images.
    ///
    /// # Errors
    /// Another compression was asked for.
    pub fn uncompressed(&self) -> Result<Self> {
        match self.compression {
            None | Some(Algorithm::Uncompressed) if self.compression_level.is_none() => {
                let (compression, force_compression) = (Some(Algorithm::Uncompressed), Some(true));
                Ok(Self { compression, force_compression, ..self.clone() })
            }
            _ => Err(Error::option("layers are not compressed in this format")
                .with_hint("leave out compression and compression-level, or choose another format")),
        }
    }

    /// Returns whether images get names; with `*?` they may still have none.
    pub fn has_names(&self) -> bool {
        matches!(self.name, Some(Names::Given(_) | Names::Own))
    }

    /// Returns whether uncompressed layers were asked for.
    pub(super) fn wants_plain(&self) -> bool {
        self.compression == Some(Algorithm::Uncompressed)
    }

    /// Returns whether the option `name` is unset.
    pub fn is_nameless(&self) -> bool {
        self.name.is_none()
    }

    /// Returns the names that were written; none for `*` and `*?`.
    pub fn given_names(&self) -> &[ImageName] {
        match &self.name {
            Some(Names::Given(names)) => names,
            Some(Names::Own | Names::OwnIfAny) | None => &[],
        }
    }

    /// Returns the names of each image of `result`, in order.
    ///
    /// # Errors
    /// One list of names for several images; `*` for an image without its own names, and, where the format takes them,
    /// without tags.
    pub fn names(&self, result: &BuildResult) -> Result<Vec<Vec<ImageName>>> {
        let images = &result.images;
        match &self.name {
            None => Ok(images.iter().map(|_| Vec::new()).collect()),
            Some(Names::Given(_)) if images.len() > 1 => {
                Err(Error::option(format!("one `name` for {} images", images.len()))
                    .with_hint("name=* gives each image its own names"))
            }
            Some(Names::Given(names)) => Ok(images.iter().map(|_| names.clone()).collect()),
            Some(Names::OwnIfAny) => Ok(images.iter().map(|image| image.names.clone()).collect()),
            Some(Names::Own) => match images.iter().position(|image| self.is_unnamed(image)) {
                Some(at) => Err(nameless(at, &images[at])),
                None => Ok(images.iter().map(|image| image.names.clone()).collect()),
            },
        }
    }

    /// Returns the tags without a name that an image gets: its own, where the format takes them and `name` is `*` or `*?`.
    pub fn tags(&self, image: &Image) -> Vec<String> {
        match &self.name {
            Some(Names::Own | Names::OwnIfAny) if self.takes_tags => image.tags.clone(),
            _ => Vec::new(),
        }
    }

    fn is_unnamed(&self, image: &Image) -> bool {
        image.names.is_empty() && (image.tags.is_empty() || !self.takes_tags)
    }

    /// Returns whether an existing image has to be taken apart. Of all options only those of this output
    /// count, not the epoch of the build.
    pub(crate) fn changes_bytes(&self, existing: &Existing) -> bool {
        let sets_a_time = matches!(self.source_date_epoch, Some(EpochOption(Some(_))));
        let root = &existing.root.media_type;
        let changes_types =
            self.oci_mediatypes.is_some_and(|oci| *root != if oci { root.to_oci() } else { root.to_docker() });
        self.force_compression == Some(true) || sets_a_time || changes_types
    }

    /// Returns an option that is set but has no effect on an image that passes through unchanged.
    pub(super) fn without_effect(&self) -> Option<String> {
        let level = || self.compression_level.map(|level| format!("compression-level={level}"));
        self.compression.map(|algorithm| format!("compression={algorithm}")).or_else(level)
    }

    /// Returns the type that a document or a layer of an image that is made has, given its OCI type.
    pub(super) fn media_type(&self, oci: MediaType) -> MediaType {
        if self.oci_mediatypes == Some(false) { oci.to_docker() } else { oci }
    }

    /// Returns whether a layer that exists as a blob is recompressed.
    pub(crate) fn recompresses(&self) -> bool {
        self.force_compression == Some(true)
    }

    /// Returns the time that stands in for the clock where `artifact` is made. The epoch of the build is not for an
    /// image that existed before it.
    pub(super) fn epoch(&self, artifact: &Artifact, of_build: Option<Epoch>) -> Option<Epoch> {
        let of_build = of_build.filter(|_| !artifact.is_untouched());
        self.source_date_epoch.map_or(of_build, |option| option.0)
    }
}
