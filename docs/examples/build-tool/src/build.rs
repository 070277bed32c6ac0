//! From a recipe to a build result, which names what is to be exported and has not read it yet.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore_core::layer::{DirSource, FileStream, Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::{History, ImageConfig, Platform};
use longshore_core::{Artifact, BuildResult, Built, Context, Image, ImageContent, Result};

use crate::recipe::{Step, parse};

/// Returns the image that the recipe at `path` describes.
///
/// # Errors
/// A recipe that cannot be read, and paths in it that are missing.
pub(crate) fn build(path: &Path) -> Result<BuildResult> {
    let text = fs::read_to_string(path).attempt(|| format!("cannot read {}", path.display()))?;
    let steps = parse(&text).attempt(|| format!("cannot read {}", path.display()))?;
    let context = path.parent().unwrap_or(Path::new(""));
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64", None));
    let mut run = config.run_config()?;
    let (mut layers, mut variables) = (Vec::new(), Vec::new());
    for step in &steps {
        match step {
            Step::Copy { from, to } => {
                let path = context.join(from);
                fs::read_dir(&path).attempt(|| format!("cannot copy {from}"))?;
                layers.push(layer(step, |rules| LayerSource::Dir(DirSource::new(path, rules)), to));
            }
            Step::Add { from, to } => {
                let stream = Arc::new(FileStream::new(context.join(from)));
                stream.open().map(drop).attempt(|| format!("cannot add {from}"))?;
                layers.push(layer(step, |rules| LayerSource::Tar(TarSource::new(stream, rules)), to));
            }
            Step::Env(variable) => variables.push(variable.clone()),
            Step::Cmd(command) => run.set("Cmd", command),
        }
    }
    run.set("Env", &variables);
    config.set_run_config(&run);
    let artifact = Artifact::new(layers, config);
    Ok(BuildResult::new(vec![Image::new(ImageContent::Built(Built::Single(artifact)))]))
}

/// Returns a layer below the directory `to` of the image. Its files belong to root, whoever builds.
fn layer(step: &Step, source: impl FnOnce(Rules) -> LayerSource, to: &str) -> Arc<Layer> {
    let rules = Rules::default().with_owner(Some((0, 0))).with_destination(to.trim_matches('/').as_bytes().to_vec());
    // The step as the recipe has it: an image should not reveal where it was built.
    let history = History { created_by: Some(step.to_string()), ..History::default() };
    Arc::new(Layer::new(source(rules), history))
}
