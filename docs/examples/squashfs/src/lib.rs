#![doc = include_str!("../README.md")]

mod export;
mod frontend;
mod options;
mod tar2sqfs;

pub use frontend::SquashfsFrontend;
use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged,
};
use options::SquashfsOptions;

/// The exporter `type=squashfs`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquashfsExporter;

impl ExporterType for SquashfsExporter {
    const KIND: &'static str = "squashfs";
    const SUMMARY: &'static str = "Files of an image as a SquashFS image";
    type Instance = SquashfsOptions;
}

impl ExporterInstance for SquashfsOptions {
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
            Output::File(sink) => export::image(result, self, sink, cx),
            other => Err(other.unexpected(SquashfsExporter::KIND)),
        }
    }
}
