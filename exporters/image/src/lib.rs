#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::options::{Attrs, describe, parse};
use longshore_core::{
    BuildResult, Destination, ExportContext, Exporter, ExporterInfo, ExporterInstance, Needs, Output, Result, Staged,
    image,
};
use options::StoreOptions;

const TYPE: &str = "image";

/// The exporter `type=image`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageExporter;

impl Exporter for ImageExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo {
            kind: TYPE.into(),
            summary: "Image in the image store, and in registries, under its names".into(),
            options: describe::<StoreOptions>(),
        }
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        Ok(Box::new(ImageInstance { options: parse(TYPE, attrs)? }))
    }
}

#[derive(Debug)]
struct ImageInstance {
    options: StoreOptions,
}

impl ExporterInstance for ImageInstance {
    fn destination(&self) -> Destination {
        if self.options.is_stored() { Destination::ImageStore } else { Destination::None }
    }

    fn needs(&self, result: &BuildResult) -> Result<Needs> {
        self.options.check_result(result)?;
        self.options.image.needs(result)
    }

    fn plan(&self, result: &BuildResult) -> Result<Vec<String>> {
        let mut lines = image::plan(result, &self.options.image)?;
        if self.options.is_pushed() {
            lines.extend(self.options.push.plan(&self.options.image, result)?);
        }
        Ok(lines)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let store = match output {
            Output::ImageStore(store) => Some(store),
            Output::None => None,
            other => return Err(other.unexpected(TYPE)),
        };
        let push = self.options.open_push(result, cx)?;
        let images = match &push {
            Some(push) => push.assemble(result, &self.options.image)?,
            None => image::assemble_all(result, &self.options.image, cx)?,
        };
        export::stage(images, &self.options, store, push, cx)
    }
}
