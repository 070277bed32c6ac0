#![doc = include_str!("../README.md")]

mod described;
mod docker;
mod import;
mod source;

pub use import::{Import, ImportName, Imported};
pub use source::ArchiveFrontend;
