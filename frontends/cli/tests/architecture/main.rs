//! Dependencies point inward, and a crate is called what its folder is called.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Packages that exporters and frontends may depend on: core and what belongs to it.
const INNER: [&str; 3] = ["longshore-core", "longshore-store", "longshore-distribution"];
/// Who assembles the rest.
const OUTER: &str = "longshore-cli";

fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn dependencies_point_inward() {
    let mut checked = 0;
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        for dependency in normal.filter_map(|dependency| dependency["name"].as_str()) {
            if name == OUTER || !dependency.starts_with("longshore-") {
                continue;
            }
            assert!(INNER.contains(&dependency), "{name} depends on {dependency}");
            assert!(name != "longshore-core", "core depends on {dependency}");
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked} dependencies");
}

#[test]
fn a_crate_is_called_what_its_folder_is_called() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let kind = folder.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let folder = folder.file_name().unwrap().to_str().unwrap();
        let expected = match (kind, folder) {
            ("exporters", folder) => format!("longshore-exporter-{folder}"),
            ("frontends", "cli") => "longshore-cli".to_owned(),
            ("frontends", folder) => format!("longshore-frontend-{folder}"),
            (_, folder) => format!("longshore-{folder}"),
        };
        assert_eq!(name, expected);
    }
}

#[test]
fn exporters_have_the_same_files() {
    for package in packages() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap();
        if folder.parent().unwrap().ends_with("exporters") {
            for file in ["README.md", "src/lib.rs", "src/options.rs", "src/export.rs", "tests/conformance.rs"] {
                assert!(folder.join(file).is_file(), "{} has no {file}", folder.display());
            }
        }
    }
}
