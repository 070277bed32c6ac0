//! `type=@TYPE@`: an exporter of Longshore. It writes the names and sizes of the files of an image to a file.

use longshore_core::files::FilesOptions;
use longshore_core::options::{Options, Visitor};
use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged,
};

/// The exporter.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListingExporter;

impl ExporterType for ListingExporter {
    const KIND: &'static str = "@TYPE@";
    const SUMMARY: &'static str = "Names and sizes of the files of an image";
    type Instance = ListingOptions;
}

/// Its options. Once checked, they are one output.
#[derive(Debug, Clone, Default)]
pub struct ListingOptions {
    files: FilesOptions,
    sizes: Option<bool>,
}

impl Options for ListingOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        self.files.visit(visitor)?;
        visitor.option("sizes", "Whether to write sizes", "true", &mut self.sizes)
    }

    fn validate(&self) -> Result<()> {
        self.files.validate()
    }
}

impl ExporterInstance for ListingOptions {
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
        let Output::File(sink) = output else { return Err(output.unexpected(ListingExporter::KIND)) };
        let filled = sink.fill(move |out| {
            self.files.entries(result, cx, &mut |entry, _| {
                // Names of files are bytes, of which not all are text.
                out.write_all(&entry.path)?;
                if self.sizes != Some(false) {
                    write!(out, " {}", entry.size)?;
                }
                Ok(out.write_all(b"\n")?)
            })
        });
        Ok(filled?.staged(ListingExporter::KIND, Vec::new()))
    }
}
