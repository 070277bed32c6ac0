//! What a build made: what a frontend hands over and every exporter takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::Provider;
use longshore_oci::{Descriptor, ImageConfig, ImageName, Platform};

use crate::epoch::Epoch;
use crate::layer::Layer;

/// What a build made: images, in order.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BuildResult {
    /// The images.
    pub images: Vec<Image>,
    /// The time that stands in for the clock, where an output does not say otherwise.
    pub epoch: Option<Epoch>,
}

/// One image, for one platform or several.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Image {
    /// The names that it offers to outputs with `name=*`.
    pub names: Vec<ImageName>,
    /// What it is.
    pub content: ImageContent,
    /// Facts for exporters that core does not interpret.
    pub metadata: IndexMap<String, Vec<u8>>,
}

/// The key in [`Image::metadata`] of the ID of the image that an image was built on, as Docker notes it:
/// `sha256:…`.
pub const DOCKER_PARENT: &str = "docker.parent";

/// What an image is: made now, or there already.
#[derive(Debug, Clone)]
pub enum ImageContent {
    /// Layers and a configuration, of which core makes the image.
    Built(Built),
    /// A graph that exists. It passes through verbatim.
    Existing(Existing),
}

/// An image that is being made. A platform map cannot be missing: there is one, or none is needed.
#[derive(Debug, Clone)]
pub enum Built {
    /// One platform: a manifest.
    Single(Artifact),
    /// A map of platforms, even of one: an index of manifests, in this order.
    Platforms(IndexMap<Platform, Artifact>),
}

/// What one platform's image consists of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Artifact {
    /// Its layers, the base first.
    pub layers: Vec<Arc<Layer>>,
    /// Its configuration. Core fills in the layers, the history of those that it does not list, and
    /// when the image was made.
    pub config: ImageConfig,
    /// The configuration of the image that it builds on: its history is left alone.
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
    /// Who has its blobs.
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
        Self { names: Vec::new(), content, metadata: IndexMap::new() }
    }

    /// Sets the names that it offers.
    #[must_use]
    pub fn with_names(self, names: Vec<ImageName>) -> Self {
        Self { names, ..self }
    }
}

impl Existing {
    /// Creates an image without referrers.
    pub fn new(root: Descriptor, provider: Arc<dyn Provider>) -> Self {
        Self { root, referrers: Vec::new(), provider }
    }

    /// Sets the manifests that travel with it.
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
}

impl Artifact {
    /// Creates an image of `layers` without a base.
    pub fn new(layers: Vec<Arc<Layer>>, config: ImageConfig) -> Self {
        Self { layers, config, base: None, annotations: BTreeMap::new() }
    }

    /// Sets the configuration of the image that it builds on.
    #[must_use]
    pub fn with_base(self, base: ImageConfig) -> Self {
        Self { base: Some(base), ..self }
    }

    /// Returns whether it is the image that it builds on, with nothing on top.
    pub(crate) fn is_untouched(&self) -> bool {
        let listed = self.config.diff_ids().unwrap_or_default();
        let same_layers = listed.iter().map(Some).eq(self.layers.iter().map(|layer| layer.diff_id()));
        let bytes = |config: &ImageConfig| config.to_bytes().ok();
        same_layers && self.base.as_ref().is_some_and(|base| bytes(base) == bytes(&self.config))
    }
}
