#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged,
};
use options::TarOptions;

/// The exporter `type=tar`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TarExporter;

impl ExporterType for TarExporter {
    const KIND: &'static str = "tar";
    const SUMMARY: &'static str = "Files of an image as a tar archive";
    type Instance = TarOptions;
}

impl ExporterInstance for TarOptions {
    fn destination(&self) -> Destination {
        Destination::File
    }

    fn holds_images(&self) -> bool {
        false
    }

    fn needs(&self, result: &BuildResult, _: Run) -> Result<Needs> {
        self.files.check_result(result)?;
        Ok(Needs::default())
    }

    fn plan(&self, result: &BuildResult, _: Run) -> Result<Vec<String>> {
        self.files.plan(result)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        match output {
            Output::File(sink) => export::archive(result, self, sink, cx),
            other => Err(other.unexpected(TarExporter::KIND)),
        }
    }
}
