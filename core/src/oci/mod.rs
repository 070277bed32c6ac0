//! The documents of the OCI image specification, as they are hashed.
//!
//! `oci-spec` is the vocabulary and an independent reader (the test kit parses everything we write
//! with it); these types exist because hashed documents need Go's field order, sorted maps, and
//! unknown fields that survive.

mod config;
mod descriptor;
mod digest;
pub mod json;
mod manifest;
mod media_type;
mod platform;
mod reference;

pub(crate) use config::parse_time;
pub use config::{History, ImageConfig, RunConfig};
pub use descriptor::Descriptor;
pub use digest::{Digest, DigestAlgorithm, Hasher};
pub use manifest::{Index, Manifest, parse_index, parse_manifest};
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
