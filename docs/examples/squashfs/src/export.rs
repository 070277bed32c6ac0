//! Where the files of an image go: into a SquashFS image.

use std::fs::File;
use std::io::{self, Write};

use longshore_core::archive::Writer;
use longshore_core::{BuildResult, Context, ExportContext, ExporterType, FileSink, Result, ScratchDirectory, Staged};

use crate::SquashfsExporter;
use crate::options::SquashfsOptions;
use crate::tar2sqfs;

pub(crate) fn image<'a>(
    result: &'a BuildResult,
    options: &'a SquashfsOptions,
    sink: FileSink,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let place = sink.scratch().unwrap_or_else(std::env::temp_dir);
    let scratch = ScratchDirectory::new_in(&place).attempt(|| format!("cannot write to {}", place.display()))?;
    let path = scratch.path().join("image");
    // A time before 1970 has no place in the header.
    let time = options.files.epoch(result.epoch).map_or(0, |epoch| epoch.seconds().max(0));
    tar2sqfs::run(&path, &options.arguments(), time, cx.work(), |out| write(result, options, cx, out))?;
    let mut image = File::open(path)?;
    let filled = sink.fill(move |out| {
        // A stream is written when it is published: the file has to be there until then.
        let _scratch = scratch;
        Ok(io::copy(&mut image, out).map(drop)?)
    });
    Ok(filled?.staged(SquashfsExporter::KIND, Vec::new()))
}

/// Writes the files as a tar archive, as `FilesOptions::write_tar` does.
fn write(result: &BuildResult, options: &SquashfsOptions, cx: &ExportContext<'_>, out: &mut dyn Write) -> Result<()> {
    let mut tar = Writer::new(out);
    options.files.entries(result, cx, &mut |entry, content| {
        tar.append(entry, content).attempt(|| format!("cannot write {}", entry.display()))
    })?;
    tar.finish()?;
    Ok(())
}
