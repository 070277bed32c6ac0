//! What BuildKit's own tests of its image exporters assert: each test is named after one of them, and
//! `docs/decisions/0025` lists them all.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod annotations;
mod attestations;
mod configs;
mod foreign;
mod layers;
mod times;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use longshore_core::content::MemoryStore;
use longshore_core::layout::LayoutSource;
use longshore_core::oci::{Descriptor, Digest, ImageConfig, Index, Manifest};
use longshore_core::{BuildResult, Error, ExporterRegistry, Image, OutputSpec, Progress, Session, Store};
use longshore_exporter_oci::OciExporter;
use longshore_testkit::Warnings;
use serde::de::DeserializeOwned;

/// A layout that was written, read without Longshore's readers.
struct Layout {
    root: tempfile::TempDir,
    warnings: Vec<String>,
}

/// Writes a layout with these options.
fn try_export(result: &BuildResult, options: &str) -> Result<Layout, Error> {
    try_export_to(result, options, &Arc::new(MemoryStore::default()))
}

fn try_export_to(result: &BuildResult, options: &str, store: &Arc<MemoryStore>) -> Result<Layout, Error> {
    let exporters = ExporterRegistry::default().with(OciExporter);
    let root = tempfile::tempdir().unwrap();
    let spec = format!("type=oci,tar=false,dest={},{options}", root.path().display());
    let specs = [OutputSpec::parse(spec.trim_end_matches(',')).unwrap().unwrap()];
    let (work, warnings) = Warnings::listen();
    let session = Session::new(&exporters).with_work(work).resolve(&specs)?;
    session.export(result, Store::Given(store.clone())).map_err(|failure| failure.error)?;
    Ok(Layout { root, warnings: warnings.messages() })
}

fn export(images: Vec<Image>, options: &str) -> Layout {
    try_export(&BuildResult::new(images), options).unwrap_or_else(|error| panic!("{options}: {}", error.with_causes()))
}

fn refusal(images: Vec<Image>, options: &str) -> String {
    match try_export(&BuildResult::new(images), options) {
        Ok(_) => panic!("{options} is accepted"),
        Err(error) => error.with_causes(),
    }
}

impl Layout {
    fn path(&self) -> &Path {
        self.root.path()
    }

    /// The image, as a source.
    fn images(&self) -> Vec<Image> {
        LayoutSource::directory(self.path()).unwrap().images(None, &Progress::default()).unwrap()
    }

    /// The first entry of the only image.
    fn entry(&self) -> Descriptor {
        let index: Index = serde_json::from_slice(&fs::read(self.path().join("index.json")).unwrap()).unwrap();
        let entry = index.manifests[0].clone();
        assert!(index.manifests.iter().all(|other| other.digest == entry.digest), "several images");
        entry
    }

    fn bytes(&self, digest: &Digest) -> Vec<u8> {
        let bytes = fs::read(self.path().join(digest.layout_path())).unwrap();
        assert_eq!(Digest::of(&bytes), *digest);
        bytes
    }

    fn has(&self, digest: &Digest) -> bool {
        self.path().join(digest.layout_path()).exists()
    }

    fn read<T: DeserializeOwned>(&self, digest: &Digest) -> T {
        serde_json::from_slice(&self.bytes(digest)).unwrap()
    }

    /// The index of the only image.
    fn index(&self) -> Index {
        let entry = self.entry();
        assert!(entry.media_type.is_index(), "{}", entry.media_type);
        self.read(&entry.digest)
    }

    /// The manifest of the only image for one platform.
    fn manifest(&self) -> Manifest {
        let entry = self.entry();
        assert!(entry.media_type.is_manifest(), "{}", entry.media_type);
        self.read(&entry.digest)
    }

    fn config(&self, manifest: &Manifest) -> ImageConfig {
        ImageConfig::parse(&self.bytes(&manifest.config.digest)).unwrap()
    }

    /// Every blob is there, with its size, and nothing else is.
    fn check_complete(&self) {
        longshore_testkit::validate::layout_dir(self.path()).unwrap();
    }
}
