//! What every exporter promises, of this one: linked in, and as a program of its own.

use std::path::Path;

use @CRATE@::ListingExporter;
use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_external::{ExternalExporter, Plugin};
use longshore_testkit::conformance::{ExporterCase, exporter};

fn spec(directory: &Path) -> OutputSpec {
    let text = format!("type=@TYPE@,dest={}", directory.join("output").display());
    OutputSpec::parse(&text).unwrap().unwrap()
}

fn check(directory: &Path) {
    let text = std::fs::read(directory.join("output")).unwrap();
    assert!(text.is_empty() || text.ends_with(b"\n"));
}

#[test]
fn linked_in() {
    let exporters = || ExporterRegistry::default().with(ListingExporter);
    exporter(&ExporterCase::new(&exporters, &spec, &check).with_images(false));
}

#[test]
fn as_a_program() {
    let plugin = Plugin::new(env!("CARGO_BIN_EXE_longshore-exporter-@TYPE@"));
    let exporters = || ExporterRegistry::default().with(ExternalExporter::new("@TYPE@", plugin.clone()).unwrap());
    exporter(&ExporterCase::new(&exporters, &spec, &check).with_images(false));
}
