//! The suite of exporters over the smallest one.

use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_testkit::conformance::{self, ExporterCase};
use longshore_testkit::validate;

use crate::tiny::TinyExporter;

fn registry() -> ExporterRegistry {
    ExporterRegistry::default().with(TinyExporter)
}

fn spec(place: &Path, name: &str, options: &str) -> OutputSpec {
    OutputSpec::parse(&format!("type=tiny,dest={}{options}", place.join(name).display())).unwrap().unwrap()
}

#[test]
fn archive() {
    conformance::exporter(&ExporterCase {
        exporters: &registry,
        spec: &|place| spec(place, "image.tar", ""),
        images: true,
        check: &|place| drop(validate::layout_tar(&place.join("image.tar")).unwrap()),
    });
}

#[test]
fn directory() {
    conformance::exporter(&ExporterCase {
        exporters: &registry,
        spec: &|place| spec(place, "layout", ",tar=false,compression=zstd"),
        images: true,
        check: &|place| drop(validate::layout_dir(&place.join("layout")).unwrap()),
    });
}
