#![doc = include_str!("../README.md")]

mod algorithm;
mod config;
mod descriptor;
mod digest;
mod error;
pub mod json;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub use algorithm::Algorithm;
pub use config::{History, ImageConfig, RunConfig, parse_time};
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestAlgorithm, Hasher};
pub use error::{Context, Error, ErrorKind, Result};
pub use manifest::{Index, Manifest, parse_index, parse_layout_index, parse_manifest};
pub use media_type::MediaType;
pub use platform::Platform;
pub use reference::ImageName;

/// Annotation of a descriptor in `index.json`: the tag (image-spec, annotations.md).
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation of a descriptor in `index.json`: the full name, a convention of containerd.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// Largest manifest or index that is read, in bytes (distribution-spec: registries take 4 MiB).
pub const MANIFEST_LIMIT: u64 = 4 << 20;
/// Largest image configuration that is read, in bytes.
pub const CONFIG_LIMIT: u64 = 8 << 20;
