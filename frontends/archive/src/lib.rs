#![doc = include_str!("../README.md")]

mod docker;
mod source;

pub use source::ArchiveFrontend;
