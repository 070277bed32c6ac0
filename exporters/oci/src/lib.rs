#![doc = include_str!("../README.md")]

mod export;
mod options;

use std::collections::HashSet;

use longshore_core::{
    BuildResult, Destination, Error, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged,
    image, layout,
};
use options::OciOptions;

/// The exporter `type=oci`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OciExporter;

impl ExporterType for OciExporter {
    const KIND: &'static str = "oci";
    const SUMMARY: &'static str = "OCI image layout, as a tar archive or a directory";
    type Instance = OciOptions;
}

impl ExporterInstance for OciOptions {
    fn destination(&self) -> Destination {
        if self.is_tar() { Destination::File } else { Destination::Layout }
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        let names = self.image.names(result)?;
        let tags: Vec<Vec<String>> = result.images.iter().map(|image| self.image.tags(image)).collect();
        let unnamed = names.iter().zip(&tags).filter(|(names, tags)| names.is_empty() && tags.is_empty()).count();
        if unnamed > 1 && !self.is_tar() {
            let message = format!("{unnamed} images without a name would all be tagged `latest` in one layout");
            return Err(Error::option(message).with_hint("name=* gives each image its own names"));
        }
        let mut seen = HashSet::new();
        if let Some(tag) = tags.iter().flatten().find(|tag| !seen.insert(*tag)) {
            let message = format!("several images have the tag `{}` and would be one in a layout", tag.escape_debug());
            return Err(Error::option(message).with_hint("write them in several runs, each with name=NAME"));
        }
        self.image.needs(result, run)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        image::plan(result, &self.image, run)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let images = image::assemble_all(result, &self.image, cx)?;
        match output {
            Output::File(sink) => export::archive(images, sink, cx),
            Output::Layout(root) => layout::stage_directory(OciExporter::KIND, images, root, cx),
            other => Err(other.unexpected(OciExporter::KIND)),
        }
    }
}
