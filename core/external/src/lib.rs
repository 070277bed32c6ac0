#![doc = include_str!("../README.md")]

pub mod host;
pub mod protocol;
mod serve;

pub use host::{ExternalExporter, ExternalFrontend, Limits, Plugin, Plugins};
pub use serve::serve;
