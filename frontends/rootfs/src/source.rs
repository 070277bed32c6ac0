//! The sources `rootfs:DIR`, `rootfs:-` and `scratch`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_core::layer::Layer;
use longshore_core::oci::{ImageConfig, Platform};
use longshore_core::options::{NoOptions, parse_of_source};
use longshore_core::{
    Artifact, Built, Context, Error, Frontend, FrontendContext, FrontendInstance, Image, ImageContent, Result,
    SchemeInfo, Source,
};

use crate::layer::{archive, directory};
use crate::options::LayerOptions;
use crate::piped::Piped;

/// The frontend of `rootfs:DIR`, `rootfs:-` and `scratch`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RootfsFrontend;

impl Frontend for RootfsFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![
            SchemeInfo::new(
                "rootfs",
                "rootfs:DIR|-",
                "a directory, or a tar archive on standard input, as one layer",
                &mut LayerOptions::default(),
            ),
            SchemeInfo::new("scratch", "scratch", "no layers", &mut NoOptions),
        ]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let platform = source.platform.clone().unwrap_or_else(Platform::host);
        match (source.scheme.as_str(), source.value.as_str()) {
            ("scratch", "") => {
                let NoOptions = parse_of_source("scratch", &source.attrs)?;
                Ok(Box::new(Scratch { platform }))
            }
            ("scratch", value) => Err(Error::option(format!("`scratch` takes no value: `:{}`", value.escape_debug()))),
            (_, "") => Err(Error::option("`rootfs` without a directory").with_hint("write rootfs:DIR")),
            (scheme, path) => {
                let options = parse_of_source(scheme, &source.attrs)?;
                Ok(Box::new(Rootfs { platform, path: path.into(), options }))
            }
        }
    }
}

#[derive(Debug)]
struct Scratch {
    platform: Platform,
}

impl FrontendInstance for Scratch {
    fn build(&self, _: &FrontendContext<'_>) -> Result<Vec<Image>> {
        Ok(vec![image(Vec::new(), &self.platform)])
    }
}

#[derive(Debug)]
struct Rootfs {
    platform: Platform,
    path: PathBuf,
    options: LayerOptions,
}

impl FrontendInstance for Rootfs {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        Ok(vec![image(vec![Arc::new(root(&self.path, &self.options, cx)?)], &self.platform)])
    }
}

fn image(layers: Vec<Arc<Layer>>, platform: &Platform) -> Image {
    let artifact = Artifact::new(layers, ImageConfig::with_defaults(platform));
    Image::new(ImageContent::Built(Built::Single(artifact)))
}

fn root(path: &Path, options: &LayerOptions, cx: &FrontendContext<'_>) -> Result<Layer> {
    let (step, top) = ("rootfs".to_owned(), Vec::new());
    if path == Path::new("-") {
        let piped = Piped::read().attempt(|| "cannot read rootfs:-".to_owned())?;
        return archive(piped, "on standard input", step, top, options);
    }
    let found = path.metadata().attempt(|| format!("cannot read rootfs:{}", path.display()))?;
    if !found.is_dir() {
        return Err(Error::input(format!("rootfs:{} is not a directory", path.display()))
            .with_hint("use the source `scratch`, and add an archive as a layer"));
    }
    directory(path, step, top, options, &cx.work().progress)
}
