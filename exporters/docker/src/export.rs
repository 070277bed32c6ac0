//! Where the images of a result go: into an archive.

use longshore_core::image::NamedImage;
use longshore_core::layout::{LayoutArchive, entries};
use longshore_core::{ExportContext, FileSink, Result, Staged};

use crate::options::DockerOptions;
use crate::{TYPE, manifest};

pub(crate) fn archive<'a>(
    images: Vec<NamedImage<'a>>,
    options: &DockerOptions,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let exported = images.iter().map(NamedImage::exported).collect();
    let document = manifest::document(&images, options)?;
    let entries = entries(&images, None);
    let blobs = images.into_iter().flat_map(|named| named.image.blobs).collect();
    let mut archive = LayoutArchive::new(entries, blobs)?;
    archive.add_document("manifest.json", 0o644, document);
    Ok(sink.fill_with(archive.into_bundle(), cx)?.staged(TYPE, exported))
}
