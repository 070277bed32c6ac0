//! The options shared by all image exporters.

use longshore_oci::{Error, ImageName, MediaType, Platform, Result};
use serde_json::{Map, Value};

use super::Names;
use super::annotations::AnnotationOptions;
use super::names::nameless;
use crate::compression::{Algorithm, Encoding};
use crate::epoch::{Epoch, EpochOption};
use crate::options::{Options, Visitor};
use crate::result::{Artifact, BuildResult, Built, Existing, Image, ImageContent};

/// Why annotations of indexes and descriptors are refused.
const NO_PLACE: &str = "Docker's types have annotations on manifests alone: annotation.KEY";

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
    rewrite_timestamp: Option<bool>,
    prefer_nondist_layers: Option<bool>,
    attestation_inline: Option<bool>,
    oci_artifact: Option<bool>,
    pub(super) annotations: AnnotationOptions,
    /// Whether inline-only attestations are included by default.
    is_inline_by_default: bool,
    /// Whether an image may have tags without a name. Not an option.
    takes_tags: bool,
    /// Whether every layer is uncompressed, even one that may not be distributed. Not an option.
    is_all_plain: bool,
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
        )?;
        visitor.option(
            "rewrite-timestamp",
            "Also give files of new layers no later time than that; layers of a base image stay as they are",
            "false",
            &mut self.rewrite_timestamp,
        )?;
        visitor.option(
            "prefer-nondist-layers",
            "Keep layers that may not be distributed as they are, at their URLs; `false` makes them ordinary layers",
            "true",
            &mut self.prefer_nondist_layers,
        )?;
        self.visit_attestations(visitor)?;
        self.annotations.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        if self.oci_mediatypes == Some(false) {
            if self.oci_artifact == Some(true) {
                return Err(Error::option(
                    "exporter option \"oci-artifact=true\" conflicts with \"oci-mediatypes=false\"",
                )
                .with_hint("leave out one of them"));
            }
            if self.annotations.need_oci_types() {
                return Err(annotations_need_oci_types().with_hint(NO_PLACE));
            }
        }
        self.encoding().map(drop)
    }
}

impl ImageOptions {
    /// Visits the options about attestations.
    fn visit_attestations(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option(
            "oci-artifact",
            "Attach attestations as OCI artifacts, with a subject; `false` as images that nothing runs",
            "true with OCI media types",
            &mut self.oci_artifact,
        )?;
        visitor.option(
            "attestation-inline",
            "Make an index of an image for one platform also for attestations that are inline only",
            if self.is_inline_by_default { "true" } else { "false" },
            &mut self.attestation_inline,
        )
    }

    /// Shows the options, as [`visit`](Options::visit), of an output that goes where people look at attestations: by
    /// default it includes those that are inline only.
    ///
    /// # Errors
    /// As [`visit`](Options::visit).
    pub fn visit_inline(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.is_inline_by_default = true;
        self.visit(visitor)
    }

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

    /// Returns these options for a format without manifests, in which every layer is uncompressed, including those of
    /// existing images.
    ///
    /// # Errors
    /// Another compression was asked for, or annotations.
    pub fn uncompressed(&self) -> Result<Self> {
        if self.annotations.change_manifests() || self.annotations.need_oci_types() {
            return Err(Error::option("this format has no place for annotations")
                .with_hint("leave them out, or choose another format"));
        }
        match self.compression {
            None | Some(Algorithm::Uncompressed) if self.compression_level.is_none() => {
                let (compression, force_compression) = (Some(Algorithm::Uncompressed), Some(true));
                Ok(Self { compression, force_compression, is_all_plain: true, ..self.clone() })
            }
            _ => Err(Error::option("layers are not compressed in this format")
                .with_hint("leave out compression and compression-level, or choose another format")),
        }
    }

    /// Returns whether images get names; with `*?` they may still have none.
    pub fn has_names(&self) -> bool {
        matches!(self.name, Some(Names::Given(_) | Names::Own))
    }

    /// Returns whether uncompressed layers were requested.
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
            Some(Names::Own) if images.iter().any(|image| self.is_unnamed(image)) => {
                let at = images.iter().take_while(|image| !self.is_unnamed(image)).count();
                Err(nameless(at, &images[at]))
            }
            Some(_) => Ok(images.iter().map(|image| self.names_of(image).to_vec()).collect()),
        }
    }

    /// Returns the names of an image of a result with checked [`names`](Self::names).
    pub(super) fn names_of<'n>(&'n self, image: &'n Image) -> &'n [ImageName] {
        match &self.name {
            None => &[],
            Some(Names::Given(names)) => names,
            Some(Names::Own | Names::OwnIfAny) => &image.names,
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

    /// Returns whether an existing image has to be taken apart. Only the options of this output count, not the epoch
    /// of the build.
    pub(crate) fn changes_bytes(&self, existing: &Existing) -> bool {
        let sets_a_time = matches!(self.source_date_epoch, Some(EpochOption(Some(_))));
        let root = &existing.root.media_type;
        let changes_types =
            self.oci_mediatypes.is_some_and(|oci| *root != if oci { root.to_oci() } else { root.to_docker() });
        self.force_compression == Some(true)
            || sets_a_time
            || changes_types
            || self.prefer_nondist_layers == Some(false)
            || self.annotations.change_manifests()
    }

    /// Returns whether nondistributable layers become ordinary ones.
    pub(super) fn distributes_all(&self) -> bool {
        self.prefer_nondist_layers == Some(false)
    }

    /// Returns whether nondistributable layers keep their blobs, even if others are recompressed or rewritten: their
    /// URLs lead to these bytes.
    pub(super) fn keeps_foreign(&self) -> bool {
        !self.distributes_all() && !self.is_all_plain
    }

    /// Returns the options that were set and determine an image, for its provenance.
    pub(super) fn as_parameters(&self) -> Map<String, Value> {
        let epoch = self.source_date_epoch.and_then(|option| option.0);
        let set = [
            ("compression", self.compression.map(|algorithm| algorithm.to_string().into())),
            ("compression-level", self.compression_level.map(Value::from)),
            ("force-compression", self.force_compression.map(Value::from)),
            ("oci-mediatypes", self.oci_mediatypes.map(Value::from)),
            ("source-date-epoch", epoch.map(|epoch| epoch.seconds().into())),
            ("rewrite-timestamp", self.rewrite_timestamp.map(Value::from)),
            ("prefer-nondist-layers", self.prefer_nondist_layers.map(Value::from)),
        ];
        set.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// Returns whether attestations are OCI artifacts.
    pub(super) fn has_artifacts(&self) -> bool {
        self.oci_artifact.unwrap_or(!self.is_docker())
    }

    /// Returns whether documents and layers have Docker's media types.
    pub(super) fn is_docker(&self) -> bool {
        self.oci_mediatypes == Some(false)
    }

    /// Returns whether attestations turn `image`, if it is for one platform, into an index.
    pub(super) fn makes_index(&self, image: &Image) -> bool {
        let is_inline = self.attestation_inline.unwrap_or(self.is_inline_by_default);
        image.attestations.iter().any(|attestation| is_inline || !attestation.is_inline_only)
    }

    /// Returns an option that is set but has no effect on an image that passes through unchanged.
    pub(super) fn without_effect(&self) -> Option<String> {
        let level = || self.compression_level.map(|level| format!("compression-level={level}"));
        self.compression.map(|algorithm| format!("compression={algorithm}")).or_else(level)
    }

    /// Returns the media type of a document or layer of a built image, given its OCI type.
    pub(super) fn media_type(&self, oci: MediaType) -> MediaType {
        if self.is_docker() { oci.to_docker() } else { oci }
    }

    /// Returns whether an existing blob of a layer is recompressed.
    pub(crate) fn recompresses(&self) -> bool {
        self.force_compression == Some(true)
    }

    /// Returns the latest time that files of new layers may have; `epoch` is that of the build.
    pub(super) fn rewrite(&self, epoch: Option<Epoch>) -> Option<Epoch> {
        EpochOption::or_of_build(self.source_date_epoch, epoch).filter(|_| self.rewrites())
    }

    /// Returns whether times of files are rewritten.
    pub(super) fn rewrites(&self) -> bool {
        self.rewrite_timestamp == Some(true)
    }

    /// Checks options against the images.
    pub(super) fn check_result(&self, result: &BuildResult) -> Result<()> {
        for image in &result.images {
            match &image.content {
                ImageContent::Built(built) => self.check_built(image, built, result)?,
                ImageContent::Existing(existing) => self.check_existing(image, existing)?,
            }
        }
        Ok(())
    }

    fn check_built(&self, image: &Image, built: &Built, result: &BuildResult) -> Result<()> {
        let platforms: Vec<Platform> = built
            .artifacts()
            .into_iter()
            .map(|artifact| artifact.effective_config().platform())
            .collect::<Result<_>>()?;
        let has_index = matches!(built, Built::Platforms(_)) || self.makes_index(image);
        self.annotations.check(&platforms, has_index)?;
        image.check_attestations(&platforms)?;
        self.check_attestable(image, has_index)?;
        for artifact in built.artifacts() {
            if self.rewrites() && self.rewrite(result.epoch_of(image, artifact)?).is_none() {
                return Err(Error::option("rewrite-timestamp=true without an epoch would change nothing")
                    .with_hint("add source-date-epoch=SECONDS, or set SOURCE_DATE_EPOCH"));
            }
        }
        Ok(())
    }

    /// Checks what is known of an existing image before it is read.
    fn check_existing(&self, image: &Image, existing: &Existing) -> Result<()> {
        let root = &existing.root.media_type;
        self.check_attestable(image, root.is_index() || self.makes_index(image))?;
        let stays_a_list =
            *root == MediaType::DOCKER_LIST && image.attestations.is_empty() && !self.changes_bytes(existing);
        let is_annotated = self.annotations.need_oci_types() || !image.index_annotations.is_empty();
        if stays_a_list && is_annotated {
            return Err(annotations_need_oci_types()
                .with_hint(format!("{NO_PLACE}; with oci-mediatypes=true the manifest list becomes an index")));
        }
        Ok(())
    }

    /// Checks that attestations of an image with an index have a place in it.
    fn check_attestable(&self, image: &Image, has_index: bool) -> Result<()> {
        if has_index && self.is_docker() && !image.attestations.is_empty() {
            return Err(Error::option("cannot export attestations with \"oci-mediatypes=false\"")
                .with_hint("leave out oci-mediatypes"));
        }
        Ok(())
    }

    /// Returns the time used in place of the clock to build `artifact`. The epoch of the build does not apply to an
    /// image that existed before it.
    pub(super) fn epoch(&self, artifact: &Artifact, of_build: Option<Epoch>) -> Option<Epoch> {
        let of_build = of_build.filter(|_| !artifact.is_untouched());
        EpochOption::or_of_build(self.source_date_epoch, of_build)
    }
}

fn annotations_need_oci_types() -> Error {
    Error::option("cannot export annotations with \"oci-mediatypes=false\"")
}
