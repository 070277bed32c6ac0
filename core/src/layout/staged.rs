//! Images on their way into a layout directory.

use std::path::PathBuf;

use longshore_oci::{Descriptor, Result};

use super::{LayoutDirectory, StagedLayout, entries};
use crate::context::{ExportContext, ExportedImage, Response, Turn};
use crate::exporter::Staged;
use crate::image::NamedImage;

/// Returns `images` as the staged export of an exporter of type `kind` into the layout directory `root`. An image without
/// a name gets the tag `latest`.
///
/// # Errors
/// An existing directory that is not a layout; blobs that are not what their descriptors say; I/O errors.
pub fn stage_directory<'a>(
    kind: &str,
    images: Vec<NamedImage<'a>>,
    root: PathBuf,
    cx: &ExportContext<'_>,
) -> Result<Box<dyn Staged + 'a>> {
    let exported = images.iter().map(NamedImage::exported).collect();
    let entries = entries(&images, Some("latest"));
    let layout = LayoutDirectory::new(root);
    layout.check()?;
    let blobs: Vec<_> = images.into_iter().flat_map(|named| named.image.blobs).collect();
    let staged = layout.stage(&blobs, cx)?;
    Ok(Box::new(StagedDirectory { kind: kind.to_owned(), staged, entries, images: exported }))
}

struct StagedDirectory {
    kind: String,
    staged: StagedLayout,
    entries: Vec<Descriptor>,
    images: Vec<ExportedImage>,
}

impl Staged for StagedDirectory {
    fn turn(&self) -> Turn {
        Turn::Local
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        let destination = Some(self.staged.publish(self.entries)?.display().to_string());
        Ok(Response::new(self.kind, destination, self.images))
    }
}
