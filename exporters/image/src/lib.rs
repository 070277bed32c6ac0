#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged, image,
};
use options::StoreOptions;

/// The exporter `type=image`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageExporter;

impl ExporterType for ImageExporter {
    const KIND: &'static str = "image";
    const SUMMARY: &'static str = "Image in the image store, and optionally in registries";
    type Instance = StoreOptions;
}

impl ExporterInstance for StoreOptions {
    fn destination(&self) -> Destination {
        if self.is_stored() { Destination::ImageStore } else { Destination::None }
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.check_result(result)?;
        self.image.needs(result, self.run(result, run)?)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        let mut lines = image::plan(result, &self.image, self.run(result, run)?)?;
        if self.is_pushed() {
            lines.extend(self.push.plan(&self.image, result)?);
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
            other => return Err(other.unexpected(ImageExporter::KIND)),
        };
        let push = self.open_push(result, cx)?;
        let images = match &push {
            Some(push) => push.assemble(result, &self.image)?,
            None => image::assemble_all(result, &self.image, cx)?,
        };
        export::stage(images, self, store, push, cx)
    }
}
