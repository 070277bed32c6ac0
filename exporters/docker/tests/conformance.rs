//! The suites that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_exporter_docker::DockerExporter;
use longshore_testkit::conformance::{ExporterCase, exporter};
use longshore_testkit::validate;

#[test]
fn tarball() {
    exporter(&ExporterCase::new(
        &|| ExporterRegistry::default().with(DockerExporter),
        &|root: &Path| {
            let text = format!("type=docker,name=*,platform=linux/amd64,dest={}", root.join("a.tar").display());
            OutputSpec::parse(&text).unwrap().unwrap()
        },
        &|root: &Path| validate::layout_tar(&root.join("a.tar")).map(drop).unwrap(),
    ));
}
