//! The source `docker-graph:[ROOT[:]][REFERENCE]`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::thread;

use longshore_core::content::chain_ids;
use longshore_core::layer::{DirSource, Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::{Digest, History, ImageConfig};
use longshore_core::options::{Options, Visitor, parse_of_source};
use longshore_core::tree::Patterns;
use longshore_core::{
    Artifact, Built, Context, DOCKER_PARENT, Error, ErrorKind, Frontend, FrontendContext, FrontendInstance, Image,
    ImageContent, Result, SchemeInfo, Source, for_each, split_reference,
};
use parking_lot::Mutex;

use crate::layer::StoredLayer;
use crate::place::{self, Place};
use crate::repositories::Found;
use crate::root::Root;

const SCHEME: &str = "docker-graph";

/// The frontend of `docker-graph:ROOT`.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerGraphFrontend;

/// The options of a source, which follow it after commas.
#[derive(Debug, Default)]
struct GraphOptions {
    regenerate: Option<bool>,
    driver: Option<String>,
    all_tags: Option<bool>,
}

impl Options for GraphOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        let regenerate = "Rebuild layers without tar-split from their files, which changes the image ID";
        visitor.option("regenerate", regenerate, "false", &mut self.regenerate)?;
        let driver = "Read the images of this storage driver";
        visitor.option("driver", driver, "the one with images", &mut self.driver)?;
        visitor.option("all-tags", "Select every tag of a NAME without a tag", "false", &mut self.all_tags)
    }
}

impl Frontend for DockerGraphFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let summary = "images in dockerd's storage, whether dockerd runs or not";
        vec![
            SchemeInfo::new(SCHEME, "docker-graph:[ROOT][:NAME]", summary, &mut GraphOptions::default())
                .with_selection(),
        ]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let options = parse_of_source(SCHEME, &source.attrs)?;
        Ok(Box::new(Graph { value: source.value.clone(), options }))
    }
}

#[derive(Debug)]
struct Graph {
    value: String,
    options: GraphOptions,
}

impl FrontendInstance for Graph {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let Self { value, options } = self;
        // A root begins with `/` or `.`, which no name does.
        let (path, reference) = match value.starts_with(['/', '.']) {
            true => split_reference(value),
            false => ("", Some(value.strip_prefix(':').unwrap_or(value))),
        };
        let place = match path {
            "" => place::find()?,
            root => Place { root: root.into(), driver: None },
        };
        let root = Arc::new(Root::open(&place.root, options.driver.as_deref().or(place.driver.as_deref()))?);
        let all_tags = options.all_tags == Some(true);
        let found = find(&root, reference.unwrap_or_default(), all_tags, cx);
        let found = found.attempt(|| format!("cannot read {}", place.root.display()))?;
        let opener = Opener { root, regenerate: options.regenerate == Some(true), cx, layers: Mutex::default() };
        let open = |found: Found| {
            let id = found.id.clone();
            opener.image(found).attempt(|| format!("cannot read image {id} in {}", place.root.display()))
        };
        found.into_iter().map(open).collect()
    }
}

/// Returns the selected images; all tagged images, if none is named.
fn find(root: &Root, reference: &str, all_tags: bool, cx: &FrontendContext<'_>) -> Result<Vec<Found>> {
    let repositories = root.repositories()?;
    for name in &repositories.strange {
        cx.work().progress.warn(format!("skipped `{}`: not an image name", name.escape_debug()));
    }
    let found =
        if reference.is_empty() { repositories.all() } else { repositories.find(reference, all_tags, &root.ids()?)? };
    match found.is_empty() {
        true => Err(Error::new(ErrorKind::NotFound, "no image has a tag").with_hint(match &root.ids()?[..] {
            [] => "there are no images".to_owned(),
            [first, rest @ ..] => format!("name one by its ID: {first}, or one of {} others", rest.len()),
        })),
        false => Ok(found),
    }
}

/// Opens images, which may share layers.
struct Opener<'a> {
    root: Arc<Root>,
    regenerate: bool,
    cx: &'a FrontendContext<'a>,
    /// By chain ID.
    layers: Mutex<HashMap<Digest, Arc<Layer>>>,
}

/// A layer to open: its chain ID, its diffID, and the chain ID below it.
type Step<'s> = (&'s Digest, &'s Digest, Option<&'s Digest>);

impl Opener<'_> {
    fn image(&self, Found { id, names }: Found) -> Result<Image> {
        let config = ImageConfig::parse(&self.root.config(&id)?)?;
        let diff_ids = config.diff_ids()?;
        let chain = chain_ids(&diff_ids);
        let below = [None].into_iter().chain(chain.iter().map(Some));
        let steps =
            chain.iter().zip(&diff_ids).zip(below).map(|((chain_id, diff_id), below)| (chain_id, diff_id, below));
        let layers = self.layers(&steps.collect::<Vec<_>>())?;
        if layers.iter().any(|layer| layer.diff_id().is_none()) {
            self.cx.work().progress.warn(format!("image {id}: layers are rebuilt, so its ID changes"));
        }
        let artifact = Artifact::new(layers, config.clone()).with_base(config);
        // The manifest that a digest names was not kept, and the new one has another digest.
        let names = names.into_iter().filter(|name| name.digest().is_none()).collect();
        let mut image = Image::new(ImageContent::Built(Built::Single(artifact))).with_names(names);
        match self.root.parent(&id) {
            Ok(None) => {}
            Ok(Some(parent)) => {
                image.metadata.insert(DOCKER_PARENT.to_owned(), parent.to_string().into_bytes());
            }
            // The parent tells where the image came from, not what it is.
            Err(error) => self.cx.work().progress.warn(format!("image {id}: {}", error.with_causes())),
        }
        Ok(image)
    }

    /// Opens layers, several at a time: finding the size of a layer takes reading its whole tar-split.
    fn layers(&self, steps: &[Step<'_>]) -> Result<Vec<Arc<Layer>>> {
        let threads = thread::available_parallelism().map_or(1, |threads| threads.get());
        let places: Vec<(Step<'_>, OnceLock<Arc<Layer>>)> = steps.iter().map(|step| (*step, OnceLock::new())).collect();
        for_each(places.iter().collect(), threads, &self.cx.work().cancel.child(), |(step, place)| {
            let _ = place.set(self.layer(*step)?);
            Ok(())
        })?;
        Ok(places.into_iter().filter_map(|(_, place)| place.into_inner()).collect())
    }

    fn layer(&self, (chain_id, diff_id, below): Step<'_>) -> Result<Arc<Layer>> {
        let known = || self.layers.lock();
        if let Some(layer) = known().get(chain_id) {
            return Ok(layer.clone());
        }
        let stored = StoredLayer::find(&self.root, chain_id, diff_id, below)?;
        let source = match stored.size(&self.cx.work().cancel)? {
            Some(size) => LayerSource::Tar({
                let source = TarSource::new(Arc::new(stored), Rules::default());
                source.with_diff_id(Some(diff_id.clone())).with_size(Some(size))
            }),
            None => LayerSource::Dir(self.made_anew(&stored)?),
        };
        let layer = Arc::new(Layer::new(source, History::default()));
        Ok(known().entry(chain_id.clone()).or_insert(layer).clone())
    }

    /// Returns the files of a layer whose tar-split is missing.
    fn made_anew(&self, stored: &StoredLayer) -> Result<DirSource> {
        let missing = |hint: &str| Error::corrupt(format!("layer {} has no tar-split", stored.name())).with_hint(hint);
        if !self.regenerate {
            return Err(missing("add regenerate=true to rebuild it from its files, which changes the image ID"));
        }
        let whiteouts = self.root.driver.whiteouts();
        let whiteouts =
            whiteouts.ok_or_else(|| missing("its files cannot be told apart from those of the layers below"))?;
        if self.root.is_remapped {
            return Err(missing("its files have owners of a user namespace, which an image must not have"));
        }
        let excludes = Patterns::new(self.root.driver.own_files())?;
        let rules = Rules::default().with_excludes(excludes);
        Ok(DirSource::new(stored.files()?.path().to_owned(), rules).with_whiteouts(whiteouts))
    }
}
