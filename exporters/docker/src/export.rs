//! The destination of the images of a result: an archive.

use longshore_core::image::{NamedImage, assemble_all};
use longshore_core::layout::{LayoutArchive, entries};
use longshore_core::{BuildResult, Bundle, ExportContext, ExportedImage, ExporterType, FileSink, Result, Staged};

use crate::options::{DockerOptions, Format};
use crate::{DockerExporter, legacy, manifest};

pub(crate) fn archive<'a>(
    result: &BuildResult,
    options: &DockerOptions,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    say_nameless(result, options, cx)?;
    let (bundle, exported) = match options.format() {
        Format::Combined => combined(result, options, cx)?,
        Format::Legacy => legacy::bundle(result, options, cx)?,
    };
    Ok(sink.fill_with(bundle, cx.work())?.staged(DockerExporter::KIND, exported))
}

fn combined<'a>(
    result: &BuildResult,
    options: &DockerOptions,
    cx: &'a ExportContext<'a>,
) -> Result<(Bundle<'a>, Vec<ExportedImage>)> {
    let images = assemble_all(result, &options.image()?, cx)?;
    let exported = images.iter().map(NamedImage::exported).collect();
    let document = manifest::document(&images, options, cx.work())?;
    let entries = entries(&images, None);
    let blobs = images.into_iter().flat_map(|named| named.image.blobs).collect();
    let mut archive = LayoutArchive::new(entries, blobs)?;
    archive.add_document("manifest.json", 0o644, document);
    Ok((archive.into_bundle(), exported))
}

/// Warns about images that get no name.
pub(crate) fn say_nameless(result: &BuildResult, options: &DockerOptions, cx: &ExportContext<'_>) -> Result<()> {
    if options.image()?.is_nameless() {
        let brings = result.images.iter().any(|image| !image.names.is_empty());
        let or_all = if brings { ", or name=* for the names that it brings" } else { "" };
        cx.work().progress.warn_once("docker: no name", || format!("the image has no name; add name=NAME{or_all}"));
    }
    Ok(())
}
