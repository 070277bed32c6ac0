//! What passes between a run and its exports: what they need, what they are lent, what they wrote.

use std::sync::Arc;

use longshore_content::{ContentStore, Pusher, Work};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Result};
use serde::Serialize;

use crate::compression::Encoding;
use crate::layer::{Layer, LayerSet, LayerStream, MadeLayer, Workshop};

/// What an output needs of a result. A run unites the needs of its outputs, and reads each layer once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// Encodings of layers that it will ask for with [`ExportContext::layer`].
    pub encodings: Vec<Encoding>,
}

impl Needs {
    /// Needs layers in `encodings`.
    pub fn layers(encodings: impl Into<Vec<Encoding>>) -> Self {
        Self { encodings: encodings.into() }
    }

    /// Adds what another output needs.
    pub fn unite(&mut self, other: Self) {
        for encoding in other.encodings {
            if !self.encodings.contains(&encoding) {
                self.encodings.push(encoding);
            }
        }
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

    /// A layer in the store, in an encoding that [`ExporterInstance::needs`](crate::ExporterInstance::needs) named: made now, or by
    /// another output that this call waits for.
    ///
    /// # Errors
    /// A layer that cannot be read or stored.
    pub fn layer(&self, layer: &Arc<Layer>, encoding: Encoding) -> Result<MadeLayer> {
        self.layers.get(layer, encoding, self.workshop())
    }

    /// A layer that is made while it is sent, and not stored: only where no other output needs it, and it
    /// was not made before. `None` where [`layer`](Self::layer) has to do.
    ///
    /// # Errors
    /// Those of the store.
    pub fn layer_stream<'l>(&'l self, layer: &'l Layer, encoding: Encoding) -> Result<Option<LayerStream<'l>>> {
        if !self.layers.is_for_one_output() || self.workshop().is_made(layer, encoding)? {
            return Ok(None);
        }
        Ok(Some(LayerStream::new(layer, encoding, self.workshop())))
    }

    /// Whether no other output needs layers.
    pub(crate) fn is_for_one_output(&self) -> bool {
        self.layers.is_for_one_output()
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
pub struct ExportedImage {
    /// The names that it got.
    pub names: Vec<String>,
    /// Its root: a manifest or an index; its configuration, where the format has no manifests.
    pub root: Descriptor,
    /// The digest of its configuration, where it is for one platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
}
