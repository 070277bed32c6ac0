//! The smallest exporter there can be: one image into a layout, as an archive or a directory.

use longshore_core::image::{ImageOptions, NamedImage, assemble};
use longshore_core::layout::{LayoutArchive, LayoutDirectory, StagedLayout, entries};
use longshore_core::oci::Descriptor;
use longshore_core::options::{Attrs, Options, Visitor};
use longshore_core::{
    BuildResult, Destination, Error, ExportContext, ExportedImage, Exporter, ExporterInfo, ExporterInstance,
    ExporterType, Filled, Needs, Output, Response, Result, Run, Staged, Turn,
};

#[derive(Debug)]
pub(crate) struct TinyExporter;

#[derive(Debug, Default)]
pub(crate) struct TinyOptions {
    /// Its type, where that is not `tiny`.
    pub(crate) kind: Option<String>,
    pub(crate) tar: Option<bool>,
    pub(crate) image: ImageOptions,
}

impl Options for TinyOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("tar", "Write an archive, not a directory", "true", &mut self.tar)?;
        self.image.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()
    }
}

impl ExporterType for TinyExporter {
    const KIND: &'static str = "tiny";
    const SUMMARY: &'static str = "A layout, for tests";
    type Instance = TinyOptions;
}

impl ExporterInstance for TinyOptions {
    fn destination(&self) -> Destination {
        if self.tar == Some(false) { Destination::Layout } else { Destination::File }
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.image.needs(result, run)
    }

    fn plan(&self, result: &BuildResult, _: Run) -> Result<Vec<String>> {
        Ok(vec![format!("{} images", result.images.len())])
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let mut named = Vec::new();
        for image in &result.images {
            let names = image.names.clone();
            named.push(NamedImage::new(assemble(image, result, &self.image, cx)?, names));
        }
        let all_entries = entries(&named, None);
        let images = named.iter().map(NamedImage::exported).collect();
        let blobs: Vec<_> = named.into_iter().flat_map(|named| named.image.blobs).collect();
        let medium = match output {
            Output::File(sink) => {
                let archive = LayoutArchive::new(all_entries, blobs)?;
                Medium::File(sink.fill_with(archive.into_bundle(), cx.work())?)
            }
            Output::Layout(path) => {
                Medium::Layout(LayoutDirectory::new(&path).stage(&blobs, cx)?, all_entries, path.display().to_string())
            }
            other => return Err(other.unexpected("tiny")),
        };
        let kind = self.kind.clone().unwrap_or_else(|| TinyExporter::KIND.to_owned());
        Ok(Box::new(StagedTiny { kind, medium, images }))
    }
}

struct StagedTiny<'a> {
    kind: String,
    medium: Medium<'a>,
    images: Vec<ExportedImage>,
}

enum Medium<'a> {
    File(Filled<'a>),
    Layout(StagedLayout, Vec<Descriptor>, String),
}

impl Staged for StagedTiny<'_> {
    fn turn(&self) -> Turn {
        match &self.medium {
            Medium::File(filled) => filled.turn(),
            Medium::Layout(..) => Turn::Local,
        }
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        let destination = match self.medium {
            Medium::File(filled) => filled.publish()?.map(|path| path.display().to_string()),
            Medium::Layout(staged, entries, path) => {
                staged.publish(entries)?;
                Some(path)
            }
        };
        Ok(Response::new(self.kind, destination, self.images))
    }
}

/// An exporter that breaks its contract: it shows what it wrote before everything has succeeded.
#[derive(Debug)]
pub(crate) struct HastyExporter;

impl Exporter for HastyExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo::new("hasty", "Too early.", Vec::new())
    }

    fn resolve(&self, _: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        Ok(Box::new(Hasty))
    }
}

struct Hasty;

impl ExporterInstance for Hasty {
    fn destination(&self) -> Destination {
        Destination::Directory
    }

    fn needs(&self, _: &BuildResult, _: Run) -> Result<Needs> {
        Ok(Needs::default())
    }

    fn plan(&self, _: &BuildResult, _: Run) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn export<'a>(
        &'a self,
        _: &'a BuildResult,
        output: Output,
        _: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let Output::Directory(path) = output else { return Err(Error::option("no directory")) };
        std::fs::create_dir_all(&path)?;
        let time = format!("{:?}", std::time::Instant::now());
        std::fs::write(path.join("file"), time)?;
        Ok(Box::new(StagedHasty(path.display().to_string())))
    }
}

struct StagedHasty(String);

impl Staged for StagedHasty {
    fn turn(&self) -> Turn {
        Turn::Local
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        Ok(Response::new("hasty".to_owned(), Some(self.0), Vec::new()))
    }
}
