#![doc = include_str!("../README.md")]

mod layer;
mod source;

pub use layer::layer;
pub use source::RootfsFrontend;
