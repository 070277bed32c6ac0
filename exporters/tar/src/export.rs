//! Where the files of an image go: into an archive.

use longshore_core::compression::Compressor;
use longshore_core::{BuildResult, ExportContext, ExporterType, FileSink, Result, Staged};

use crate::TarExporter;
use crate::options::TarOptions;

pub(crate) fn archive<'a>(
    result: &'a BuildResult,
    options: &'a TarOptions,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let encoding = options.encoding()?;
    sink.check_name(encoding.algorithm(), |said| format!("add compression={said}"), &cx.work().progress);
    let filled = sink.fill(move |out| {
        let mut compressor = Compressor::new(out, encoding, cx.work());
        options.files.write_tar(result, cx, &mut compressor)?;
        compressor.finish()
    });
    Ok(filled?.staged(TarExporter::KIND, Vec::new()))
}
