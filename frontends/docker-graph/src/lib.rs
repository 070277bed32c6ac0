#![doc = include_str!("../README.md")]

mod directory;
mod driver;
mod layer;
mod place;
mod repositories;
mod root;
mod source;
mod tar_split;
mod tar_stream;
mod tree;

pub use source::DockerGraphFrontend;
