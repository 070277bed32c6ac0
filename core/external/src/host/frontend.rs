//! An executable as a frontend.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore_core::layer::{DirSource, FileStream, Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::{History, ImageConfig, ImageName, Platform};
use longshore_core::options::{NoOptions, OptionInfo};
use longshore_core::{
    Artifact, Built, Context, Error, ErrorKind, Frontend, FrontendContext, FrontendInstance, Image, ImageContent,
    Result, SchemeInfo, ScratchDirectory, Source, Work,
};

use parking_lot::Mutex;

use super::Plugin;
use super::blob;
use super::declared::Declared;
use super::process::Process;
use crate::convert::one_line;
use crate::protocol::{BlobPlace, Build, BuiltImage, FrontendDescription, LayerPlace, Reply, Request};

/// A frontend that is a program of its own.
#[derive(Debug, Clone)]
pub struct ExternalFrontend {
    scheme: String,
    plugin: Plugin,
    description: FrontendDescription,
    /// What was made for sources, as long as layers may be read.
    made: Arc<Mutex<Vec<ScratchDirectory>>>,
}

impl ExternalFrontend {
    /// Asks `plugin` what it is, to offer it for sources `SCHEME:VALUE`.
    ///
    /// # Errors
    /// As [`Plugin::describe_frontend`], and a description that is not right.
    pub fn new(scheme: impl Into<String>, plugin: Plugin) -> Result<Self> {
        let description = plugin.describe_frontend()?;
        Self::described(scheme, plugin, description)
    }

    /// As [`new`](Self::new), with a description that is known.
    ///
    /// # Errors
    /// A description that is not right.
    pub fn described(scheme: impl Into<String>, plugin: Plugin, description: FrontendDescription) -> Result<Self> {
        let scheme = scheme.into();
        let texts = [&description.summary, &description.syntax];
        let are_lines = texts.iter().all(|text| !text.is_empty() && one_line(text) == **text);
        if !are_lines || !description.syntax.starts_with(&scheme) {
            let message =
                format!("{} describes itself without a summary or a syntax such as {scheme}:VALUE", plugin.name());
            return Err(Error::new(ErrorKind::Other, message));
        }
        Ok(Self { scheme, plugin, description, made: Arc::default() })
    }

    /// Returns the program.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

impl Frontend for ExternalFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let FrontendDescription { summary, syntax, options } = &self.description;
        let (scheme, syntax, summary) = (self.scheme.clone(), syntax.clone(), summary.clone());
        let info = SchemeInfo::new(scheme, syntax, summary, &mut NoOptions);
        vec![info.of_program(options.iter().map(OptionInfo::from).collect(), self.plugin.path())]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let owner = format!("source `{}:`", self.scheme);
        let declared = Declared::of_source(&owner, &source.attrs, &self.description.options)?;
        let platform = source.platform.clone().unwrap_or_else(Platform::host);
        Ok(Box::new(Instance {
            scheme: self.scheme.clone(),
            plugin: self.plugin.clone(),
            value: source.value.clone(),
            options: declared.set,
            platform,
            made: self.made.clone(),
        }))
    }
}

struct Instance {
    scheme: String,
    plugin: Plugin,
    value: String,
    options: indexmap::IndexMap<String, String>,
    platform: Platform,
    made: Arc<Mutex<Vec<ScratchDirectory>>>,
}

impl FrontendInstance for Instance {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        self.images(cx).attempt(|| format!("cannot read {}:{}", self.scheme, self.value.escape_debug()))
    }
}

impl Instance {
    fn images(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let mut process = Process::start(&self.plugin, false, cx.work())?;
        let silence = process.limits().silence;
        let directory = ScratchDirectory::new_in(&std::env::temp_dir())?;
        let request = Request::Build(Build {
            value: self.value.clone(),
            directory: directory.path().to_owned(),
            options: self.options.clone(),
        });
        match process.ask(&request, silence) {
            Ok(Reply::Built(built)) => {
                process.end()?;
                self.made.lock().push(directory);
                let image = |(at, image): (usize, BuiltImage)| {
                    self.image(image, cx.work())
                        .attempt(|| format!("image {} of {} is not right", at + 1, self.plugin.name()))
                };
                built.images.into_iter().enumerate().map(image).collect()
            }
            Ok(other) => Err(process.unexpected(&other, "build")),
            Err(error) => {
                if error.kind() == ErrorKind::Cancelled {
                    process.stop(&Request::Cancel {});
                }
                Err(error)
            }
        }
    }

    fn image(&self, built: BuiltImage, work: &Work) -> Result<Image> {
        let names = built.names.iter().map(|name| name.parse::<ImageName>()).collect::<Result<Vec<_>>>()?;
        let layers = built.layers.into_iter().map(|place| layer(place, work).map(Arc::new)).collect::<Result<_>>()?;
        let config = match built.config {
            None => ImageConfig::with_defaults(&self.platform),
            Some(value) => ImageConfig::parse(value.to_string().as_bytes())?,
        };
        let artifact = Artifact::new(layers, config);
        Ok(Image::new(ImageContent::Built(Built::Single(artifact))).with_names(names))
    }
}

fn layer(place: LayerPlace, work: &Work) -> Result<Layer> {
    let absolute = |path: &Path| match path.is_absolute() {
        true => Ok(()),
        false => Err(Error::input(format!("the path of the layer {} is not absolute", path.display()))),
    };
    let source = match place {
        LayerPlace::Directory(path) => {
            absolute(&path)?;
            fs::read_dir(&path).attempt(|| format!("cannot read the layer {}", path.display()))?;
            LayerSource::Dir(DirSource::new(path, Rules::default()))
        }
        LayerPlace::Tar(path) => {
            absolute(&path)?;
            let stream = FileStream::new(&path);
            stream.open().map(drop).attempt(|| format!("cannot read the layer {}", path.display()))?;
            LayerSource::Tar(TarSource::new(Arc::new(stream), Rules::default()))
        }
        LayerPlace::Blob(BlobPlace { path, descriptor }) => {
            absolute(&path)?;
            LayerSource::Blob(blob::source(path, descriptor, work)?)
        }
    };
    // Without the path: an image should not reveal where it was built.
    let history =
        History { created_by: Some("layer".to_owned()), comment: Some("longshore".to_owned()), ..History::default() };
    Ok(Layer::new(source, history))
}
