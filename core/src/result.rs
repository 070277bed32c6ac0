//! Build results: the output of frontends and the input of exporters.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::Provider;
use longshore_oci::{Context, Descriptor, Digest, Error, ImageConfig, ImageName, Platform, Result};

use crate::attestation::Attestation;
use crate::epoch::Epoch;
use crate::layer::Layer;

/// The result of a build: images, in order.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BuildResult {
    /// The images.
    pub images: Vec<Image>,
    /// The time used in place of the clock, unless an output overrides it.
    pub epoch: Option<Epoch>,
}

/// One image, for one platform or several.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Image {
    /// The names that it offers to outputs with `name=*`.
    pub names: Vec<ImageName>,
    /// Tags without a name, as an OCI layout may give them (image-spec, annotations.md,
    /// `org.opencontainers.image.ref.name`). Only layouts can take them.
    pub tags: Vec<String>,
    /// What it is.
    pub content: ImageContent,
    /// Metadata for exporters; of it core reads [`SOURCE_DATE_EPOCH`].
    pub metadata: IndexMap<String, Vec<u8>>,
    /// Annotations of its index, if it becomes one.
    pub index_annotations: BTreeMap<String, String>,
    /// Annotations of the descriptor of its index, where one is kept: in a layout or an image store.
    pub index_descriptor_annotations: BTreeMap<String, String>,
    /// Statements about it, which its index lists. They make an index of an image for one platform.
    pub attestations: Vec<Attestation>,
}

/// The key in [`Image::metadata`] of the ID of the parent image, as recorded by Docker: `sha256:…`.
pub const DOCKER_PARENT: &str = "docker.parent";

/// The key in [`Image::metadata`] of the time in place of the clock, in seconds since 1970, as `BuildKit`'s frontends
/// set it; `/PLATFORM` at its end makes it that of one platform.
pub const SOURCE_DATE_EPOCH: &str = "source.date.epoch";

/// The content of an image: built or existing.
#[derive(Debug, Clone)]
pub enum ImageContent {
    /// Layers and a configuration, from which core builds the image.
    Built(Built),
    /// An existing graph. It passes through verbatim.
    Existing(Existing),
}

/// An image to build. A platform map cannot be missing: it is either present or not needed.
#[derive(Debug, Clone)]
pub enum Built {
    /// One platform: a manifest.
    Single(Artifact),
    /// A map of platforms, even with a single one: an index of manifests, in this order.
    Platforms(IndexMap<Platform, Artifact>),
}

/// The parts of one platform's image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Artifact {
    /// Its layers, the base first.
    pub layers: Vec<Arc<Layer>>,
    /// Its configuration. Core fills in the layers, their missing history, and the creation time; an empty one stands
    /// for the default configuration for this machine.
    pub config: ImageConfig,
    /// The configuration of the base image, whose history is kept unchanged.
    pub base: Option<ImageConfig>,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the descriptor of its manifest, in the index that lists it.
    pub descriptor_annotations: BTreeMap<String, String>,
    /// The manifest that it was taken from, and as its referrers the attestations that were listed beside it: they stay if
    /// the manifest keeps its digest.
    pub taken_from: Option<Existing>,
}

/// An existing image: a manifest, an index, or any other graph of descriptors.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Existing {
    /// Its root.
    pub root: Descriptor,
    /// Referrers that are kept with it, such as signatures and SBOMs.
    pub referrers: Vec<Descriptor>,
    /// The provider of its blobs.
    pub provider: Arc<dyn Provider>,
}

impl BuildResult {
    /// Creates a result of `images`, without an epoch.
    pub fn new(images: Vec<Image>) -> Self {
        Self { images, epoch: None }
    }

    /// Sets the epoch.
    #[must_use]
    pub fn with_epoch(self, epoch: Option<Epoch>) -> Self {
        Self { epoch, ..self }
    }

    /// Returns the epoch of one artifact of an image of this result: from the metadata of the image, under
    /// [`SOURCE_DATE_EPOCH`] with the platform or without, else that of the result.
    ///
    /// # Errors
    /// Metadata that is no number of seconds.
    pub fn epoch_of(&self, image: &Image, artifact: &Artifact) -> Result<Option<Epoch>> {
        let of_platform = || -> Option<String> {
            Some(format!("{SOURCE_DATE_EPOCH}/{}", artifact.effective_config().platform().ok()?))
        };
        let found = of_platform().and_then(|key| image.metadata.get(&key));
        let Some(value) = found.or_else(|| image.metadata.get(SOURCE_DATE_EPOCH)) else { return Ok(self.epoch) };
        let parsed = std::str::from_utf8(value).map_err(|_| Error::input("not text")).and_then(str::parse);
        parsed.attempt(|| "invalid SOURCE_DATE_EPOCH from the frontend".to_owned()).map(Some)
    }
}

impl Image {
    /// Creates an image without names.
    pub fn new(content: ImageContent) -> Self {
        Self {
            names: Vec::new(),
            tags: Vec::new(),
            content,
            metadata: IndexMap::new(),
            index_annotations: BTreeMap::new(),
            index_descriptor_annotations: BTreeMap::new(),
            attestations: Vec::new(),
        }
    }

    /// Adds a statement about it.
    #[must_use]
    pub fn with_attestation(mut self, attestation: Attestation) -> Self {
        self.attestations.push(attestation);
        self
    }

    /// Checks that each attestation is about one of `platforms`.
    pub(crate) fn check_attestations(&self, platforms: &[Platform]) -> Result<()> {
        let is_about_none = |statement: &&Attestation| !platforms.iter().any(|platform| statement.is_about(platform));
        let Some(platform) = self.attestations.iter().find(is_about_none).and_then(|lost| lost.platform.as_ref())
        else {
            return Ok(());
        };
        let own: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        Err(Error::option(format!("invalid attestation: no platform {platform} found in source"))
            .with_hint(format!("the image is for {}", own.join(", "))))
    }

    /// Sets the names that it offers.
    #[must_use]
    pub fn with_names(self, names: Vec<ImageName>) -> Self {
        Self { names, ..self }
    }

    /// Sets its tags without a name.
    #[must_use]
    pub fn with_tags(self, tags: Vec<String>) -> Self {
        Self { tags, ..self }
    }
}

impl Existing {
    /// Creates an image without referrers.
    pub fn new(root: Descriptor, provider: Arc<dyn Provider>) -> Self {
        Self { root, referrers: Vec::new(), provider }
    }

    /// Sets its referrers.
    #[must_use]
    pub fn with_referrers(self, referrers: Vec<Descriptor>) -> Self {
        Self { referrers, ..self }
    }

    /// Sets the provider of its blobs.
    #[must_use]
    pub fn with_provider(self, provider: Arc<dyn Provider>) -> Self {
        Self { provider, ..self }
    }
}

impl Built {
    /// Returns its platforms' artifacts, in order.
    pub fn artifacts(&self) -> Vec<&Artifact> {
        match self {
            Self::Single(artifact) => vec![artifact],
            Self::Platforms(platforms) => platforms.values().collect(),
        }
    }

    /// Returns its platforms' artifacts, in order, to be changed.
    pub fn artifacts_mut(&mut self) -> Vec<&mut Artifact> {
        match self {
            Self::Single(artifact) => vec![artifact],
            Self::Platforms(platforms) => platforms.values_mut().collect(),
        }
    }
}

impl Artifact {
    /// Creates an image of `layers` without a base.
    pub fn new(layers: Vec<Arc<Layer>>, config: ImageConfig) -> Self {
        let (annotations, descriptor_annotations) = (BTreeMap::new(), BTreeMap::new());
        Self { layers, config, base: None, annotations, descriptor_annotations, taken_from: None }
    }

    /// Sets the configuration of the base image.
    #[must_use]
    pub fn with_base(self, base: ImageConfig) -> Self {
        Self { base: Some(base), ..self }
    }

    /// Sets the attestations that were listed beside the manifest that it was taken from, in `existing`.
    #[must_use]
    pub(crate) fn attested(self, existing: &Existing, manifest: &Descriptor, attestations: Vec<Descriptor>) -> Self {
        let from = Existing::new(manifest.clone(), existing.provider.clone()).with_referrers(attestations);
        Self { taken_from: Some(from), ..self }
    }

    /// Returns its configuration; the [default one](ImageConfig::with_defaults) for this machine, if none was given.
    pub(crate) fn effective_config(&self) -> ImageConfig {
        if self.config.is_empty() { ImageConfig::with_defaults(&Platform::host()) } else { self.config.clone() }
    }

    /// Returns how many of its layers come from its base image, and keep their bytes.
    pub(crate) fn layers_of_base(&self) -> usize {
        let base = self.base.as_ref().and_then(|base| base.diff_ids().ok()).unwrap_or_default();
        let same = |(layer, diff_id): &(&Arc<Layer>, &Digest)| layer.diff_id() == Some(diff_id);
        self.layers.iter().zip(&base).take_while(same).count()
    }

    /// Returns whether it is its base image, unchanged.
    pub(crate) fn is_untouched(&self) -> bool {
        let listed = self.config.diff_ids().unwrap_or_default();
        let same_layers = listed.iter().map(Some).eq(self.layers.iter().map(|layer| layer.diff_id()));
        let bytes = |config: &ImageConfig| config.to_bytes().ok();
        same_layers && self.base.as_ref().is_some_and(|base| bytes(base) == bytes(&self.config))
    }
}
