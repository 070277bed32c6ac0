#![doc = include_str!("../README.md")]

mod export;
mod options;

use std::path::Path;

use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged,
};
use options::LocalOptions;

/// The exporter `type=local`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalExporter;

impl ExporterType for LocalExporter {
    const KIND: &'static str = "local";
    const SUMMARY: &'static str = "Files of an image in a directory";
    type Instance = LocalOptions;
}

impl ExporterInstance for LocalOptions {
    fn destination(&self) -> Destination {
        Destination::Directory
    }

    fn holds_images(&self) -> bool {
        false
    }

    fn check_destination(&self, path: &Path) -> Result<()> {
        self.directory(path).check()
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
            Output::Directory(root) => export::directory(result, self, root, cx),
            other => Err(other.unexpected(LocalExporter::KIND)),
        }
    }
}
