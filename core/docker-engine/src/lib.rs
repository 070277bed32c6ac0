#![doc = include_str!("../README.md")]

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
