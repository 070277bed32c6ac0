#![doc = include_str!("../README.md")]

mod export;
mod legacy;
mod manifest;
mod options;

use longshore_core::options::{Attrs, describe, parse};
use longshore_core::{
    BuildResult, Destination, ExportContext, Exporter, ExporterInfo, ExporterInstance, Needs, Output, Result, Staged,
    image,
};
use options::{DockerOptions, Format};

const TYPE: &str = "docker";

/// The exporter `type=docker`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerExporter;

impl Exporter for DockerExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo {
            kind: TYPE.into(),
            summary: "Tarball for docker load, which is an OCI image layout too".into(),
            options: describe::<DockerOptions>(),
        }
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        Ok(Box::new(DockerInstance { options: parse(TYPE, attrs)? }))
    }
}

#[derive(Debug)]
struct DockerInstance {
    options: DockerOptions,
}

impl ExporterInstance for DockerInstance {
    fn destination(&self) -> Destination {
        Destination::NamedFile
    }

    fn needs(&self, result: &BuildResult) -> Result<Needs> {
        manifest::check_platforms(result, &self.options)?;
        if self.options.format() == Format::Legacy {
            legacy::check(result)?;
        }
        self.options.image()?.needs(result)
    }

    fn plan(&self, result: &BuildResult) -> Result<Vec<String>> {
        image::plan(result, &self.options.image()?)
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        match output {
            Output::File(sink) => export::archive(result, &self.options, sink, cx),
            other => Err(other.unexpected(TYPE)),
        }
    }
}
