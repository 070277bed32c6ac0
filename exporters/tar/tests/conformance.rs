//! The suite that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;

use longshore_core::archive::Reader;
use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_exporter_tar::TarExporter;
use longshore_testkit::conformance::{ExporterCase, exporter};

fn exporters() -> ExporterRegistry {
    ExporterRegistry::default().with(TarExporter)
}

/// Each entry comes after its directory, and none is a whiteout.
fn check(root: &Path) {
    let mut reader = Reader::new(File::open(root.join("a.tar")).unwrap());
    let mut paths: Vec<Vec<u8>> = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        if let Some(at) = entry.path.iter().rposition(|byte| *byte == b'/') {
            assert!(paths.contains(&entry.path[..at].to_vec()), "{} has no directory", entry.display());
        }
        let name = entry.path.rsplit(|byte| *byte == b'/').next().unwrap();
        assert!(!name.starts_with(b".wh."), "{}", entry.display());
        paths.push(entry.path);
    }
    reader.drain().unwrap();
}

#[test]
fn the_contract_of_exporters() {
    let spec =
        |root: &Path| OutputSpec::parse(&format!("type=tar,dest={}", root.join("a.tar").display())).unwrap().unwrap();
    exporter(&ExporterCase::new(&exporters, &spec, &check).with_images(false));
}
