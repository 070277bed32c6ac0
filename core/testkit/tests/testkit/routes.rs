//! What `needs` asks for and `plan` prints is what `export` does, over random results and options.

use std::io;
use std::sync::Arc;

use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{MemoryStore, Provider};
use longshore_core::image::{
    BlobProvider, ImageOptions, LayerOutlet, NamedImage, Route, assemble_all_to, plan, routes,
};
use longshore_core::layer::{
    BlobSource, Layer, LayerSource, LayerStream, MadeLayer, Rules, TarSource, TarStream, Variant,
};
use longshore_core::oci::{Descriptor, Digest, MANIFEST_LIMIT, MediaType, parse_manifest};
use longshore_core::options::{Attrs, Options, Visitor};
use longshore_core::{
    BuildResult, Built, Destination, ExportContext, ExporterInstance, ExporterRegistry, ExporterType, ImageContent,
    Needs, Output, OutputSpec, Response, Result, Run, Session, Staged, Store, Turn,
};
use longshore_testkit::sample::{self, MemoryTar, Random, TarOptions};

/// An output that checks itself: what happened to each layer is what its route said.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    streams: Option<bool>,
    reuses: Option<bool>,
    image: ImageOptions,
}

impl Options for Watching {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("streams", "Take layers while they are made", "false", &mut self.streams)?;
        visitor.option("reuses", "Find layers", "false", &mut self.reuses)?;
        self.image.visit(visitor)
    }

    fn validate(&self) -> Result<()> {
        self.image.validate()
    }
}

struct WatchingExporter;

impl ExporterType for WatchingExporter {
    const KIND: &'static str = "watching";
    const SUMMARY: &'static str = "Nothing, for tests";
    type Instance = Watching;
}

impl Watching {
    fn run(&self, run: Run) -> Run {
        run.with_streams(self.streams == Some(true)).with_reuse(self.reuses == Some(true))
    }
}

/// Takes every layer, and finds those whose name ends in `seen`.
struct Everywhere<'o>(&'o Watching);

impl LayerOutlet for Everywhere<'_> {
    fn abilities(&self, run: Run) -> Run {
        self.0.run(run)
    }

    fn find(&self, layer: &Layer, variant: Variant) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let found = Descriptor::of(variant.media_type(), b"found");
        Ok(layer.name().ends_with("seen").then(|| (found, Arc::new(MemoryStore::default()) as Arc<dyn Provider>)))
    }

    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>> {
        let made = layer.write_to(&mut io::sink())?;
        Ok(Some((made, Arc::new(MemoryStore::default()))))
    }
}

impl ExporterInstance for Watching {
    fn destination(&self) -> Destination {
        Destination::None
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        let needs = self.image.needs(result, self.run(run))?;
        for (layer, route) in all_routes(result, &self.image, self.run(run)) {
            for variant in variants() {
                assert_eq!(needs.contains(layer, variant), route.variant() == Some(variant), "{}", layer.name());
            }
        }
        Ok(needs)
    }

    fn plan(&self, result: &BuildResult, run: Run) -> Result<Vec<String>> {
        plan(result, &self.image, self.run(run))
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        _: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        let run = self.run(cx.run());
        let lines = plan(result, &self.image, run)?;
        let images = assemble_all_to(result, &self.image, cx, Some(&Everywhere(self)))?;
        let all = all_routes(result, &self.image, run);
        let layers: Vec<_> = images.iter().flat_map(listed).collect();
        assert_eq!(layers.len(), all.len());
        for ((layer, route), (descriptor, provider)) in all.iter().zip(&layers) {
            check(layer, *route, descriptor, provider, cx);
            let line = format!("  layer {}: {route}", layer.name());
            assert!(lines.iter().any(|planned| planned.starts_with(&line)), "{line} is not planned: {lines:?}");
        }
        Ok(Box::new(Nothing))
    }
}

fn check(layer: &Layer, route: Route, descriptor: &Descriptor, provider: &BlobProvider<'_>, cx: &ExportContext<'_>) {
    let is_stored = matches!(provider, BlobProvider::Store(_));
    let is_seen = layer.name().ends_with("seen");
    let made = |variant: Variant| layer.diff_id().map(|id| cx.store().made(id, &variant.encoder()).unwrap().is_some());
    match (route, &layer.source) {
        (Route::Keep, LayerSource::Blob(source)) => assert_eq!(descriptor.digest, source.descriptor.digest),
        (Route::Pass, _) => assert_eq!(Some(&descriptor.digest), layer.diff_id()),
        (Route::Reuse(variant), _) if is_seen => {
            assert_eq!(*descriptor, Descriptor::of(variant.media_type(), b"found"))
        }
        (Route::Reuse(variant) | Route::Stream(variant) | Route::Make(variant), _) => {
            assert_eq!(descriptor.media_type, variant.media_type(), "{}", layer.name());
            // With a reuse that found nothing, it depends on what is left to do.
            if !matches!(route, Route::Reuse(_)) {
                assert_eq!(is_stored, matches!(route, Route::Make(_)), "{route:?} of {}", layer.name());
                // What was rewritten has another diffID.
                let made = made(variant).filter(|_| variant.rewrite.is_none());
                assert!(made.is_none_or(|made| made == is_stored), "{route:?} of {}", layer.name());
            }
        }
        (route, source) => panic!("{route:?} of {source:?}"),
    }
}

/// The layers that an image lists, and who has each.
fn listed<'i, 'a>(named: &'i NamedImage<'a>) -> Vec<(Descriptor, &'i BlobProvider<'a>)> {
    let image = &named.image;
    let bytes = image.read(&image.root.digest, MANIFEST_LIMIT).unwrap();
    let manifest = parse_manifest(&image.root, &bytes).unwrap();
    let provider =
        |layer: &Descriptor| &image.blobs.iter().find(|blob| blob.descriptor.digest == layer.digest).unwrap().provider;
    manifest.layers.into_iter().map(|layer| (layer.clone(), provider(&layer))).collect()
}

fn all_routes<'r>(result: &'r BuildResult, options: &'r ImageOptions, run: Run) -> Vec<(&'r Arc<Layer>, Route)> {
    let built = result.images.iter().filter_map(|image| match &image.content {
        ImageContent::Built(Built::Single(artifact)) => Some((image, artifact)),
        _ => None,
    });
    let epoch = |image, artifact| result.epoch_of(image, artifact).unwrap();
    let routes = built.flat_map(|(image, artifact)| routes(artifact, options, epoch(image, artifact), run));
    routes.map(|(layer, route)| (layer, route.unwrap())).collect()
}

/// The epoch of outputs that rewrite times.
const EPOCH: &str = "1000000";

fn variants() -> Vec<Variant> {
    let algorithms = [Algorithm::Uncompressed, Algorithm::Gzip, Algorithm::Zstd];
    let plain = algorithms.map(|algorithm| Variant::new(Encoding::new(algorithm, None).unwrap()));
    plain.into_iter().flat_map(|variant| [variant, variant.with_rewrite(EPOCH.parse().ok())]).collect()
}

struct Nothing;

impl Staged for Nothing {
    fn turn(&self) -> Turn {
        Turn::Local
    }

    fn publish(self: Box<Self>) -> Result<Response> {
        Ok(Response::new(WatchingExporter::KIND.to_owned(), None, Vec::new()))
    }
}

fn random_layer(random: &mut Random) -> Arc<Layer> {
    let tar = sample::tar_bytes(random.number(), TarOptions::default());
    let name = if random.below(2) == 0 { "a layer" } else { "a layer that was seen" };
    let stream: Arc<dyn TarStream> = Arc::new(MemoryTar::new(name, tar.clone()));
    let known = |diff_id, size| {
        LayerSource::Tar(TarSource::new(stream, Rules::default()).with_diff_id(diff_id).with_size(size))
    };
    let source = match random.below(5) {
        0 => known(None, None),
        1 => known(Some(Digest::of(&tar)), None),
        2 => known(Some(Digest::of(&tar)), Some(tar.len() as u64)),
        kind => {
            let algorithm = if kind == 3 { Algorithm::Gzip } else { Algorithm::Uncompressed };
            let blob = Encoding::new(algorithm, None).unwrap().encode(&tar).unwrap();
            let store = MemoryStore::default();
            let descriptor = store.put(MediaType::layer(algorithm), &blob);
            LayerSource::Blob(BlobSource::new(descriptor, Digest::of(&tar), Arc::new(store)))
        }
    };
    Arc::new(Layer::new(source, longshore_core::oci::History::default()))
}

fn random_spec(random: &mut Random) -> OutputSpec {
    let mut attrs = Attrs::default();
    let mut pick = |key: &str, values: &[&str]| {
        if let Some(value) = values.get(random.below(values.len() as u64 + 1) as usize) {
            attrs.insert(key, *value, None);
        }
    };
    pick("compression", &["uncompressed", "gzip", "zstd"]);
    pick("force-compression", &["true", "false"]);
    pick("rewrite-timestamp", &["true"]);
    pick("streams", &["true"]);
    pick("reuses", &["true"]);
    OutputSpec::new(WatchingExporter::KIND.to_owned()).with_dest(None).with_attrs(attrs)
}

#[test]
fn layers_are_asked_for_and_planned_as_they_are_made() {
    let exporters = ExporterRegistry::default().with(WatchingExporter);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let layers = (0..random.below(5) + 1).map(|_| random_layer(&mut random)).collect();
        let result = sample::result(vec![sample::image_of(layers)]).with_epoch(EPOCH.parse().ok());
        let specs: Vec<OutputSpec> = (0..random.below(3) + 1).map(|_| random_spec(&mut random)).collect();
        let store = Arc::new(MemoryStore::default());
        let resolved = Session::new(&exporters).resolve(&specs).unwrap();
        if let Err(failure) = resolved.export(&result, Store::Given(store)) {
            panic!("seed {seed}: {}", failure.error.with_causes());
        }
    }
}
