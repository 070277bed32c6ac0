//! OCI image layouts (image-spec, image-layout.md): as a directory that others use too, or in a tar
//! archive.

mod archive;
mod directory;
mod lock;
mod names;

pub use archive::LayoutArchive;
pub use directory::{LayoutDirectory, StagedLayout};
pub use names::{entries, merge};

/// The content of the file `oci-layout`.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
