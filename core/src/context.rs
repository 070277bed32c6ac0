//! What passes between a run and its exports: what they need, what they are lent, what they wrote.

use std::sync::Arc;

use longshore_content::{ContentStore, Pusher, Work};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Result};
use serde::Serialize;

use crate::layer::{Layer, LayerSet, LayerStream, MadeLayer, Variant, WantedLayers, Workshop};

/// What an output needs of a result: the layers that it will ask for, each in a variant. A run unites the
/// needs of its outputs, and reads each layer once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    pub(crate) layers: WantedLayers,
}

impl Needs {
    /// Adds a layer, which it will ask for with [`ExportContext::layer`] or [`ExportContext::layer_stream`].
    #[must_use]
    pub fn with_layer(mut self, layer: &Arc<Layer>, variant: Variant) -> Self {
        self.layers.add(layer, variant);
        self
    }

    /// Adds the layers of existing images, which are not known before the images are taken apart.
    #[must_use]
    pub fn with_existing(mut self, variant: Variant) -> Self {
        self.layers.add_found(variant);
        self
    }

    /// Adds what another output, or another part of this one, needs.
    pub fn unite(&mut self, other: Self) {
        self.layers.unite(other.layers);
    }

    /// Whether no layer has to be made.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Whether `variant` of `layer` is among them.
    pub fn contains(&self, layer: &Arc<Layer>, variant: Variant) -> bool {
        self.layers.contains(layer, variant)
    }
}

/// What is known of a run before it reads a layer, and what an output can do with layers besides taking
/// them from the store. Together with the layer and the options it decides the
/// [`Route`](crate::image::Route) of each layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// Whether no other output of the run needs layers, so that none has to be kept for it.
    pub is_alone: bool,
    /// Whether this output takes layers while they are made.
    pub streams: bool,
    /// Whether this output may find layers where it writes to.
    pub reuses: bool,
}

impl Run {
    /// A run in which no other output needs layers.
    pub fn alone() -> Self {
        Self { is_alone: true, ..Self::default() }
    }

    /// A run in which others need layers, too.
    pub fn shared() -> Self {
        Self::default()
    }

    /// Takes layers while they are made.
    #[must_use]
    pub fn with_streams(self, streams: bool) -> Self {
        Self { streams, ..self }
    }

    /// Looks for layers where they are written to.
    #[must_use]
    pub fn with_reuse(self, reuses: bool) -> Self {
        Self { reuses, ..self }
    }
}

/// What the host lends to an export.
#[derive(Debug)]
pub struct ExportContext<'a> {
    pub(crate) store: &'a dyn ContentStore,
    pub(crate) layers: &'a LayerSet,
    pub(crate) pusher: Option<&'a dyn Pusher>,
    pub(crate) work: Work,
}

impl ExportContext<'_> {
    /// Where blobs are made and found.
    pub fn store(&self) -> &dyn ContentStore {
        self.store
    }

    /// Who takes images to registries.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a program that has nobody who does.
    pub fn pusher(&self) -> Result<&dyn Pusher> {
        self.pusher.ok_or_else(|| Error::new(ErrorKind::Unsupported, "this program cannot push to registries"))
    }

    /// What to report to, what says when to stop, and what may be used.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// A layer in the store, in a variant that [`ExporterInstance::needs`](crate::ExporterInstance::needs)
    /// named: made now, or by another output that this call waits for.
    ///
    /// # Errors
    /// A layer that cannot be read or stored.
    pub fn layer(&self, layer: &Arc<Layer>, variant: Variant) -> Result<MadeLayer> {
        self.layers.get(layer, variant, self.workshop())
    }

    /// A layer that is made while it is sent, and not stored: only where no other output needs it, and it
    /// was not made before. `None` where [`layer`](Self::layer) has to do.
    ///
    /// # Errors
    /// Those of the store.
    pub fn layer_stream<'l>(&'l self, layer: &'l Layer, variant: Variant) -> Result<Option<LayerStream<'l>>> {
        if !self.layers.is_for_one_output() || self.workshop().is_made(layer, variant)? {
            return Ok(None);
        }
        Ok(Some(LayerStream::new(layer, variant, self.workshop())))
    }

    /// What is known of the run: whether this output is the only one that needs layers.
    pub fn run(&self) -> Run {
        if self.layers.is_for_one_output() { Run::alone() } else { Run::shared() }
    }

    fn workshop(&self) -> Workshop<'_> {
        Workshop { store: self.store, work: &self.work }
    }
}

/// The order in which outputs are published: what can fail half-way first, what others act on last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Bytes into a stream, which cannot be taken back.
    Stream,
    /// Files and names on this machine.
    Local,
    /// Tags in registries.
    Remote,
}

/// What one output wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Response {
    /// The type of its exporter.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is, if it is a file or a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The images in it, in the order of the result.
    pub images: Vec<ExportedImage>,
}

/// An image that an output wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportedImage {
    /// The names that it got.
    pub names: Vec<String>,
    /// Its root: a manifest or an index; its configuration, where the format has no manifests.
    pub root: Descriptor,
    /// The digest of its configuration, where it is for one platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
}

impl Response {
    /// A response of the exporter with this type.
    pub fn new(kind: impl Into<String>, destination: Option<String>, images: Vec<ExportedImage>) -> Self {
        Self { kind: kind.into(), destination, images }
    }
}

impl ExportedImage {
    /// An image as it was written.
    pub fn new(names: Vec<String>, root: Descriptor, config: Option<Digest>) -> Self {
        Self { names, root, config }
    }

    /// Sets the names that it got.
    #[must_use]
    pub fn with_names(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }
}
