//! Where the images of a result go: into an archive, or into a directory.

use std::path::PathBuf;

use longshore_core::image::{ImageBlob, NamedImage};
use longshore_core::layout::{LayoutArchive, LayoutDirectory, StagedLayout, entries};
use longshore_core::oci::Descriptor;
use longshore_core::{ExportContext, ExportedImage, ExporterType, FileSink, Response, Result, Staged, Turn};

use crate::OciExporter;

pub(crate) fn archive<'a>(
    images: Vec<NamedImage<'a>>,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let exported = images.iter().map(NamedImage::exported).collect();
    let archive = LayoutArchive::new(entries(&images, None), blobs(images))?;
    Ok(sink.fill_with(archive.into_bundle(), cx.work())?.staged(OciExporter::KIND, exported))
}

pub(crate) fn directory<'a>(
    images: Vec<NamedImage<'a>>,
    root: PathBuf,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let exported = images.iter().map(NamedImage::exported).collect();
    let entries = entries(&images, Some("latest"));
    let layout = LayoutDirectory::new(root);
    layout.check()?;
    let staged = layout.stage(&blobs(images), cx)?;
    Ok(Box::new(StagedDirectory { staged, entries, images: exported }))
}

fn blobs(images: Vec<NamedImage<'_>>) -> Vec<ImageBlob<'_>> {
    images.into_iter().flat_map(|named| named.image.blobs).collect()
}

struct StagedDirectory {
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
        Ok(Response::new(OciExporter::KIND.to_owned(), destination, self.images))
    }
}
