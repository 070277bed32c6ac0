//! Where the images of a result go: into an archive. A directory is core's: see `layout::stage_directory`.

use longshore_core::image::NamedImage;
use longshore_core::layout::{LayoutArchive, entries};
use longshore_core::{ExportContext, ExporterType, FileSink, Result, Staged};

use crate::OciExporter;

pub(crate) fn archive<'a>(
    images: Vec<NamedImage<'a>>,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let exported = images.iter().map(NamedImage::exported).collect();
    let entries = entries(&images, None);
    let blobs = images.into_iter().flat_map(|named| named.image.blobs).collect();
    let archive = LayoutArchive::new(entries, blobs)?;
    Ok(sink.fill_with(archive.into_bundle(), cx.work())?.staged(OciExporter::KIND, exported))
}
