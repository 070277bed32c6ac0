//! Where the files of an image go: into a directory.

use std::path::PathBuf;

use longshore_core::files::{FilesDirectory, StagedFiles};
use longshore_core::{BuildResult, ExportContext, ExporterType, Response, Result, Staged, Turn, Work};

use crate::LocalExporter;
use crate::options::LocalOptions;

pub(crate) fn directory<'a>(
    result: &'a BuildResult,
    options: &'a LocalOptions,
    root: PathBuf,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    let directory = FilesDirectory::new(root).with_delete(options.deletes(), options.may_delete_all());
    let files = directory.stage(cx.work(), |visit| options.files.entries(result, cx, visit))?;
    Ok(Box::new(StagedDirectory { files, work: cx.work() }))
}

struct StagedDirectory<'a> {
    files: StagedFiles,
    work: &'a Work,
}

impl Staged for StagedDirectory<'_> {
    fn turn(&self) -> Turn {
        Turn::Local
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        let root = self.files.publish(self.work)?;
        Ok(Response::new(LocalExporter::KIND, Some(root.display().to_string()), Vec::new()))
    }
}
