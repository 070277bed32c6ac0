//! Exporters: the contract that every kind of output keeps.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use longshore_content::{Budget, Cancel, ContentStore, Progress, Pusher};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::compression::Encoding;
use crate::layer::{Layer, LayerSet, LayerStream, MadeLayer, Workshop};
use crate::options::{Attrs, OptionInfo};
use crate::result::BuildResult;
use crate::sink::{Destination, Output};

/// A kind of output, such as `type=oci`.
pub trait Exporter: Send + Sync {
    /// Its type, summary and options: what help, the reference page and plugins say about it.
    fn info(&self) -> ExporterInfo;

    /// Checks the options of one output.
    ///
    /// It does no I/O, so that a bad option fails before the build. It may be called any number of
    /// times; outputs of one type share nothing.
    ///
    /// # Errors
    /// [`InvalidOption`](crate::ErrorKind::InvalidOption) for an unknown key, a bad value, or options
    /// that exclude each other.
    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>>;
}

/// What people and other programs are told about an exporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExporterInfo {
    /// The name in `type=…`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// What it writes, in one line.
    pub summary: Cow<'static, str>,
    /// Its options, in the order of the reference page.
    pub options: Vec<OptionInfo>,
}

/// One output of one build, with its options checked.
///
/// The methods are called in their order here. An instance never changes: what an export derives it
/// keeps in the [`Staged`].
pub trait ExporterInstance: Send + Sync {
    /// What the host must open for it, as its options say.
    fn destination(&self) -> Destination;

    /// What it needs of `result`, and whether its options fit to it. It reads no layer.
    ///
    /// # Errors
    /// Options that do not fit, such as one name for several images.
    fn needs(&self, result: &BuildResult) -> Result<Needs>;

    /// What [`export`](Self::export) would write, one line a thing, for `--dry-run`. It reads no layer.
    ///
    /// # Errors
    /// As [`needs`](Self::needs).
    fn plan(&self, result: &BuildResult) -> Result<Vec<String>>;

    /// Makes, verifies and transfers everything, and shows nothing: files stay under temporary names,
    /// and no name, tag or index entry changes before [`Staged::publish`]. A stream is written when it is
    /// published, and breaks off where a source fails then.
    ///
    /// Exports of one build run at the same time. `output` is of the kind that
    /// [`destination`](Self::destination) asked for.
    ///
    /// # Errors
    /// Whatever went wrong. The siblings are cancelled, and nothing of any output is visible.
    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>>;
}

/// An export that is complete but not visible. Dropping it discards it.
pub trait Staged: Send {
    /// When it is its turn: see [`Turn`].
    fn turn(&self) -> Turn;

    /// Makes it visible, in one step: a rename, an index entry, a tag. It is called once, after every
    /// export of the build has succeeded.
    ///
    /// # Errors
    /// What the medium says. Outputs that were published before stay so.
    fn publish(self: Box<Self>) -> Result<Response>;
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
    pub(crate) budget: &'a Budget,
    pub(crate) progress: Progress,
    pub(crate) cancel: Cancel,
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

    /// Threads for leaf work, and bytes in flight.
    pub fn budget(&self) -> &Budget {
        self.budget
    }

    /// Where to report what is under way.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What says when to stop; check it between blocks.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// A layer in the store, in an encoding that [`ExporterInstance::needs`] named: made now, or by
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
        Workshop { store: self.store, budget: self.budget, progress: &self.progress, cancel: &self.cancel }
    }
}

impl fmt::Debug for dyn Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exporter").field(&self.info().kind).finish()
    }
}

impl fmt::Debug for dyn ExporterInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterInstance").field("destination", &self.destination()).finish_non_exhaustive()
    }
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
