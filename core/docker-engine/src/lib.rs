//! The client of the Docker Engine's API, which Podman's service speaks, too: what images an engine has, and images
//! in and out as archives.
//!
//! [`Endpoint::find`] finds the engine as the command `docker` does, [`Engine`] talks to it. Requests block, and fail
//! immediately when the run is cancelled.

mod answer;
mod context;
mod endpoint;
mod engine;
mod failure;
mod images;
mod patience;
mod request;
mod unix;

pub use endpoint::Endpoint;
pub use engine::Engine;
pub use images::{EngineImage, Inspected, Keeps};
