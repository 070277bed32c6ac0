//! Data roots of the test kit, read and exported.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod corrupt;
mod exports;
mod hostile;
mod references;
mod regenerate;
mod streams;
mod tolerant;

use std::io::Read;
use std::path::{Path, PathBuf};

use longshore_core::layer::{Layer, LayerSource, TarSource};
use longshore_core::{
    Artifact, BuildResult, Built, Error, ErrorKind, ExporterRegistry, FrontendContext, FrontendRegistry, Image,
    ImageContent, OutputSpec, Response, Result, Session, Source, Store, Work,
};
use longshore_exporter_oci::OciExporter;
use longshore_frontend_docker_graph::DockerGraphFrontend;
use longshore_testkit::docker::{BuiltImage, DockerRoot, GraphDriver};
use longshore_testkit::sample::{self, TarOptions};
use tempfile::TempDir;

/// A data root in a directory that goes with it.
struct Data {
    directory: TempDir,
    root: DockerRoot,
}

impl Data {
    fn new(driver: GraphDriver) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = DockerRoot::new(directory.path(), driver);
        Self { directory, root }
    }

    /// One with an image of three layers, the last one as the first, named `app:1`.
    fn with_image(driver: GraphDriver) -> (Self, BuiltImage) {
        let data = Self::new(driver);
        let image = data.root.build(&layers());
        data.root.tag("app:1", &image.id);
        (data, image)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Opens the root with what follows it: `:REFERENCE,OPTIONS`.
    fn open(&self, rest: &str) -> Result<Vec<Image>> {
        self.open_in(rest, Work::default())
    }

    fn open_in(&self, rest: &str, work: Work) -> Result<Vec<Image>> {
        open(&format!("docker-graph:{}{rest}", self.path().display()), work)
    }

    /// The files of a layer of an image.
    fn files(&self, image: &BuiltImage, at: usize) -> PathBuf {
        self.root.payload_dir(&image.layers[at].cache_id)
    }

    /// What is known about a layer of an image.
    fn layer(&self, image: &BuiltImage, at: usize) -> PathBuf {
        self.root.layer_dir(&image.layers[at].chain_id)
    }
}

fn open(source: &str, work: Work) -> Result<Vec<Image>> {
    let frontends = FrontendRegistry::default().with(DockerGraphFrontend);
    let source = frontends.resolve(&Source::parse(source)?)?;
    source.build(&FrontendContext::new(&frontends, work))
}

/// Archives of layers: the second deletes files of the first, the third is the first again.
fn layers() -> Vec<Vec<u8>> {
    let layer = |seed, whiteouts| sample::tar_bytes(seed, TarOptions { whiteouts, ..TarOptions::default() });
    vec![layer(1, false), layer(2, true), layer(1, false)]
}

fn artifact(image: &Image) -> &Artifact {
    match &image.content {
        ImageContent::Built(Built::Single(artifact)) => artifact,
        _ => panic!("an image of one platform that is being made"),
    }
}

fn tar_source(layer: &Layer) -> &TarSource {
    match &layer.source {
        LayerSource::Tar(source) => source,
        _ => panic!("{} is no archive", layer.name()),
    }
}

fn read(layer: &Layer) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tar_source(layer).stream.open()?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Exports to `out.tar` in `directory` through `store`.
fn export(images: Vec<Image>, directory: &Path, options: &str, store: Store) -> Result<Response> {
    export_result(&sample::result(images), directory, options, store)
}

fn export_result(result: &BuildResult, directory: &Path, options: &str, store: Store) -> Result<Response> {
    let exporters = ExporterRegistry::default().with(OciExporter);
    let output = format!("type=oci,dest={},{options}", directory.join("out.tar").display());
    let output = OutputSpec::parse(&output).unwrap().unwrap();
    let mut responses = Session::new(&exporters).resolve(&[output])?.export(result, store)?;
    Ok(responses.remove(0))
}

/// The error of an export whose layers go straight to the destination, after one whose layers are made has
/// failed as well; neither leaves anything behind.
#[track_caller]
fn failed_export(data: &Data, rest: &str) -> Error {
    let errors = ["compression=uncompressed", "compression=gzip"].map(|options| {
        let directory = tempfile::tempdir().unwrap();
        let images = data.open(rest).unwrap();
        let error = export(images, directory.path(), options, Store::Spool).unwrap_err();
        let left: Vec<_> = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{options}: {left:?}");
        error
    });
    let [straight, made] = errors;
    // A layer that is made is read as an archive, which may fail first.
    let fits = straight.kind() == made.kind() || made.kind() == ErrorKind::InvalidInput;
    assert!(fits, "{} / {}", straight.with_causes(), made.with_causes());
    straight
}

/// Asserts kind, words and words of the hint.
#[track_caller]
fn assert_error(error: &Error, kind: ErrorKind, words: &str, hint: &str) {
    let found = error.with_causes();
    assert!(error.kind() == kind && found.contains(words), "{:?}, {found}; not {kind:?}, {words}", error.kind());
    assert!(error.hint().unwrap_or("").contains(hint), "{:?}, not {hint}", error.hint());
}
