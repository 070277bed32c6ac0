//! The suite of frontends, over each that `longshore` has.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

/// Peers of today.
#[allow(dead_code, reason = "not all of it is asked here")]
mod today;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use longshore_core::content::{ImageStore, MemoryStore, StoredImage};
use longshore_core::image::{store, verbatim};
use longshore_core::{FrontendRegistry, ImageContent, Work};
use longshore_distribution::{Client, ClientOptions};
use longshore_frontend_archive::ArchiveFrontend;
use longshore_frontend_containerd::ContainerdFrontend;
use longshore_frontend_docker_daemon::DockerDaemonFrontend;
use longshore_frontend_docker_graph::DockerGraphFrontend;
use longshore_frontend_registry::RegistryFrontend;
use longshore_frontend_rootfs::RootfsFrontend;
use longshore_frontend_store::StoreFrontend;
use longshore_testkit::conformance::{FrontendCase, frontend};
use longshore_testkit::containerd::{Containerd, Options, Release};
use longshore_testkit::docker::{DockerRoot, GraphDriver};
use longshore_testkit::registry::Registry;
use longshore_testkit::sample::{self, ExistingOptions, TarOptions};
use today::docker::{Docker, ImageStore as DockerImages};

/// Exports a small tree to `output`, which names a place in `root` as `{}`.
fn export(root: &Path, output: &str) {
    fs::create_dir(root.join("tree")).unwrap();
    fs::write(root.join("tree/file"), "content").unwrap();
    // Files have the same time wherever they are made.
    let file = fs::File::open(root.join("tree/file")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    fs::File::open(root.join("tree")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let source = format!("rootfs:{}", root.join("tree").display());
    let output = output.replace("{}", &root.display().to_string());
    let arguments = ["export", "--progress=quiet", "--no-store", &source, "-o", &output];
    assert!(Command::new(env!("CARGO_BIN_EXE_longshore")).args(arguments).status().unwrap().success());
}

fn check(
    frontends: &dyn Fn() -> FrontendRegistry,
    source: &dyn Fn(&Path) -> String,
    missing: &dyn Fn(&Path) -> (String, String),
) {
    frontend(&FrontendCase::new(frontends, source, missing));
}

#[test]
fn rootfs() {
    let source = |root: &Path| {
        fs::create_dir(root.join("tree")).unwrap();
        fs::write(root.join("tree/file"), "content").unwrap();
        fs::write(root.join("tree/file.o"), "content").unwrap();
        format!("rootfs:{},owner=0:0,exclude=*.o", root.join("tree").display())
    };
    let missing = |root: &Path| (format!("rootfs:{}/absent", root.display()), "absent".to_owned());
    check(&|| FrontendRegistry::default().with(RootfsFrontend), &source, &missing);
}

#[test]
fn archives() {
    for (scheme, output) in [
        ("oci", "type=oci,tar=false,name=app:1,dest={}/image"),
        ("oci-archive", "type=oci,name=app:1,dest={}/image"),
        ("docker-archive", "type=docker,name=app:1,dest={}/image"),
        ("docker-archive", "type=docker,format=legacy,name=app:1,dest={}/image"),
    ] {
        let source = |root: &Path| {
            export(root, output);
            format!("{scheme}:{}/image:app:1", root.display())
        };
        let missing = |root: &Path| (format!("{scheme}:{}/absent", root.display()), "absent".to_owned());
        check(&|| FrontendRegistry::default().with(ArchiveFrontend), &source, &missing);
    }
}

#[test]
fn docker_graph() {
    let source = |root: &Path| {
        let data = DockerRoot::new(root, GraphDriver::Overlay2);
        let image = data.build(&[sample::tar_bytes(1, TarOptions::default())]);
        data.tag("app:1", &image.id);
        format!("docker-graph:{}:app:1", root.display())
    };
    let missing = |root: &Path| (format!("docker-graph:{}:absent:1", root.display()), "absent:1".to_owned());
    check(&|| FrontendRegistry::default().with(DockerGraphFrontend), &source, &missing);
}

#[test]
fn image_store() {
    let open = |_: &Path| -> Arc<dyn ImageStore> {
        let images = MemoryStore::default();
        let ImageContent::Existing(existing) = sample::existing(7, &ExistingOptions::default()).content else {
            unreachable!("the sample exists")
        };
        store(&verbatim(&existing, &Work::default()).unwrap(), &images, &Work::default()).unwrap();
        let image = StoredImage::new(existing.root, existing.referrers);
        images.tag(&[("app:1".parse().unwrap(), image)]).unwrap();
        Arc::new(images)
    };
    frontend(
        &FrontendCase::new(&|| FrontendRegistry::default().with(StoreFrontend), &|_| "image:app:1".to_owned(), &|_| {
            ("image:absent:1".to_owned(), "absent:1".to_owned())
        })
        .with_images(&open),
    );
}

#[test]
fn containerd() {
    for daemon in Release::ALL.into_iter().filter_map(|release| Containerd::start(release, Options::default())) {
        let socket = daemon.socket().display().to_string();
        let source = |root: &Path| {
            export(root, "type=oci,name=app:1,dest={}/image");
            let (archive, to) = (format!("{}/image", root.display()), format!("containerd:{socket}"));
            let arguments = ["import", "--progress=quiet", &archive, "--store", &to];
            let imported = Command::new(env!("CARGO_BIN_EXE_longshore")).args(arguments).output().unwrap();
            assert!(imported.status.success(), "{imported:?}");
            format!("containerd:app:1,socket={socket}")
        };
        let missing = |_: &Path| (format!("containerd:absent:1,socket={socket}"), "absent:1".to_owned());
        check(&|| FrontendRegistry::default().with(ContainerdFrontend), &source, &missing);
    }
}

#[test]
fn registry() {
    let registry = Registry::start();
    let host = registry.host().to_owned();
    let source = |root: &Path| {
        export(root, &format!("type=registry,name={host}/app:1"));
        format!("docker://{host}/app:1")
    };
    let missing = |_: &Path| (format!("docker://{host}/absent:1"), "absent:1".to_owned());
    let client = Client::new(ClientOptions::default());
    let frontends = || FrontendRegistry::default().with(RegistryFrontend::new(client.clone()));
    check(&frontends, &source, &missing);
}

/// The engine is found by the environment, which a process has when it starts.
#[test]
fn docker_daemon() {
    let Some(root) = today::root() else { return };
    let engine = Docker::start(root, DockerImages::Overlay2);
    let directory = tempfile::tempdir().unwrap();
    export(directory.path(), "type=docker,name=app:1,dest={}/app.tar");
    let loaded = engine.command().args(["load", "--input"]).arg(directory.path().join("app.tar")).status();
    assert!(loaded.unwrap().success());
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite.args(["--exact", "--ignored", "docker_daemon_of_the_environment"]).env("DOCKER_HOST", engine.host());
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "docker_daemon runs it with an engine"]
fn docker_daemon_of_the_environment() {
    let frontends = || FrontendRegistry::default().with(DockerDaemonFrontend).with(ArchiveFrontend);
    let missing = |_: &Path| ("docker-daemon:absent:1".to_owned(), "absent".to_owned());
    check(&frontends, &|_| "docker-daemon:app:1".to_owned(), &missing);
}
