//! The suite that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_exporter_local::LocalExporter;
use longshore_testkit::conformance::{ExporterCase, exporter};

fn exporters() -> ExporterRegistry {
    ExporterRegistry::default().with(LocalExporter)
}

#[test]
fn the_contract_of_exporters() {
    for options in ["", ",mode=delete,allow-delete=true"] {
        let spec = |root: &Path| {
            let dest = root.join("files");
            OutputSpec::parse(&format!("type=local,dest={}{options}", dest.display())).unwrap().unwrap()
        };
        let check = |root: &Path| assert!(root.join("files").is_dir());
        exporter(&ExporterCase::new(&exporters, &spec, &check).with_images(false));
    }
}
