//! Layouts as sources: directories and archives.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_content::{Progress, Provider};
use longshore_oci::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Context, Descriptor, Digest, Error, ErrorKind, ImageName, Index,
    MANIFEST_LIMIT, Result, parse_layout_index,
};

use super::names::{ListedImage, is_document, listed, say_no_images, valid_names};
use crate::archive::TarFile;
use crate::result::{Existing, Image, ImageContent};

/// A layout that is read: who has the blobs of its images.
#[derive(Debug)]
pub struct LayoutSource {
    place: Place,
    index: Index,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Archive(Arc<TarFile>),
}

impl LayoutSource {
    /// Opens the layout in a directory.
    ///
    /// # Errors
    /// Not a layout of version 1.0.0.
    pub fn directory(path: &Path) -> Result<Self> {
        Self::open(Place::Directory(path.to_owned())).attempt(|| format!("cannot read layout {}", path.display()))
    }

    /// Opens the layout in an archive.
    ///
    /// # Errors
    /// Not a layout of version 1.0.0.
    pub fn archive(tar: impl Into<Arc<TarFile>>) -> Result<Self> {
        Self::open(Place::Archive(tar.into()))
    }

    fn open(place: Place) -> Result<Self> {
        let layout = place.document("oci-layout").map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::input("not an OCI image layout: it has no `oci-layout`"),
            _ => error,
        })?;
        super::check_version(&layout)?;
        let index = place.document("index.json")?;
        Ok(Self { place, index: parse_layout_index(&index)? })
    }

    /// Returns the images of the layout, or those that `reference` names: a tag, a full name or a digest.
    ///
    /// An image with several names or tags is one image. What refers to an image comes with it. Names that are not valid are left
    /// out with a warning, as are entries of unknown media type.
    ///
    /// # Errors
    /// A reference that names nothing, something that is no image, or different images; a layout without an image.
    pub fn images(self, reference: Option<&str>, progress: &Progress) -> Result<Vec<Image>> {
        let source = Arc::new(self);
        let images = listed(&source.index, |entry| reference.is_none_or(|reference| is_named(entry, reference)));
        if let Some(reference) = reference
            && images.len() != 1
        {
            return Err(source.not_one(reference, images.len()));
        }
        if reference.is_none() {
            say_no_images(&source.index, progress);
        }
        if images.is_empty() {
            return Err(Error::input("there is no image in it"));
        }
        let image = |ListedImage { root, names, tags, referrers }: ListedImage| {
            let existing = Existing { root, referrers, provider: source.clone() };
            Image::new(ImageContent::Existing(existing)).with_names(valid_names(&names, progress)).with_tags(tags)
        };
        Ok(images.into_iter().map(image).collect())
    }

    /// Returns the parsed `index.json`.
    pub fn index(&self) -> &Index {
        &self.index
    }

    fn not_one(&self, reference: &str, found: usize) -> Error {
        let shown = reference.escape_debug();
        if found > 1 {
            return Error::option(format!("`{shown}` matches {found} images of the layout"))
                .with_hint("use a full name or a digest");
        }
        let is_meant = |entry: &&Descriptor| !is_document(entry) && is_named(entry, reference);
        if let Some(other) = self.index.manifests.iter().find(is_meant) {
            let media_type = other.media_type.as_str().escape_debug();
            return Error::new(ErrorKind::Unsupported, format!("`{shown}` is a `{media_type}`, not an image"));
        }
        let known = |entry: &Descriptor| {
            let annotation = |key| entry.annotations.get(key).cloned();
            annotation(ANNOTATION_IMAGE_NAME)
                .or_else(|| annotation(ANNOTATION_REF_NAME))
                .unwrap_or_else(|| entry.digest.to_string())
        };
        let known: Vec<String> = self.index.manifests.iter().filter(|entry| is_document(entry)).map(known).collect();
        let known = if known.is_empty() { "no image".to_owned() } else { known.join(", ") };
        Error::new(ErrorKind::NotFound, format!("`{shown}` is not in the layout")).with_hint(format!("it has {known}"))
    }
}

/// Returns whether a user's reference means an entry.
fn is_named(entry: &Descriptor, reference: &str) -> bool {
    let full = reference.parse::<ImageName>().map(|name| name.to_string()).unwrap_or_default();
    let is = |key: &str, text: &str| entry.annotations.get(key).is_some_and(|value| value == text);
    is(ANNOTATION_REF_NAME, reference)
        || is(ANNOTATION_IMAGE_NAME, reference)
        || is(ANNOTATION_IMAGE_NAME, &full)
        || entry.digest.to_string() == reference
}

impl Place {
    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let directory = match self {
            Self::Archive(tar) => return tar.document(name, MANIFEST_LIMIT),
            Self::Directory(directory) => directory,
        };
        let path = directory.join(name);
        let size = fs::metadata(&path).attempt(|| format!("cannot read {}", path.display()))?.len();
        if size > MANIFEST_LIMIT {
            return Err(Error::input(format!("{name} has {size} bytes, more than the limit of {MANIFEST_LIMIT}")));
        }
        fs::read(&path).attempt(|| format!("cannot read {}", path.display()))
    }
}

impl Provider for LayoutSource {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let missing = || Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the layout"));
        match &self.place {
            Place::Archive(tar) => match tar.read(&digest.layout_path(), from) {
                Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
                read => Ok(Box::new(read?)),
            },
            Place::Directory(directory) => match File::open(directory.join(digest.layout_path())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                file => {
                    let mut file = file.attempt(|| format!("cannot open blob {digest}"))?;
                    file.seek(SeekFrom::Start(from))?;
                    Ok(Box::new(file))
                }
            },
        }
    }
}
