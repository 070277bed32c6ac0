//! `squashfs:FILE`: the files of a SquashFS image as one layer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use longshore_core::layer::{DirSource, Layer, LayerSource, Rules};
use longshore_core::oci::{History, ImageConfig, Platform};
use longshore_core::options::{NoOptions, parse_of_source};
use longshore_core::{
    Artifact, Built, Context, Error, Frontend, FrontendContext, FrontendInstance, Image, ImageContent, Result,
    SchemeInfo, ScratchDirectory, Source,
};
use parking_lot::Mutex;

/// The frontend of `squashfs:FILE`.
#[derive(Debug, Clone, Default)]
pub struct SquashfsFrontend {
    /// Unpacked images, as long as layers may be read.
    unpacked: Arc<Mutex<Vec<ScratchDirectory>>>,
}

impl Frontend for SquashfsFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let summary = "the files of a SquashFS image, as one layer";
        vec![SchemeInfo::new("squashfs", "squashfs:FILE", summary, &mut NoOptions)]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let NoOptions = parse_of_source("squashfs", &source.attrs)?;
        if source.value.is_empty() {
            return Err(Error::option("`squashfs` without a file").with_hint("write squashfs:FILE"));
        }
        let platform = source.platform.clone().unwrap_or_else(Platform::host);
        Ok(Box::new(Instance { path: source.value.as_str().into(), platform, frontend: self.clone() }))
    }
}

struct Instance {
    path: PathBuf,
    platform: Platform,
    frontend: SquashfsFrontend,
}

impl FrontendInstance for Instance {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let scratch = ScratchDirectory::new_in(&std::env::temp_dir())?;
        let root = scratch.path().join("root");
        let task = cx.work().progress.task(format!("unpack {}", self.path.display()), None);
        unpack(&self.path, &root).attempt(|| format!("cannot unpack {}", self.path.display()))?;
        task.done("");
        self.frontend.unpacked.lock().push(scratch);
        let history = History { created_by: Some("squashfs".to_owned()), ..History::default() };
        let layer = Layer::new(LayerSource::Dir(DirSource::new(root, Rules::default())), history);
        let artifact = Artifact::new(vec![Arc::new(layer)], ImageConfig::with_defaults(&self.platform));
        Ok(vec![Image::new(ImageContent::Built(Built::Single(artifact)))])
    }
}

fn unpack(image: &Path, to: &Path) -> Result<()> {
    // Its errors are better than those of unsquashfs.
    std::fs::File::open(image)?;
    let mut command = Command::new("unsquashfs");
    command.args(["-no-progress", "-dest"]).args([to, image]).stdin(Stdio::null());
    let output = command.output().map_err(|error| Error::from(error).with_hint("install squashfs-tools"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unsquashfs failed").to_owned();
    Err(Error::input(first))
}
