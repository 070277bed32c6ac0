#![doc = include_str!("../README.md")]

mod export;
mod options;

use longshore_core::image::Push;
use longshore_core::options::{Attrs, describe, parse};
use longshore_core::{
    BuildResult, Destination, ExportContext, Exporter, ExporterInfo, ExporterInstance, Needs, Output, Result, Staged,
    image,
};
use options::RegistryOptions;

const TYPE: &str = "registry";

/// The exporter `type=registry`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistryExporter;

impl Exporter for RegistryExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo {
            kind: TYPE.into(),
            summary: "Image in registries, under its names".into(),
            options: describe::<RegistryOptions>(),
        }
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        Ok(Box::new(RegistryInstance { options: parse(TYPE, attrs)? }))
    }
}

#[derive(Debug)]
struct RegistryInstance {
    options: RegistryOptions,
}

impl ExporterInstance for RegistryInstance {
    fn destination(&self) -> Destination {
        Destination::None
    }

    fn needs(&self, result: &BuildResult) -> Result<Needs> {
        self.options.push.check_result(&self.options.image, result)?;
        self.options.image.needs(result)
    }

    fn plan(&self, result: &BuildResult) -> Result<Vec<String>> {
        let mut lines = image::plan(result, &self.options.image)?;
        lines.extend(self.options.push.plan(&self.options.image, result)?);
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
                let push = Push::open(result, &self.options.image, &self.options.push, cx)?;
                export::push(push, result, &self.options)
            }
            other => Err(other.unexpected(TYPE)),
        }
    }
}
