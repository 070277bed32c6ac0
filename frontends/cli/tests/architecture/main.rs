//! The architecture, as far as a program can check it: floors, cycles, sizes, names, and the map.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod cycles;
mod flags;
mod floors;
mod map;
mod new_exporter;
mod paths;
mod sizes;
mod source;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Returns what Cargo says of the packages of the workspace.
fn packages() -> Vec<Value> {
    let output = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&output).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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
            ("examples", folder) => format!("longshore-example-{folder}"),
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
