//! The interface between a run and its exports: needs, context and responses.

use std::sync::Arc;

use longshore_content::{ContentStore, Pusher, Work};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Result};
use serde::Serialize;

use crate::layer::{Layer, LayerSet, LayerStream, MadeLayer, Variant, WantedLayers, Workshop};

/// The layers that an output will request, each in a variant. A run merges the needs of its outputs, and reads
/// each layer once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    pub(crate) layers: WantedLayers,
}

impl Needs {
    /// Adds a layer, to be requested with [`ExportContext::layer`] or [`ExportContext::layer_stream`].
    #[must_use]
    pub fn with_layer(mut self, layer: &Arc<Layer>, variant: Variant) -> Self {
        self.layers.add(layer, variant);
        self
    }

    /// Adds the layers of existing images, which are unknown until the images are taken apart.
    #[must_use]
    pub fn with_existing(mut self, variant: Variant) -> Self {
        self.layers.add_found(variant);
        self
    }

    /// Adds the needs of another output, or of another part of this one.
    pub fn unite(&mut self, other: Self) {
        self.layers.unite(other.layers);
    }

    /// Returns whether no layer has to be built.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns whether `variant` of `layer` is among them.
    pub fn contains(&self, layer: &Arc<Layer>, variant: Variant) -> bool {
        self.layers.contains(layer, variant)
    }
}

/// What is known about a run before a layer is read, and what an output can do with layers besides taking them
/// from the store. Together with the layer and the options it decides the
/// [`Route`](crate::image::Route) of each layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// Whether no other output of the run needs layers, so that none has to be stored.
    pub is_alone: bool,
    /// Whether this output takes layers while they are built.
    pub streams: bool,
    /// Whether this output may find layers at its destination.
    pub reuses: bool,
}

impl Run {
    /// Creates a run in which no other output needs layers.
    pub fn alone() -> Self {
        Self { is_alone: true, ..Self::default() }
    }

    /// Creates a run in which other outputs need layers, too.
    pub fn shared() -> Self {
        Self::default()
    }

    /// Sets whether this output takes layers while they are built.
    #[must_use]
    pub fn with_streams(self, streams: bool) -> Self {
        Self { streams, ..self }
    }

    /// Sets whether this output looks for layers at its destination.
    #[must_use]
    pub fn with_reuse(self, reuses: bool) -> Self {
        Self { reuses, ..self }
    }
}

/// The resources that the host lends to an export.
#[derive(Debug)]
pub struct ExportContext<'a> {
    pub(crate) store: &'a dyn ContentStore,
    pub(crate) layers: &'a LayerSet,
    pub(crate) pusher: Option<&'a dyn Pusher>,
    pub(crate) work: Work,
}

impl ExportContext<'_> {
    /// Returns the store of the run.
    pub fn store(&self) -> &dyn ContentStore {
        self.store
    }

    /// Returns the registry client.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a program without one.
    pub fn pusher(&self) -> Result<&dyn Pusher> {
        self.pusher.ok_or_else(|| Error::new(ErrorKind::Unsupported, "this program cannot push to registries"))
    }

    /// Returns the progress, cancellation and budget of the run.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Returns a layer in the store, in a variant listed by
    /// [`ExporterInstance::needs`](crate::ExporterInstance::needs): built now, or by another output that this
    /// call waits for.
    ///
    /// # Errors
    /// A layer that cannot be read or stored.
    pub fn layer(&self, layer: &Arc<Layer>, variant: Variant) -> Result<MadeLayer> {
        self.layers.get(layer, variant, self.workshop())
    }

    /// Returns a layer that is built while it is consumed, and not stored: only if no other output needs it,
    /// and it was not built before. `None` if [`layer`](Self::layer) must be used.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn layer_stream<'l>(&'l self, layer: &'l Layer, variant: Variant) -> Result<Option<LayerStream<'l>>> {
        if !self.layers.is_for_one_output() || self.workshop().is_made(layer, variant)? {
            return Ok(None);
        }
        Ok(Some(LayerStream::new(layer, variant, self.workshop())))
    }

    /// Returns the run: whether this output is the only one that needs layers.
    pub fn run(&self) -> Run {
        if self.layers.is_for_one_output() { Run::alone() } else { Run::shared() }
    }

    fn workshop(&self) -> Workshop<'_> {
        Workshop { store: self.store, work: &self.work }
    }
}

/// The order in which outputs are published: outputs that can fail half-way first, outputs that others act on last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Bytes written to a stream, which cannot be taken back.
    Stream,
    /// Files and names on this machine.
    Local,
    /// Tags in registries.
    Remote,
}

/// The report of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Response {
    /// The type of its exporter.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its path, if it is a file or a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Its images, in the order of the result.
    pub images: Vec<ExportedImage>,
    /// What its destination was sent, and what it had already; `None` where everything is always written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
}

/// What a destination was sent, and what it had already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// What it was sent: the layers, and all bytes.
    pub sent: Amount,
    /// What it had: the layers, and their bytes.
    pub present: Amount,
}

/// An amount of layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Their number.
    pub layers: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// An image that an output wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportedImage {
    /// Its names.
    pub names: Vec<String>,
    /// Its root: a manifest or an index; its configuration, if the format has no manifests.
    pub root: Descriptor,
    /// The digest of its configuration, if it has a single platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
}

impl Response {
    /// Creates a response of the exporter with this type.
    pub fn new(kind: impl Into<String>, destination: Option<String>, images: Vec<ExportedImage>) -> Self {
        Self { kind: kind.into(), destination, images, transfer: None }
    }

    /// Sets what the destination was sent.
    #[must_use]
    pub fn with_transfer(self, transfer: Transfer) -> Self {
        Self { transfer: Some(transfer), ..self }
    }
}

impl ExportedImage {
    /// Creates an image as it was written.
    pub fn new(names: Vec<String>, root: Descriptor, config: Option<Digest>) -> Self {
        Self { names, root, config }
    }

    /// Sets the names that it got.
    #[must_use]
    pub fn with_names(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }
}
