#![doc = include_str!("../README.md")]

mod layer;
mod options;
mod piped;
mod source;

pub use layer::{is_piped, layer};
pub use options::LayerOptions;
pub use source::RootfsFrontend;
