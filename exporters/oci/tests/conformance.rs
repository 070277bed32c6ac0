//! The suites that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_exporter_oci::OciExporter;
use longshore_testkit::conformance::{ExporterCase, exporter};
use longshore_testkit::validate;

fn exporters() -> ExporterRegistry {
    ExporterRegistry::default().with(OciExporter)
}

fn spec(text: &str) -> OutputSpec {
    OutputSpec::parse(text).unwrap().unwrap()
}

#[test]
fn archive() {
    exporter(&ExporterCase::new(
        &exporters,
        &|root: &Path| spec(&format!("type=oci,name=*,dest={}", root.join("a.tar").display())),
        &|root: &Path| validate::layout_tar(&root.join("a.tar")).map(drop).unwrap(),
    ));
}

#[test]
fn directory() {
    exporter(&ExporterCase::new(
        &exporters,
        &|root: &Path| spec(&format!("type=oci,name=*,tar=false,dest={}", root.join("layout").display())),
        &|root: &Path| validate::layout_dir(&root.join("layout")).map(drop).unwrap(),
    ));
}
