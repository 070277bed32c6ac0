//! Trees, layers, images and results from a seed: the same seed always gives the same bytes.
//!
//! Exporters have golden digests of their output for these samples, so the result of a seed must never
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
