#![doc = include_str!("../README.md")]

pub mod archive;
pub mod attestation;
mod bundle;
pub mod compose;
pub mod compression;
mod context;
mod epoch;
mod exporter;
mod exporters;
pub mod files;
mod frontend;
pub mod image;
pub mod layer;
pub mod layout;
pub mod options;
mod output;
mod result;
mod session;
mod sink;
mod source;
pub mod tree;
pub mod unpack;

/// The floor of stores, pushers and progress: [`longshore_content`].
pub use longshore_content as content;
/// The floor of documents, references and errors: [`longshore_oci`].
pub use longshore_oci as oci;

pub use bundle::Bundle;
pub use context::{Amount, ExportContext, ExportedImage, Needs, Response, Run, Transfer, Turn};
pub use epoch::{Epoch, EpochOption};
pub use exporter::{Exporter, ExporterInfo, ExporterInstance, ExporterType, Staged};
pub use exporters::ExporterRegistry;
pub use frontend::{Frontend, FrontendContext, FrontendInstance, FrontendRegistry, OpenImages, SchemeInfo};
pub use longshore_content::{
    Budget, Cancel, Delivery, Event, Guard, MakeBlob, Outcome, Permit, Progress, ProgressSink, PushBlob, PushSession,
    Pusher, RegistryOptions, ScratchDirectory, Task, Work, discard_scratch, for_each,
};
pub use longshore_oci::{Context, Error, ErrorKind, Result};
pub use output::{Dest, OutputSpec};
pub use result::{Artifact, BuildResult, Built, DOCKER_PARENT, Existing, Image, ImageContent, SOURCE_DATE_EPOCH};
pub use session::{ExportFailure, Plan, ResolvedSession, Session, Store, check_stdout};
pub use sink::{Destination, FileSink, Filled, Output};
pub use source::{Source, split_reference};
