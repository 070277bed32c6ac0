//! The archive that `docker save` wrote up to Docker 24: a directory for each layer, under the layer's ID
//! of image format v1, with the uncompressed tar stream in it.
//!
//! What is in it, and in what order, is decided here, without any input or output. The bytes are those of
//! Docker 20.10 wherever Docker itself writes the same bytes twice; [`plan`] says where it does not.

mod config;
mod json;
mod manifest;
pub(crate) mod plan;
#[cfg(test)]
mod samples;
mod time;
mod v1;
