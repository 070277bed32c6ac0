//! What today's readers make of a case: each takes it from an archive, a layout or a registry, and must have what
//! Longshore wrote.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use longshore_testkit::registry::Registry;
use serde_json::Value;

use super::builder::succeeds;
use super::case::Case;
use super::layout::Layout;
use crate::run::Workdir;
use crate::today;
use crate::today::daemon::Daemon;
use crate::today::docker::{Docker, ImageStore};

/// A case that was exported, as an archive, a layout, and in a registry.
struct Written<'a> {
    case: &'a Case,
    work: &'a Workdir,
    layout: &'a Layout,
    /// `HOST/app:1`.
    name: String,
}

type Read = fn(&Written<'_>);

const READERS: [Read; 7] = [
    skopeo,
    oras,
    crane,
    containerd,
    podman,
    |written| dockerd(written, ImageStore::Overlay2),
    |written| dockerd(written, ImageStore::Containerd),
];

/// Gives `ours.tar` and the layout in it to every reader.
pub fn all_read(case: &Case, work: &Workdir, layout: &Layout) {
    let registry = Registry::start();
    let name = format!("{}/app:1", registry.host());
    let output = format!("type=registry,name={name}");
    work.ok(&["export", "oci-archive:ours.tar", "--no-store", "-o", &output]);
    let written = Written { case, work, layout, name };
    READERS.iter().for_each(|read| read(&written));
}

fn peer(program: &str) -> Command {
    today::command(today::root().unwrap(), program)
}

impl Written<'_> {
    fn digest(&self) -> String {
        self.layout.root()["digest"].as_str().unwrap().to_owned()
    }

    fn directory(&self) -> PathBuf {
        self.work.path("ours")
    }

    /// The configuration of the image that a reader on this machine takes, or of the only one.
    fn config(&self) -> (String, Value) {
        let root = self.layout.document(&self.layout.root());
        let is_ours = |manifest: &&Value| manifest["platform"]["architecture"] == "amd64";
        let manifest = match root["manifests"].as_array() {
            Some(manifests) => {
                let entry = manifests.iter().find(is_ours).unwrap_or(&manifests[0]);
                self.layout.document(entry)
            }
            None => root,
        };
        (manifest["config"]["digest"].as_str().unwrap().to_owned(), self.layout.document(&manifest["config"]))
    }

    /// What a reader on another machine asks for.
    fn platform(&self) -> &'static str {
        match self.case.platforms {
            [platform] => platform,
            _ => "linux/amd64",
        }
    }
}

/// It copies the manifest, all platforms and all attestations as they are.
fn skopeo(written: &Written<'_>) {
    let copied = written.work.path("by-skopeo");
    let mut command = peer("skopeo");
    command.args(["copy", "--quiet", "--all"]);
    succeeds(command.arg(format!("oci:{}:@0", written.directory().display())).arg(format!("dir:{}", copied.display())));
    let manifest = std::fs::read(copied.join("manifest.json")).unwrap();
    assert_eq!(manifest, written.layout.blob(&written.layout.root()), "{}", written.case.name);
}

fn oras(written: &Written<'_>) {
    let copied = written.work.path("by-oras");
    let source = format!("{}@{}", written.directory().display(), written.digest());
    let mut command = peer("oras");
    command.args(["copy", "--no-tty", "--from-oci-layout", &source, "--to-oci-layout"]);
    succeeds(command.arg(format!("{}:copied", copied.display())));
    assert_eq!(Layout::at(&copied).blobs(), written.layout.blobs(), "{}", written.case.name);
}

fn crane(written: &Written<'_>) {
    let pulled = written.work.path("by-crane");
    succeeds(peer("crane").args(["pull", "--insecure", "--format=oci", &written.name]).arg(&pulled));
    assert_eq!(Layout::at(&pulled).root()["digest"], written.digest(), "{}", written.case.name);
    assert_eq!(Layout::at(&pulled).blobs(), written.layout.blobs(), "{}", written.case.name);
}

/// It has every blob of every platform, and of attestations.
fn containerd(written: &Written<'_>) {
    let socket = containerd_socket();
    let namespace = written.case.name.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let ctr = || {
        let mut command = peer("ctr");
        command.arg("--address").arg(socket).args(["--namespace", &namespace]);
        command
    };
    let archive = written.work.path("ours.tar");
    let options = ["--all-platforms", "--no-unpack", "--digests", "--base-name", "read"];
    succeeds(ctr().args(["images", "import"]).args(options).arg(archive));
    let images = succeeds(ctr().args(["images", "ls"]));
    assert!(images.contains(&written.digest()), "{}: {images}", written.case.name);
    let content = succeeds(ctr().args(["content", "ls", "--quiet"]));
    let missing: Vec<String> = written.layout.blobs().into_iter().filter(|digest| !content.contains(digest)).collect();
    assert!(missing.is_empty(), "{}: {missing:?}", written.case.name);
}

/// One for all tests of this process.
fn containerd_socket() -> &'static Path {
    static SHARED: OnceLock<(Daemon, PathBuf)> = OnceLock::new();
    let (_, socket) = SHARED.get_or_init(|| {
        let daemon = Daemon::start(|state| {
            let config = state.join("config.toml");
            let plugins = r#"["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]"#;
            let at = state.display();
            let text = format!(
                "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/run\"\ndisabled_plugins = {plugins}\n\
                 [grpc]\naddress = \"{at}/socket\"\n[ttrpc]\naddress = \"{at}/ttrpc\"\n"
            );
            std::fs::write(&config, text).unwrap();
            let mut command = peer("containerd");
            command.arg("--config").arg(config);
            command
        });
        let socket = daemon.state().join("socket");
        let until = Instant::now() + Duration::from_secs(60);
        while !peer("ctr").arg("--address").arg(&socket).arg("version").output().unwrap().status.success() {
            assert!(Instant::now() < until, "containerd does not answer:\n{}", daemon.log());
            sleep(Duration::from_millis(100));
        }
        (daemon, socket)
    });
    socket
}

/// It has the image of a platform, with its configuration as it is.
fn podman(written: &Written<'_>) {
    let state = written.work.path("podman");
    let podman = || {
        let mut command = peer("podman");
        for option in ["root", "runroot", "tmpdir", "network-config-dir"] {
            command.arg(format!("--{option}")).arg(state.join(option));
        }
        command.args(["--storage-driver=vfs", "--events-backend=none", "--cgroup-manager=cgroupfs"]);
        command
    };
    let platform = format!("--platform={}", written.platform());
    succeeds(podman().args(["pull", "--quiet", "--tls-verify=false", &platform, &written.name]));
    let inspected: Value = serde_json::from_str(&succeeds(podman().args(["image", "inspect", &written.name]))).unwrap();
    let (id, config) = written.config();
    assert_eq!(format!("sha256:{}", inspected[0]["Id"].as_str().unwrap()), id, "{}", written.case.name);
    assert_eq!(inspected[0]["RootFS"]["Layers"], config["rootfs"]["diff_ids"], "{}", written.case.name);
}

/// It has the image of a platform, with its layers, and the digest that it is known by in the registry.
fn dockerd(written: &Written<'_>, images: ImageStore) {
    let docker = match images {
        ImageStore::Overlay2 => Docker::shared(images).unwrap(),
        ImageStore::Containerd => apart_from_builder(),
    };
    succeeds(docker.command().args(["pull", "--quiet", "--platform", written.platform(), &written.name]));
    let inspected = succeeds(docker.command().args(["image", "inspect", &written.name]));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let (id, config) = written.config();
    let expected = if images == ImageStore::Containerd { written.digest() } else { id };
    assert_eq!(inspected[0]["Id"], expected, "{}", written.case.name);
    // Nothing is shown in place of an empty list.
    let layers = inspected[0]["RootFS"]["Layers"].as_array().cloned().unwrap_or_default();
    assert_eq!(Value::from(layers), config["rootfs"]["diff_ids"], "{}: {inspected}", written.case.name);
}

/// A Docker in which nothing was built: it does not fetch a layer that it has unpacked already, as that of a base of
/// `BuildKit`'s, and then shows an image without its blob as empty.
fn apart_from_builder() -> &'static Docker {
    static SHARED: OnceLock<Docker> = OnceLock::new();
    SHARED.get_or_init(|| Docker::start(today::root().unwrap(), ImageStore::Containerd))
}
