//! Every `longshore` command in a page runs as it is written.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;
/// Peers of today.
mod today;

use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_testkit::containerd::{Containerd, Options, Release};
use longshore_testkit::docker::{DockerRoot, GraphDriver};
use longshore_testkit::registry::Registry;
use run::Workdir;
use today::docker::{Docker, ImageStore};

/// The pages whose commands are run.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    for folder in ["exporters", "frontends", "docs"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            pages.push(if path.is_dir() { path.join("README.md") } else { path });
        }
    }
    // The commands of this one depend on each other: `writing_an_exporter.rs` runs them.
    pages.retain(|page| !page.ends_with("docs/writing-an-exporter.md"));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md") && page.is_file());
    pages.sort();
    pages
}

/// The lines of ```` ```sh ```` blocks that begin with `longshore`, with those that they continue on.
fn commands(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap().replace("\\\n", " ");
    let blocks = text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(str::trim);
    lines.filter(|line| line.contains("longshore ") && !line.starts_with("cargo ")).map(str::to_owned).collect()
}

/// What the pages take for granted.
fn prepare(work: &Workdir) {
    for file in ["tree/bin/sh", "tree/usr/share/doc/x", "etc/app.conf", "arm/bin/app", "amd/bin/app"] {
        work.write(file, file);
    }
    work.write("sbom.spdx.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let entry = longshore_core::archive::Entry::file("bin/app", 0o755, 3);
    let mut tar = longshore_core::archive::Writer::new(Vec::new());
    tar.append(&entry, &mut &b"app"[..]).unwrap();
    let gzip = longshore_core::compression::Encoding::new(longshore_core::compression::Algorithm::Gzip, None).unwrap();
    let tar = tar.finish().unwrap();
    work.write("app.tar.gz", gzip.encode(&tar).unwrap());
    let docker = DockerRoot::new(&work.path("docker"), GraphDriver::Overlay2);
    docker.tag("app:1", &docker.build(&[tar]).id);
}

/// Whether a command talks to an engine.
fn needs_engine(command: &str) -> bool {
    let loads = command.contains("type=docker,") && !command.contains("dest=");
    loads || command.contains("docker-daemon:")
}

#[test]
fn commands_run_as_written() {
    let binary = Path::new(env!("CARGO_BIN_EXE_longshore")).parent().unwrap().to_owned();
    let path =
        std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())))
            .unwrap();
    let containerd = Containerd::start(Release::Installed, Options::default());
    let socket = containerd.as_ref().map(Containerd::socket).unwrap_or_default();
    let mut ran = 0;
    for page in pages() {
        let work = Workdir::new();
        prepare(&work);
        let registry = Registry::start();
        let mut engine = None;
        let needs_containerd = |command: &String| command.contains("containerd:");
        for command in commands(&page).into_iter().filter(|command| containerd.is_some() || !needs_containerd(command))
        {
            let command = command.replace("localhost:5000", registry.host());
            let command = command.replace("docker-graph:app", "docker-graph:./docker:app");
            let command = command.replace("--from docker-graph ", "--from docker-graph:./docker ");
            if needs_engine(&command) && engine.is_none() {
                let Some(root) = today::root() else { continue };
                engine = Some(Docker::start(root, ImageStore::Containerd));
            }
            let host = engine.as_ref().map(Docker::host).unwrap_or_default();
            let command = command.replace("unix:///run/podman/podman.sock", &host);
            let mut shell = Command::new("sh");
            let output = shell
                .args(["-euc", &command])
                .current_dir(work.root())
                .env("PATH", &path)
                .env("LONGSHORE_ROOT", work.store())
                .env("DOCKER_HOST", &host)
                .env("CONTAINERD_ADDRESS", &socket)
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {command}\n{stderr}", page.display());
            ran += 1;
        }
    }
    assert!(ran >= 5, "{ran} commands");
}
