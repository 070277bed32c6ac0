//! Trees, layers, images and results from a seed: the same seed gives the same bytes for ever.
//!
//! Exporters hold golden digests of what they make of these samples, so what a seed gives must never
//! change.

mod existing;
mod image;
mod layer;
mod random;
mod stream;
mod tree;

pub use existing::{ExistingOptions, existing};
pub use image::{image, image_of, multi_platform, result};
pub use layer::{TarOptions, empty_layer, large_layer, layer_of, tar_bytes, tar_layer};
pub use random::Random;
pub use stream::{CountingTar, LargeTar, MemoryTar};
pub use tree::Tree;
