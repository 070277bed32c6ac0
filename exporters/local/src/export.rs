//! Where the files of an image go: into a directory.

use std::path::{Path, PathBuf};

use longshore_core::content::is_scratch;
use longshore_core::files::StagedFiles;
use longshore_core::{BuildResult, Error, ExportContext, ExporterType, Response, Result, Staged, Turn, Work};

use crate::LocalExporter;
use crate::options::LocalOptions;

pub(crate) fn directory<'a>(
    result: &'a BuildResult,
    options: &'a LocalOptions,
    root: PathBuf,
    cx: &'a ExportContext<'a>,
) -> Result<Box<dyn Staged + 'a>> {
    if let Some(store) = cx.store().directory().filter(|_| options.deletes()) {
        check_store(store, &root)?;
    }
    let files = options.directory(&root).stage(cx.work(), |visit| options.files.entries(result, cx, visit))?;
    Ok(Box::new(StagedDirectory { files, work: cx.work() }))
}

/// Fails if the store of the run, unless it is a temporary one, would be removed.
fn check_store(store: &Path, root: &Path) -> Result<()> {
    let (Ok(store), Ok(root)) = (store.canonicalize(), root.canonicalize()) else { return Ok(()) };
    let Ok(within) = store.strip_prefix(&root) else { return Ok(()) };
    if within.components().next().is_some_and(|first| is_scratch(first.as_os_str())) {
        return Ok(());
    }
    let message = format!("{} has the store of this run in it, which mode=delete would remove", root.display());
    Err(Error::option(message).with_hint("choose another store, or another directory"))
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
