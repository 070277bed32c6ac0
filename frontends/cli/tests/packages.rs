//! Every crate can be published: what its manifest says, its README, and its package.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of the workspace, as cargo describes them.
fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn is_example(package: &Value) -> bool {
    package["name"].as_str().unwrap().starts_with("longshore-example-")
}

fn folder(package: &Value) -> PathBuf {
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

#[test]
fn manifests_say_what_a_registry_asks() {
    let packages = packages();
    assert!(packages.len() > 15);
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        for key in ["description", "license", "rust_version"] {
            assert!(package[key].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {key}");
        }
        let is_private = package["publish"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(is_private, is_example(package), "{name}: publish");
        assert!(package["features"].as_object().unwrap().is_empty(), "{name} has features");
        assert_eq!(package["version"], env!("CARGO_PKG_VERSION"), "{name}");
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            let has_version = dependency["req"] != "*";
            // A dependency of tests without a version is left out of the package: crates test themselves with this one.
            let is_for_tests = dependency["kind"] == "dev" && to == "longshore-testkit";
            assert!(!to.starts_with("longshore-") || has_version != is_for_tests, "{name} -> {to}");
        }
    }
}

/// Returns the blocks of a page that are compiled as its documentation is tested.
fn compiled(page: &str) -> usize {
    let mut fences = page.lines().filter_map(|line| line.strip_prefix("```"));
    let mut count = 0;
    while let Some(language) = fences.next() {
        count += usize::from(matches!(language, "" | "rust" | "no_run" | "rust,no_run"));
        fences.next();
    }
    count
}

#[test]
fn every_readme_has_an_example_that_is_compiled() {
    assert_eq!(compiled("```sh\n```\n```rust\n```\n```text\n```\n```no_run\n```\n"), 2);
    for package in packages() {
        let folder = folder(&package);
        let page = fs::read_to_string(folder.join("README.md")).unwrap();
        let Ok(library) = fs::read_to_string(folder.join("src/lib.rs")) else { continue };
        assert!(compiled(&page) > 0, "{}/README.md has no example", folder.display());
        let first = library.lines().next().unwrap_or_default();
        assert_eq!(first, "#![doc = include_str!(\"../README.md\")]", "{}/src/lib.rs", folder.display());
    }
}

/// The packages are made, and have what their sources include. They are not built again here: docs/stability.md says when
/// they are.
#[test]
fn every_crate_can_be_packaged() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    let target = target.to_str().unwrap();
    cargo(&[
        "package",
        "--workspace",
        "--no-verify",
        "--locked",
        "--offline",
        "--allow-dirty",
        "--quiet",
        "--target-dir",
        target,
    ]);
    for package in packages() {
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let made = Path::new(target).join(format!("package/{name}-{version}.crate"));
        assert!(made.metadata().unwrap().len() > 0, "{name}");
    }
    let listed = cargo(&["package", "--list", "--package", "longshore-cli", "--offline", "--allow-dirty"]);
    for file in ["README.md", "templates/exporter.py", "templates/rust/manifest.toml", "templates/rust/lib.rs"] {
        assert!(listed.lines().any(|line| line == file), "{file} is not in the package of longshore-cli:\n{listed}");
    }
}

#[test]
fn the_example_of_the_registry_client_is_short() {
    let page = fs::read_to_string(workspace().join("core/distribution/README.md")).unwrap();
    let block = page.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    let shown = block.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).count();
    assert!(shown < 25, "{shown} lines");
}
