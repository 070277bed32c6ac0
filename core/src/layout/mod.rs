//! OCI image layouts (image-spec, image-layout.md): a shared directory, or a tar archive.

use longshore_oci::{Error, ErrorKind, Result};

mod archive;
mod directory;
mod lock;
mod names;
mod read;
mod staged;

pub use archive::LayoutArchive;
pub use directory::{LayoutDirectory, StagedLayout};
pub use names::{ListedImage, entries, listed, merge, say_no_images, valid_names};
pub use read::LayoutSource;
pub use staged::stage_directory;

/// The content of the file `oci-layout`.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Fails if the content of an `oci-layout` is of another version.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for all but version 1.0.0.
pub fn check_version(oci_layout: &[u8]) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Version {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    match serde_json::from_slice::<Version>(oci_layout) {
        Ok(Version { version }) if version == "1.0.0" => Ok(()),
        _ => Err(Error::new(ErrorKind::Unsupported, "the layout is not of version 1.0.0")),
    }
}
