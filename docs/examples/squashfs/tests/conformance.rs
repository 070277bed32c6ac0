//! The suite that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use longshore_core::{ExporterRegistry, OutputSpec};
use longshore_example_squashfs::SquashfsExporter;
use longshore_testkit::are_installed;
use longshore_testkit::conformance::{ExporterCase, exporter};

fn check(root: &Path) {
    let image = fs::read(root.join("a.squashfs")).unwrap();
    assert!(image.starts_with(b"hsqs"), "no superblock");
}

#[test]
fn the_contract_of_exporters() {
    if !are_installed(&["tar2sqfs"]) {
        return;
    }
    let exporters = || ExporterRegistry::default().with(SquashfsExporter);
    let spec = |root: &Path| {
        let text = format!("type=squashfs,compression=lz4,dest={}", root.join("a.squashfs").display());
        OutputSpec::parse(&text).unwrap().unwrap()
    };
    exporter(&ExporterCase::new(&exporters, &spec, &check).with_images(false));
}
