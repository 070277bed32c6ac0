//! The core of Longshore: the vocabulary, the traits, and everything that decides bytes.
//!
//! Core decides what the bytes are, an [`Exporter`] decides where they go, a [`Frontend`] decides what
//! was built. A program calls [`Session`] twice: `resolve` before its build, `export` after it.
//! `docs/architecture.md` is the map.

pub mod archive;
mod budget;
mod bundle;
mod cancel;
pub mod compose;
pub mod compression;
pub mod content;
mod epoch;
mod error;
mod exporter;
mod frontend;
pub mod image;
pub mod layer;
pub mod layout;
pub mod oci;
pub mod options;
mod output;
mod parallel;
mod progress;
mod push;
mod registry;
mod result;
mod scratch;
mod session;
mod sink;
pub mod tree;
pub mod unpack;

pub use budget::{Budget, Permit};
pub use bundle::Bundle;
pub use cancel::{Cancel, Guard};
pub use epoch::{Epoch, EpochOption};
pub use error::{Context, Error, ErrorKind, Result};
pub use exporter::{
    ExportContext, ExportedImage, Exporter, ExporterInfo, ExporterInstance, Needs, Response, Staged, Turn,
};
pub use frontend::{Frontend, FrontendContext, FrontendRegistry, SchemeInfo, Source};
pub use output::{Dest, OutputSpec};
pub use parallel::for_each;
pub use progress::{Event, Outcome, Progress, ProgressSink, Task};
pub use push::{Delivery, MakeBlob, PushBlob, PushSession, Pusher, RegistryOptions, Transfer};
pub use registry::ExporterRegistry;
pub use result::{Artifact, BuildResult, Built, DOCKER_PARENT, Existing, Image, ImageContent};
pub use scratch::{ScratchDirectory, discard_scratch};
pub use session::{ExportFailure, Plan, ResolvedSession, Session, Store};
pub use sink::{Destination, FileSink, Filled, Output};
