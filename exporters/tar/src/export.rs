//! Where the files of an image go: into an archive.

use longshore_core::archive::Writer;
use longshore_core::compression::Compressor;
use longshore_core::{BuildResult, Context, ExportContext, ExporterType, FileSink, Result, Staged};

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
        let mut tar = Writer::new(&mut compressor);
        options.files.entries(result, cx, &mut |entry, content| {
            tar.append(entry, content).attempt(|| format!("cannot write {}", entry.display()))
        })?;
        tar.finish()?;
        compressor.finish()
    });
    Ok(filled?.staged(TarExporter::KIND, Vec::new()))
}
