#![doc = include_str!("../README.md")]

mod export;
mod legacy;
mod load;
mod manifest;
mod options;

use longshore_core::{
    BuildResult, Destination, ExportContext, ExporterInstance, ExporterType, Needs, Output, Result, Run, Staged, Work,
    image, layout,
};
use options::{DockerOptions, Format};

/// The exporter `type=docker`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerExporter;

impl ExporterType for DockerExporter {
    const KIND: &'static str = "docker";
    const SUMMARY: &'static str =
        "Images in the Docker Engine, or a tarball for docker load that is also an OCI layout";
    type Instance = DockerOptions;
}

impl ExporterInstance for DockerOptions {
    fn destination(&self) -> Destination {
        match self.format() {
            _ if !self.is_tar() => Destination::Layout,
            Format::Legacy => Destination::NamedFile,
            Format::Combined if self.context().is_some() => Destination::None,
            Format::Combined => Destination::OptionalFile,
        }
    }

    fn check_reachable(&self, work: &Work) -> Result<()> {
        load::check(self, work)
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        if self.is_tar() {
            manifest::check_platforms(result, self)?;
        }
        if self.format() == Format::Legacy {
            legacy::check(result)?;
        }
        self.image()?.needs(result, run)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        image::plan(result, &self.image()?, run)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        match output {
            Output::None => load::load(result, self, cx),
            Output::File(sink) => export::archive(result, self, sink, cx),
            Output::Layout(root) => {
                let images = image::assemble_all(result, &self.image()?, cx)?;
                layout::stage_directory(DockerExporter::KIND, images, root, cx)
            }
            other => Err(other.unexpected(DockerExporter::KIND)),
        }
    }
}
