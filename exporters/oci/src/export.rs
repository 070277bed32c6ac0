//! Where the images of a result go: into an archive, or into a directory.

use std::path::PathBuf;

use longshore_core::image::{AssembledImage, ImageBlob, ImageOptions, assemble as assemble_one};
use longshore_core::layout::{LayoutArchive, LayoutDirectory, StagedLayout, entries};
use longshore_core::oci::{Descriptor, ImageName};
use longshore_core::{BuildResult, ExportContext, ExportedImage, FileSink, Filled, Response, Result, Staged, Turn};

use crate::TYPE;

/// The images of a result, ready to be copied, with their names.
pub(crate) struct Images<'a> {
    images: Vec<(AssembledImage<'a>, Vec<ImageName>)>,
}

/// Makes every image of `result`.
pub(crate) fn assemble<'a>(
    result: &'a BuildResult,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<Images<'a>> {
    let named = result.images.iter().zip(options.names(result)?);
    let images = named.map(|(image, names)| Ok((assemble_one(image, result, options, cx)?, names)));
    Ok(Images { images: images.collect::<Result<_>>()? })
}

impl<'a> Images<'a> {
    pub(crate) fn into_archive(self, sink: FileSink, cx: &'a ExportContext<'a>) -> Result<Box<dyn Staged + 'a>> {
        let images = self.exported();
        let archive = LayoutArchive::new(self.entries(None), self.into_blobs())?;
        let filled = sink.fill(move |out| archive.write(out, cx))?;
        Ok(Box::new(StagedArchive { filled, images }))
    }

    pub(crate) fn into_layout(self, root: PathBuf, cx: &'a ExportContext<'a>) -> Result<Box<dyn Staged + 'a>> {
        let (images, entries) = (self.exported(), self.entries(Some("latest")));
        let layout = LayoutDirectory::new(root);
        layout.check()?;
        let staged = layout.stage(&self.into_blobs(), cx)?;
        Ok(Box::new(StagedDirectory { staged, entries, images }))
    }

    fn exported(&self) -> Vec<ExportedImage> {
        let exported = |(image, names): &(AssembledImage<'_>, Vec<ImageName>)| ExportedImage {
            names: names.iter().map(ToString::to_string).collect(),
            root: image.root.clone(),
            config: image.config.clone(),
        };
        self.images.iter().map(exported).collect()
    }

    fn entries(&self, default_tag: Option<&str>) -> Vec<Descriptor> {
        self.images.iter().flat_map(|(image, names)| entries(image, names, default_tag)).collect()
    }

    fn into_blobs(self) -> Vec<ImageBlob<'a>> {
        self.images.into_iter().flat_map(|(image, _)| image.blobs).collect()
    }
}

struct StagedArchive<'a> {
    filled: Filled<'a>,
    images: Vec<ExportedImage>,
}

impl Staged for StagedArchive<'_> {
    fn turn(&self) -> Turn {
        self.filled.turn()
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        let destination = self.filled.publish()?.map(|path| path.display().to_string());
        Ok(Response { kind: TYPE.to_owned(), destination, images: self.images })
    }
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
        Ok(Response { kind: TYPE.to_owned(), destination, images: self.images })
    }
}
