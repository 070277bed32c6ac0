#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::image::Push;
use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged, image,
};
use options::RegistryOptions;

/// The exporter `type=registry`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistryExporter;

impl ExporterType for RegistryExporter {
    const KIND: &'static str = "registry";
    const SUMMARY: &'static str = "Image in registries";
    type Instance = RegistryOptions;
}

impl ExporterInstance for RegistryOptions {
    fn destination(&self) -> Destination {
        Destination::None
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.push.check_result(&self.image, result)?;
        self.image.needs(result, self.push.run(&self.image, result, run)?)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        let mut lines = image::plan(result, &self.image, self.push.run(&self.image, result, run)?)?;
        lines.extend(self.push.plan(&self.image, result)?);
        Ok(lines)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        match output {
            Output::None => {
                let push = Push::open(result, &self.image, &self.push, cx)?;
                export::push(push, result, self)
            }
            other => Err(other.unexpected(RegistryExporter::KIND)),
        }
    }
}
