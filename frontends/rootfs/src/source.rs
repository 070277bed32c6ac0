//! The sources `rootfs:DIR` and `scratch`.

use std::path::Path;
use std::sync::Arc;

use longshore_core::oci::{ImageConfig, Platform};
use longshore_core::{
    Artifact, Built, Context, Error, Frontend, FrontendContext, Image, ImageContent, Result, SchemeInfo, Source,
};

use crate::layer::directory;

/// The frontend of `rootfs:DIR` and `scratch`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RootfsFrontend;

impl Frontend for RootfsFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![
            SchemeInfo {
                scheme: "rootfs".into(),
                syntax: "rootfs:DIR".into(),
                summary: "a directory, as one layer".into(),
                image_store: false,
            },
            SchemeInfo {
                scheme: "scratch".into(),
                syntax: "scratch".into(),
                summary: "no layers".into(),
                image_store: false,
            },
        ]
    }

    fn open(&self, source: &Source, cx: &FrontendContext) -> Result<Vec<Image>> {
        let layers = match (source.scheme.as_str(), source.value.as_str()) {
            ("scratch", "") => Vec::new(),
            ("scratch", value) => {
                return Err(Error::option(format!("`scratch` has no `:{}`", value.escape_debug())));
            }
            (_, "") => return Err(Error::option("`rootfs` without a directory").with_hint("write rootfs:DIR")),
            (_, path) => vec![Arc::new(root(Path::new(path), cx)?)],
        };
        let platform = source.platform.clone().unwrap_or_else(Platform::host);
        let artifact = Artifact::new(layers, ImageConfig::new(&platform));
        Ok(vec![Image::new(ImageContent::Built(Built::Single(artifact)))])
    }
}

fn root(path: &Path, cx: &FrontendContext) -> Result<longshore_core::layer::Layer> {
    let found = path.metadata().attempt(|| format!("cannot read rootfs:{}", path.display()))?;
    if !found.is_dir() {
        return Err(Error::input(format!("rootfs:{} is not a directory", path.display()))
            .with_hint("for an archive write: scratch --layer ARCHIVE"));
    }
    directory(path, "rootfs".to_owned(), Vec::new(), cx)
}
