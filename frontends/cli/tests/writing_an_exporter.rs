//! The page on writing an exporter: its commands, in its order, in one directory, as a reader types them.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_testkit::{are_installed, write_executable};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap()).collect()
}

/// Returns a script that makes a new crate build what this workspace has built, without the network: the same versions
/// and profiles, into the same directory.
fn prepare(target: &Path) -> String {
    let (root, target) = (workspace(), target.display());
    format!(
        "for crate in */Cargo.toml; do [ -f \"$crate\" ] || continue\n\
         crate=$(dirname \"$crate\"); cp {0}/Cargo.lock \"$crate\"\n\
         [ -e \"$crate/target\" ] || {{ ln -s {target} \"$crate/target\"; \
         sed -n '/^\\[profile.dev]/,$p' {0}/Cargo.toml >>\"$crate/Cargo.toml\"; }}\ndone\n",
        root.display()
    )
}

#[test]
fn every_command_works_in_its_order() {
    if !are_installed(&["python3", "sed", "grep", "cargo"]) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = |path: &str| place.path().join(path);
    fs::create_dir_all(path("home")).unwrap();
    fs::create_dir_all(path("work")).unwrap();
    // `target/tmp` is in the directory that all builds here share.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    write_executable(&path("prepare"), &format!("#!/bin/sh\nset -eu\n{}", prepare(target)));
    let page = fs::read_to_string(workspace().join("docs/writing-an-exporter.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 6, "{blocks:?}");
    let script = blocks.join(&format!("\n{}\n", path("prepare").display()));
    let script = script.replace("~/longshore", workspace().to_str().unwrap());
    let binary = Path::new(env!("CARGO_BIN_EXE_longshore")).parent().unwrap().to_owned();
    let own = std::env::var_os("PATH").unwrap();
    let directories = [binary].into_iter().chain(std::env::split_paths(&own));
    // Where cargo and rustup are, for another home.
    let home = |variable: &str, folder: &str| {
        std::env::var_os(variable).map_or_else(|| std::env::home_dir().unwrap().join(folder), PathBuf::from)
    };
    let mut shell = Command::new("sh");
    shell
        .args(["-eux", "-c", &script])
        .current_dir(path("work"))
        .env("PATH", std::env::join_paths(directories).unwrap());
    shell.env("CARGO_HOME", home("CARGO_HOME", ".cargo")).env("RUSTUP_HOME", home("RUSTUP_HOME", ".rustup"));
    shell.env("HOME", path("home")).env("LONGSHORE_ROOT", path("store")).env("CARGO_NET_OFFLINE", "true");
    for variable in ["CARGO_TARGET_DIR", "LONGSHORE_PLUGINS", "SOURCE_DATE_EPOCH", "XDG_CACHE_HOME", "CARGO"] {
        shell.env_remove(variable);
    }
    let output = shell.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_eq!(stdout.matches("16 promises kept, 0 broken").count(), 2, "{stdout}");
    assert_eq!(stdout.matches("test result: ok. 2 passed").count(), 1, "{stdout}");
    assert!(
        stdout.contains("type=sizes  Names and sizes of the files of an image\n  (linked into this program)\n"),
        "{stdout}"
    );
}
