#![doc = include_str!("../README.md")]

mod convert;
pub mod host;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod page;
pub mod protocol;
mod serve;

pub use host::{ExternalExporter, ExternalFrontend, Limits, Plugin, Plugins};
pub use serve::serve;
