//! What a plugin is given: copies of its own.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use longshore_core::files::{FilesDirectory, FilesOptions};
use longshore_core::image::{ImageOptions, NamedImage, assemble_all, plan};
use longshore_core::layout::{LayoutDirectory, entries};
use longshore_core::options::{Attrs, OptionInfo, Options, describe, parse};
use longshore_core::{BuildResult, Context, ExportContext, ExportedImage, Needs, Result, Run};

use super::declared::belongs;
use crate::protocol::{self, InputKind};

/// The input of an output, with the options that decide it.
#[derive(Debug)]
pub(super) enum Input {
    Layout(ImageOptions),
    Files(FilesOptions),
    Tar(FilesOptions),
}

impl Input {
    fn new(kind: InputKind) -> Self {
        match kind {
            InputKind::Layout => Self::Layout(ImageOptions::default()),
            InputKind::Files => Self::Files(FilesOptions::default()),
            InputKind::Tar => Self::Tar(FilesOptions::default()),
        }
    }

    fn options_mut(&mut self) -> &mut dyn Options {
        match self {
            Self::Layout(options) => options,
            Self::Files(options) | Self::Tar(options) => options,
        }
    }

    /// Returns the options that inputs of a kind have.
    pub(super) fn options(kind: InputKind) -> Vec<OptionInfo> {
        describe(Self::new(kind).options_mut())
    }

    /// Reads the options of the input of the exporter `exporter` from `attrs`, passing over those of others.
    ///
    /// # Errors
    /// A value that an option does not take.
    pub(super) fn parse(kind: InputKind, exporter: &str, attrs: &Attrs) -> Result<Self> {
        let known = Self::options(kind);
        let mut own = Attrs::default();
        for (key, attr) in attrs.iter().filter(|(key, _)| known.iter().any(|option| belongs(key, &option.key))) {
            own.insert(key, &*attr.value, attr.column);
        }
        let mut input = Self::new(kind);
        parse(exporter, &own, input.options_mut())?;
        Ok(input)
    }

    pub(super) fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        match self {
            Self::Layout(options) => options.needs(result, run),
            Self::Files(options) | Self::Tar(options) => options.check_result(result).map(|()| Needs::default()),
        }
    }

    pub(super) fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        match self {
            Self::Layout(options) => plan(result, options, run),
            Self::Files(options) | Self::Tar(options) => options.plan(result),
        }
    }

    /// Writes the input below `place`; returns where it is, and the images in it.
    pub(super) fn write(
        &self,
        result: &BuildResult,
        place: &Path,
        cx: &ExportContext<'_>,
    ) -> Result<(protocol::Input, Vec<ExportedImage>)> {
        match self {
            Self::Layout(options) => {
                let images = assemble_all(result, options, cx)?;
                let exported = images.iter().map(NamedImage::exported).collect();
                let path = place.join("layout");
                let entries = entries(&images, None);
                let blobs: Vec<_> = images.into_iter().flat_map(|named| named.image.blobs).collect();
                LayoutDirectory::new(&path).stage(&blobs, cx)?.publish(entries)?;
                Ok((protocol::Input::Layout(path), exported))
            }
            Self::Files(options) => {
                let path = place.join("files");
                let files = FilesDirectory::new(&path);
                files.stage(cx.work(), |visit| options.entries(result, cx, visit))?.publish(cx.work())?;
                Ok((protocol::Input::Files(path), Vec::new()))
            }
            Self::Tar(options) => {
                let path = place.join("files.tar");
                let file = File::create_new(&path).attempt(|| format!("cannot create {}", path.display()))?;
                let mut out = BufWriter::with_capacity(128 << 10, file);
                options.write_tar(result, cx, &mut out)?;
                out.into_inner()
                    .map_err(|error| error.into_error())
                    .attempt(|| format!("cannot write {}", path.display()))?;
                Ok((protocol::Input::Tar(path), Vec::new()))
            }
        }
    }
}
