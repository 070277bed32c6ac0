//! An engine, and a directory with trees in which `longshore` runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use longshore_testkit::sample::Random;
use serde_json::Value;
use tempfile::TempDir;

use crate::interop::command::{longshore, run};
use crate::interop::dockerd::Dockerd;
use crate::interop::peers::{DOCKERD, DOCKERD_CONTAINERD_TODAY, DOCKERD_TODAY, PODMAN, PODMAN_TODAY, Peer, TAR};
use crate::interop::podman::Podman;
use crate::interop::tree::Tree;
use crate::today::daemon::Daemon;

/// An engine to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian 12's, with vfs.
    Docker20,
    Overlay2,
    Containerd,
    Podman4,
    Podman5,
}

#[derive(Debug)]
enum Engine {
    Docker(Dockerd),
    Podman { service: Daemon, podman: Podman },
}

/// A running engine, and a directory of its own.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) kind: Kind,
    engine: Engine,
    directory: TempDir,
}

/// Bytes of the base, which do not compress.
pub(crate) const BASE: u64 = 3_000_000;

impl Machine {
    /// Starts it where it can be started; says so where not.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        let peer: &'static Peer = match kind {
            Kind::Docker20 => &DOCKERD,
            Kind::Overlay2 => &DOCKERD_TODAY,
            Kind::Containerd => &DOCKERD_CONTAINERD_TODAY,
            Kind::Podman4 => &PODMAN,
            Kind::Podman5 => &PODMAN_TODAY,
        };
        if !peer.is_ready() || !TAR.is_ready() {
            return None;
        }
        let engine = match kind {
            Kind::Podman4 | Kind::Podman5 => serve(peer),
            _ => Engine::Docker(Dockerd::start_of(peer).unwrap()),
        };
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let machine = Self { kind, engine, directory };
        machine.write_trees();
        Some(machine)
    }

    /// Whether it finds what it has by the digests of blobs, and so by manifests that it knows.
    pub(crate) fn keeps_blobs(&self) -> bool {
        matches!(self.kind, Kind::Containerd | Kind::Podman4 | Kind::Podman5)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A base with one of each kind of file, and small layers.
    fn write_trees(&self) {
        let base = self.path("base/tree/base");
        fs::create_dir_all(base.join("directory")).unwrap();
        fs::write(base.join("random"), Random::new(1).bytes(usize::try_from(BASE).unwrap())).unwrap();
        fs::write(base.join("setuid"), "#!").unwrap();
        chown(base.join("setuid"), Some(1000), Some(1001)).unwrap();
        fs::set_permissions(base.join("setuid"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(base.join("setuid"), base.join("directory/again")).unwrap();
        symlink("../missing", base.join("directory/link")).unwrap();
        for layer in ["one", "two", "three", "four"] {
            self.write_layer(layer);
        }
    }

    /// A layer of one small file, named like the layer.
    pub(crate) fn write_layer(&self, name: &str) {
        let layer = self.path(name).join("tree/layer");
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join(name), name).unwrap();
    }

    pub(crate) fn host(&self) -> String {
        match &self.engine {
            Engine::Docker(docker) => docker.host(),
            Engine::Podman { service, .. } => format!("unix://{}", service.state().join("socket").display()),
        }
    }

    /// `longshore`, with an image store of its own.
    pub(crate) fn longshore(&self, arguments: &[&str]) -> Command {
        let mut command = longshore(self.directory.path());
        command.args(arguments).env("DOCKER_HOST", self.host()).env("LONGSHORE_ROOT", self.path("store"));
        command.env_remove("DOCKER_CONTEXT").env("DOCKER_CONFIG", self.path("no-settings"));
        command
    }

    /// Exports, and returns what the metadata says of the first output.
    pub(crate) fn export(&self, arguments: &[&str]) -> Value {
        let metadata = ["export", "--progress=quiet", "--metadata-file=metadata.json"];
        run(&mut self.longshore(&[&metadata[..], arguments].concat()));
        let metadata: Value = serde_json::from_slice(&fs::read(self.path("metadata.json")).unwrap()).unwrap();
        metadata["longshore.outputs"][0].clone()
    }

    /// The ID of an image with this response.
    pub(crate) fn expected_id(&self, response: &Value) -> String {
        let image = &response["images"][0];
        let id = if self.kind == Kind::Containerd { &image["root"]["digest"] } else { &image["config"] };
        id.as_str().unwrap().to_owned()
    }

    pub(crate) fn id(&self, name: &str) -> String {
        match &self.engine {
            Engine::Docker(docker) => docker.id(name),
            Engine::Podman { podman, .. } => format!("sha256:{}", podman.inspect(name)["Id"].as_str().unwrap()),
        }
    }

    /// The IDs of all images, with names or without.
    pub(crate) fn ids(&self) -> Vec<String> {
        let ids = match &self.engine {
            Engine::Docker(docker) => run(docker.docker().args(["images", "--all", "--quiet", "--no-trunc"])),
            Engine::Podman { podman, .. } => run(podman.command().args(["images", "--all", "--quiet", "--no-trunc"])),
        };
        let mut ids: Vec<String> = ids.lines().map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Removes images, whatever names they have; those that are gone are no failure.
    pub(crate) fn remover(&self, names: &[&str]) -> Command {
        let mut command = match &self.engine {
            Engine::Docker(docker) => docker.docker(),
            Engine::Podman { podman, .. } => podman.command(),
        };
        command.args(["rmi", "--force"]).args(names);
        command
    }

    /// Compares an image with the trees that it was made of.
    pub(crate) fn assert_tree(&self, image: &str, layers: &[&str]) {
        let mut layers = layers.iter().map(|layer| Tree::read(&self.path(layer)));
        let base = layers.next().unwrap();
        // Engines set the times of directories, and Docker adds some of its own to a container.
        let expected = layers.fold(base, Tree::with).without_directory_times();
        let compare = |found: Tree| {
            let differences = expected.differences(&found.without_directory_times());
            assert_eq!(differences, Vec::<String>::new(), "{image} in {:?}", self.kind);
        };
        match &self.engine {
            Engine::Docker(docker) => docker.tree(image, compare),
            Engine::Podman { podman, .. } => compare(Tree::read(&podman.unpacked(image))),
        }
    }
}

/// Starts Podman's service, and waits until it listens.
fn serve(peer: &'static Peer) -> Engine {
    let podman = Podman::of(peer);
    let service = Daemon::start(|state| podman.service(&format!("unix://{}", state.join("socket").display())));
    let until = Instant::now() + Duration::from_secs(60);
    while UnixStream::connect(service.state().join("socket")).is_err() {
        assert!(Instant::now() < until, "podman does not listen:\n{}", service.log());
        sleep(Duration::from_millis(50));
    }
    Engine::Podman { service, podman }
}
