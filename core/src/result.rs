//! Build results: the output of frontends and the input of exporters.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::Provider;
use longshore_oci::{Descriptor, ImageConfig, ImageName, Platform};

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
    /// Metadata for exporters, not interpreted by core.
    pub metadata: IndexMap<String, Vec<u8>>,
}

/// The key in [`Image::metadata`] of the ID of the parent image, as recorded by Docker: `sha256:…`.
pub const DOCKER_PARENT: &str = "docker.parent";

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
    /// Its configuration. Core fills in the layers, their missing history, and the creation time.
    pub config: ImageConfig,
    /// The configuration of the base image, whose history is kept unchanged.
    pub base: Option<ImageConfig>,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
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
}

impl Image {
    /// Creates an image without names.
    pub fn new(content: ImageContent) -> Self {
        Self { names: Vec::new(), tags: Vec::new(), content, metadata: IndexMap::new() }
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
        Self { layers, config, base: None, annotations: BTreeMap::new() }
    }

    /// Sets the configuration of the base image.
    #[must_use]
    pub fn with_base(self, base: ImageConfig) -> Self {
        Self { base: Some(base), ..self }
    }

    /// Returns whether it is its base image, unchanged.
    pub(crate) fn is_untouched(&self) -> bool {
        let listed = self.config.diff_ids().unwrap_or_default();
        let same_layers = listed.iter().map(Some).eq(self.layers.iter().map(|layer| layer.diff_id()));
        let bytes = |config: &ImageConfig| config.to_bytes().ok();
        same_layers && self.base.as_ref().is_some_and(|base| bytes(base) == bytes(&self.config))
    }
}
