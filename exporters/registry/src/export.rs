//! Where the images of a result go: into registries by their digests, and then under their tags.

use longshore_core::image::{ImageOptions, NamedImage, Push, PushedTags};
use longshore_core::{BuildResult, ExportedImage, Response, Result, Staged, Turn};

use crate::TYPE;

pub(crate) fn push<'a>(
    push: Push<'a>,
    result: &'a BuildResult,
    options: &ImageOptions,
) -> Result<Box<dyn Staged + 'a>> {
    let images = push.assemble(result, options)?;
    let tags = push.send(&images)?;
    Ok(Box::new(StagedTags { tags, images: images.iter().map(NamedImage::exported).collect() }))
}

struct StagedTags<'a> {
    tags: PushedTags<'a>,
    images: Vec<ExportedImage>,
}

impl Staged for StagedTags<'_> {
    fn turn(&self) -> Turn {
        Turn::Remote
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        self.tags.publish()?;
        Ok(Response { kind: TYPE.to_owned(), destination: None, images: self.images })
    }
}
