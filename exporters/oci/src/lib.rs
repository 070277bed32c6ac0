#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::options::{Attrs, describe, parse};
use longshore_core::{
    BuildResult, Destination, Error, ExportContext, Exporter, ExporterInfo, ExporterInstance, Needs, Output, Result,
    Staged, image,
};
use options::OciOptions;

const TYPE: &str = "oci";

/// The exporter `type=oci`.
#[derive(Debug, Clone, Copy, Default)]
pub struct OciExporter;

impl Exporter for OciExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo {
            kind: TYPE.into(),
            summary: "OCI image layout, as a tar archive or a directory".into(),
            options: describe::<OciOptions>(),
        }
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        Ok(Box::new(OciInstance { options: parse(TYPE, attrs)? }))
    }
}

#[derive(Debug)]
struct OciInstance {
    options: OciOptions,
}

impl ExporterInstance for OciInstance {
    fn destination(&self) -> Destination {
        if self.options.is_tar() { Destination::File } else { Destination::Layout }
    }

    fn needs(&self, result: &BuildResult) -> Result<Needs> {
        let names = self.options.image.names(result)?;
        let unnamed = names.iter().filter(|names| names.is_empty()).count();
        if unnamed > 1 && !self.options.is_tar() {
            let message = format!("{unnamed} images without a name would all be tagged `latest` in one layout");
            return Err(Error::option(message).with_hint("name=* gives each image the names that it brings"));
        }
        self.options.image.needs(result)
    }

    fn plan(&self, result: &BuildResult) -> Result<Vec<String>> {
        image::plan(result, &self.options.image)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let images = image::assemble_all(result, &self.options.image, cx)?;
        match output {
            Output::File(sink) => export::archive(images, sink, cx),
            Output::Layout(root) => export::directory(images, root, cx),
            other => Err(other.unexpected(TYPE)),
        }
    }
}
