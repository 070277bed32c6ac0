//! Which image of several Docker sees: the one that every command chooses for that platform.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs::File;

use longshore_core::archive::TarFile;
use longshore_core::content::Work;
use longshore_core::oci::Digest;
use longshore_core::{Existing, ExporterRegistry, Image, ImageContent, OutputSpec, Result, Session, Store};
use longshore_exporter_docker::DockerExporter;
use longshore_testkit::conformance::platform_picker;
use longshore_testkit::sample;
use serde_json::Value;

/// The configuration that `manifest.json` of an export names.
fn seen(existing: &Existing, wanted: &str, format: &str, work: &Work) -> Result<Digest> {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("a.tar");
    let exporters = ExporterRegistry::default().with(DockerExporter);
    let spec = format!("type=docker,format={format},platform={wanted},dest={}", dest.display());
    let spec = OutputSpec::parse(&spec)?.unwrap();
    let images = vec![Image::new(ImageContent::Existing(existing.clone()))];
    let session = Session::new(&exporters).with_work(work.clone());
    session.resolve(&[spec])?.export(&sample::result(images), Store::Spool).map_err(|failure| failure.error)?;
    let tar = TarFile::open(File::open(&dest).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&tar.document("manifest.json", 1 << 20).unwrap()).unwrap();
    let path = manifest[0]["Config"].as_str().unwrap();
    format!("sha256:{}", path.trim_start_matches("blobs/sha256/").trim_end_matches(".json")).parse()
}

#[test]
fn a_combined_archive_shows_the_image_for_the_platform() {
    platform_picker(&|existing, wanted, work| seen(existing, wanted, "combined", work));
}

#[test]
fn a_legacy_archive_has_the_image_for_the_platform() {
    platform_picker(&|existing, wanted, work| seen(existing, wanted, "legacy", work));
}
