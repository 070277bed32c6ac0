//! Every kind of output in one run: each layer is read once and built once for all images, and read once more for each
//! output of files.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use longshore_core::oci::Digest;
use longshore_core::{Event, ExporterRegistry, OutputSpec, Progress, ProgressSink, Response, Session, Store, Work};
use longshore_distribution::{Client, ClientOptions};
use longshore_exporter_docker::DockerExporter;
use longshore_exporter_image::ImageExporter;
use longshore_exporter_local::LocalExporter;
use longshore_exporter_oci::OciExporter;
use longshore_exporter_registry::RegistryExporter;
use longshore_exporter_tar::TarExporter;
use longshore_store::EmbeddedStore;
use longshore_testkit::registry::Registry;
use longshore_testkit::sample::{self, CountingTar, MemoryTar, TarOptions, tar_bytes};

/// Counts what is begun under each name.
#[derive(Debug, Default)]
struct Begun(parking_lot::Mutex<Vec<String>>);

impl ProgressSink for Begun {
    fn send(&self, event: Event) {
        if let Event::Started { name, .. } = event {
            self.0.lock().push(name);
        }
    }
}

struct Ran {
    responses: Vec<Response>,
    /// How often each layer was opened.
    opens: Vec<usize>,
    /// How often a layer was built.
    built: usize,
}

fn export(root: &Path, registry: &Registry, outputs: &[&str]) -> Ran {
    let exporters = ExporterRegistry::default()
        .with(DockerExporter)
        .with(ImageExporter)
        .with(LocalExporter)
        .with(OciExporter)
        .with(RegistryExporter)
        .with(TarExporter);
    let counted = [1, 2].map(|seed| {
        let tar = tar_bytes(seed, TarOptions::default());
        CountingTar::new(Arc::new(MemoryTar::new(format!("counted {seed}"), tar)))
    });
    let layers = counted.iter().map(|layer| sample::layer_of(layer.clone())).collect();
    let result = sample::result(vec![sample::image_of(layers)]);
    let specs = outputs.iter().map(|text| {
        let text = text.replace("ROOT", root.to_str().unwrap()).replace("REGISTRY", registry.host());
        OutputSpec::parse(&text).unwrap().unwrap()
    });
    let specs: Vec<OutputSpec> = specs.collect();
    let begun = Arc::new(Begun::default());
    let work = Work::default().with_progress(Progress::new(begun.clone()));
    let pusher = Arc::new(Client::new(ClientOptions::default()).pusher());
    let session = Session::new(&exporters).with_pusher(pusher).with_work(work).resolve(&specs).unwrap();
    let store = Store::Images(Arc::new(EmbeddedStore::open(root.join("store")).unwrap()));
    let responses = session.export(&result, store).unwrap_or_else(|failure| panic!("{}", failure.error.with_causes()));
    let built = begun.0.lock().iter().filter(|name| name.starts_with("layer counted")).count();
    Ran { responses, opens: counted.iter().map(|layer| layer.opens()).collect(), built }
}

const IMAGES: [&str; 5] = [
    "type=oci,name=app:1,dest=ROOT/oci.tar",
    "type=oci,name=app:1,tar=false,dest=ROOT/layout",
    "type=docker,name=app:1,dest=ROOT/docker.tar",
    "type=image,name=app:1",
    "type=registry,name=REGISTRY/app:1",
];

/// C `testMultipleExporters`, X `testBuildMultiExporters`.
#[test]
fn multiple_exporters() {
    let (root, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let ran = export(root.path(), &registry, &IMAGES);
    assert_eq!((ran.opens, ran.built), (vec![1, 1], 2));
    let digests: Vec<&Digest> = ran.responses.iter().map(|response| &response.images[0].root.digest).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "one image everywhere: {digests:?}");
    let kinds: Vec<&str> = ran.responses.iter().map(|response| response.kind.as_str()).collect();
    assert_eq!(kinds, ["oci", "oci", "docker", "image", "registry"], "a response for each output, in their order");
}

#[test]
fn outputs_of_files_read_each_layer_once_more() {
    for (files, reads) in [
        (&["type=tar,dest=ROOT/files.tar"][..], 2),
        (&["type=local,dest=ROOT/files"], 2),
        (&["type=tar,dest=ROOT/files.tar", "type=local,dest=ROOT/files"], 3),
    ] {
        let (root, registry) = (tempfile::tempdir().unwrap(), Registry::start());
        let ran = export(root.path(), &registry, &[&IMAGES[..], files].concat());
        assert_eq!((ran.opens, ran.built), (vec![reads, reads], 2), "{files:?}");
        let others = ran.responses.iter().filter(|response| response.images.is_empty());
        assert!(others.map(|response| response.destination.as_deref()).all(|destination| destination.is_some()));
    }
}

/// Both kinds of layouts of one image, side by side in one directory.
#[test]
fn layouts_of_docker_and_oci_are_written_side_by_side() {
    let (root, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let outputs = [
        "type=oci,name=app:1,tar=false,dest=ROOT/oci",
        "type=docker,name=app:2,tar=false,oci-mediatypes=false,dest=ROOT/docker",
    ];
    let ran = export(root.path(), &registry, &outputs);
    assert_eq!((ran.opens, ran.built), (vec![1, 1], 2));
    for layout in ["oci", "docker"] {
        let found = longshore_testkit::validate::layout_dir(&root.path().join(layout)).unwrap();
        assert_eq!(found.images.len(), 1);
    }
    assert!(!root.path().join("docker/manifest.json").exists());
}
