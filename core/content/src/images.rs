//! Names of images, in a store that has their content.

use std::sync::Arc;

use longshore_oci::{Descriptor, Error, ImageName, Result};

use crate::collect::Collector;
use crate::snapshots::Snapshots;
use crate::store::ContentStore;

/// A store of image names, and of their content.
///
/// - A name keeps everything reachable from its image, by the references in
///   [`BlobMeta`](crate::BlobMeta).
/// - Any number of threads and, for a store on disk, processes may change names at once; each change is
///   made as a whole or not at all.
pub trait ImageStore: ContentStore {
    /// Returns the image named `name`; `None` if it does not exist.
    ///
    /// # Errors
    /// I/O errors.
    fn image(&self, name: &ImageName) -> Result<Option<StoredImage>>;

    /// Returns all images, sorted by full name.
    ///
    /// # Errors
    /// I/O errors.
    fn images(&self) -> Result<Vec<(ImageName, StoredImage)>>;

    /// Points all names at their images, atomically; returns what each pointed to before.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for an image whose root or referrers are not in the store;
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a name with the digest of another image.
    fn tag(&self, images: &[(ImageName, StoredImage)]) -> Result<Vec<Option<StoredImage>>>;

    /// Removes names, atomically; returns what each pointed to. The content stays until it is
    /// collected.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) for a name that does not exist; then none is removed.
    fn untag(&self, names: &[ImageName]) -> Result<Vec<StoredImage>>;

    /// Returns a view of the store, as [`lease`](ContentStore::lease) does, with its names. Snapshots that are found
    /// or committed through the view are held as blobs are. Finding a name holds nothing: look up its root.
    ///
    /// # Errors
    /// I/O errors.
    fn lease_images(&self) -> Result<Arc<dyn ImageStore>>;

    /// Returns the snapshots of images in this store, if it has any.
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        None
    }

    /// Returns what collects this store, if it is collected on request.
    fn collector(&self) -> Option<&dyn Collector> {
        None
    }
}

/// Fails if a name has the digest of another image.
///
/// # Errors
/// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) for a name with another digest than the root's.
pub fn check_name(name: &ImageName, root: &Descriptor) -> Result<()> {
    match name.digest() {
        Some(digest) if digest != root.digest.to_string() => {
            Err(Error::option(format!("`{name}` cannot be the name of an image with the digest {}", root.digest)))
        }
        _ => Ok(()),
    }
}

/// What a name points to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredImage {
    /// The root: a manifest or an index.
    pub root: Descriptor,
    /// Referrers that are kept with it, such as signatures and SBOMs.
    pub referrers: Vec<Descriptor>,
}

impl StoredImage {
    /// Creates an image from its root and referrers.
    pub fn new(root: Descriptor, referrers: Vec<Descriptor>) -> Self {
        Self { root, referrers }
    }
}
