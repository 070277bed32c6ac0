//! The destination of the images of a result: registries, by digest, and then under their tags.

use longshore_core::image::{Push, PushedTags};
use longshore_core::{BuildResult, ExportedImage, ExporterType, Response, Result, Staged, Turn};

use crate::RegistryExporter;
use crate::options::RegistryOptions;

pub(crate) fn push<'a>(
    push: Push<'a>,
    result: &'a BuildResult,
    options: &RegistryOptions,
) -> Result<Box<dyn Staged + 'a>> {
    let images = push.assemble(result, &options.image)?;
    let tags = push.send(&images)?;
    let exported = images.iter().map(|named| {
        let names = options.push.pushed_names(&named.names, &named.image.root.digest)?;
        Ok(named.exported().with_names(names.iter().map(ToString::to_string).collect()))
    });
    Ok(Box::new(StagedTags { tags, images: exported.collect::<Result<_>>()? }))
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
        Ok(Response::new(RegistryExporter::KIND.to_owned(), None, self.images))
    }
}
