//! Images in a dockerd with overlay2, that it imported, built, committed and loaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_core::oci::Digest;
use longshore_testkit::sample::Random;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::command::{attempt, longshore, longshore_export, run, skopeo};
use super::dockerd::{DataRoot, Dockerd};
use super::fixture::write_layer;
use super::image::{HOST, text};
use super::peers::{ANY_DOCKERD, CONTAINERD, CTR, DOCKER, SKOPEO, TAR};

/// Special files, with history; the layer below those of `app`.
pub(crate) const BASE: &str = "example.com/base:1";
/// What the builder made: two tags of one image, with a layer that is there twice and all that a configuration has.
pub(crate) const APP: [&str; 2] = ["app:1", "app:latest"];
/// `app` with a layer on top, from `docker commit`.
pub(crate) const CHILD: &str = "child:1";
/// What `longshore` made: a file and a directory are deleted, another is emptied.
pub(crate) const WHITEOUTS: &str = "example.com/team/whiteouts:1";
/// Its configuration has no history, and is not in the order of Docker's.
pub(crate) const BARE: &str = "bare:1";
/// No layers. Docker does not save it.
pub(crate) const EMPTY: &str = "empty:1";

/// All that have layers.
pub(crate) const NAMES: [&str; 6] = [BASE, APP[0], APP[1], CHILD, WHITEOUTS, BARE];

const DOCKERFILE: &str = r#"FROM example.com/base:1
COPY file /file
COPY random /tree/layer/
LABEL one="a <b> & c" two=ü
COPY file /file
ENV X="a b"
EXPOSE 80/tcp 53/udp
VOLUME /tree/data
USER 1:2
WORKDIR /tree
HEALTHCHECK --interval=5s --retries=2 CMD ["true"]
ONBUILD COPY . /tree
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/file"]
CMD ["x"]
"#;

/// What Docker says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) layers: Vec<String>,
}

/// The images, and the daemon that has them.
#[derive(Debug)]
pub(crate) struct DockerImages {
    pub(crate) daemon: Dockerd,
    /// By name.
    pub(crate) known: BTreeMap<&'static str, Known>,
    root: DataRoot,
    scratch: TempDir,
}

impl DockerImages {
    /// Makes them; nothing, which is said, where something is missing for it.
    pub(crate) fn make() -> Option<Self> {
        let peers = [&ANY_DOCKERD, &DOCKER, &CONTAINERD, &CTR, &TAR, &SKOPEO];
        let are_ready = peers.iter().all(|peer| peer.is_ready());
        let (daemon, root) = are_ready.then(DataRoot::with_overlay2).flatten()?;
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut images = Self { daemon, known: BTreeMap::new(), root, scratch };
        images.import_base();
        images.build_app();
        images.commit_child();
        images.load_whiteouts();
        images.load_bare();
        let known = NAMES.map(|name| (name, Known::of(&images.daemon.inspect(name))));
        images.known = known.into_iter().collect();
        assert_eq!(images.known[APP[0]], images.known[APP[1]]);
        let app = &images.known[APP[0]].layers;
        assert_eq!((&app[..1], &app[1]), (&images.known[BASE].layers[..], &app[3]), "the repeated layer");
        Some(images)
    }

    /// Where the daemon keeps them.
    pub(crate) fn root(&self) -> PathBuf {
        self.root.path()
    }

    /// A path that nothing else uses.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A layer of special files, archived by GNU tar in its own format.
    fn import_base(&self) {
        let tree = self.path("base");
        write_layer(&tree.join("tree"));
        let archive = self.path("base.tar");
        let mut command = Command::new("tar");
        command.args(["--xattrs", "--xattrs-include=*", "--format=posix", "--sort=name"]);
        run(command.arg("-C").arg(&tree).arg("-cf").arg(&archive).arg("."));
        let mut command = self.daemon.docker();
        command.args(["import", "--message", "imported <by> a tést", "--change", r#"CMD ["sh"]"#]);
        run(command.arg(archive).arg(BASE));
    }

    fn build_app(&self) {
        let context = self.path("context");
        fs::create_dir(&context).unwrap();
        fs::write(context.join("Dockerfile"), DOCKERFILE).unwrap();
        fs::write(context.join("file"), "copied twice").unwrap();
        fs::write(context.join("random"), Random::new(7).bytes(1_500_000)).unwrap();
        let mut command = self.daemon.docker();
        command.args(["build", "--quiet", "--tag", APP[0], "--tag", APP[1]]);
        run(command.arg(context));
    }

    fn commit_child(&self) {
        let docker = |arguments: &[&str]| run(self.daemon.docker().args(arguments));
        docker(&["create", "--name", "changed", APP[0]]);
        let file = self.path("context/random").display().to_string();
        docker(&["cp", &file, "changed:/tree/new"]);
        docker(&["commit", "--author", "A <a@example.com>", "--message", "m", "changed", CHILD]);
        docker(&["rm", "changed"]);
    }

    fn load_whiteouts(&self) {
        let write = |path: &str| {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let is_whiteout = path.file_name().unwrap().as_encoded_bytes().starts_with(b".wh.");
            fs::write(&path, if is_whiteout { "" } else { "content" }).unwrap();
        };
        ["deleted", "removed/a", "emptied/a", "kept"].iter().for_each(|name| write(&format!("lower/tree/{name}")));
        let names = [".wh.deleted", ".wh.removed", "emptied/.wh..wh..opq", "emptied/b"];
        names.iter().for_each(|name| write(&format!("upper/tree/{name}")));
        // A directory with such names is refused.
        run(Command::new("tar").arg("-C").arg(self.path("upper")).arg("-cf").arg(self.path("upper.tar")).arg("tree"));
        let mut command = longshore_export(self.scratch.path());
        command.args(["rootfs:lower", "--layer", "upper.tar", "-o"]);
        run(command.arg(format!("type=docker,name={WHITEOUTS},dest=whiteouts.tar")));
        self.daemon.load(&self.path("whiteouts.tar")).unwrap();
    }

    fn load_bare(&self) {
        let directory = self.path("bare");
        fs::create_dir(&directory).unwrap();
        fs::copy(self.path("upper.tar"), directory.join("upper.tar")).unwrap();
        fs::copy(self.path("base.tar"), directory.join("base.tar")).unwrap();
        let layers = ["base.tar", "upper.tar"];
        let diff_ids = layers.map(|layer| Digest::of(&fs::read(directory.join(layer)).unwrap()).to_string());
        let diff_ids = serde_json::to_string(&diff_ids).unwrap();
        let config = format!(
            r#"{{"rootfs":{{"diff_ids":{diff_ids}, "type":"layers"}}, "os":"linux","architecture":"{HOST}","x":"<",
                "config":{{"Cmd":["x"],"Unknown":1}}}}"#
        );
        fs::write(directory.join("config.json"), config).unwrap();
        let manifest = json!([{ "Config": "config.json", "RepoTags": [BARE], "Layers": layers }]);
        fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
        run(Command::new("tar").arg("-C").arg(&directory).arg("-cf").arg(self.path("bare.tar")).arg("."));
        self.daemon.load(&self.path("bare.tar")).unwrap();
    }

    /// Makes the image without layers, which is not among the others.
    pub(crate) fn make_empty(&self) {
        let context = self.path("empty");
        fs::create_dir(&context).unwrap();
        fs::write(context.join("Dockerfile"), "FROM scratch\nCMD [\"x\"]\n").unwrap();
        run(self.daemon.docker().args(["build", "--quiet", "--tag", EMPTY]).arg(context));
    }

    /// `longshore`, with a store that has nothing of these images.
    pub(crate) fn longshore(&self) -> Command {
        let mut command = longshore(self.scratch.path());
        command.env("LONGSHORE_ROOT", self.path("store"));
        command
    }

    /// Saves images of the data root.
    pub(crate) fn save(&self, names: &[&str], options: &[&str], file: &Path) -> Result<String, String> {
        let mut command = self.longshore();
        command.args(["save", "--progress=quiet", "--from"]).arg(format!("docker-graph:{}", self.root().display()));
        attempt(command.args(options).arg("-o").arg(file).args(names))
    }

    /// Fails unless these are the images that Docker said they are.
    pub(crate) fn assert_loaded(&self, inspect: impl Fn(&str) -> Value) {
        for (name, known) in &self.known {
            assert_eq!(Known::of(&inspect(name)), *known, "{name}");
        }
    }
}

impl Known {
    /// Of what `inspect` of docker or podman says.
    pub(crate) fn of(inspected: &Value) -> Self {
        let id = text(&inspected["Id"]);
        let layers = inspected["RootFS"]["Layers"].as_array().unwrap().iter().map(text).collect();
        Self { id: format!("sha256:{}", id.trim_start_matches("sha256:")), layers }
    }

    /// Of what skopeo reads.
    pub(crate) fn read_by_skopeo(image: &str) -> Self {
        let mut command = skopeo("inspect");
        let config = run(command.args(["--tls-verify=false", "--config", "--raw", image]));
        let parsed: Value = serde_json::from_str(&config).unwrap();
        let layers = parsed["rootfs"]["diff_ids"].as_array().unwrap().iter().map(text).collect();
        Self { id: Digest::of(config.as_bytes()).to_string(), layers }
    }
}

/// A file of a tar archive.
pub(crate) fn file_in(archive: &Path, name: &str) -> String {
    run(Command::new("tar").arg("-xOf").arg(archive).arg(name))
}

/// The images of a tarball for Docker: image ID and tags.
pub(crate) fn listed_in(archive: &Path) -> Vec<(String, Vec<String>)> {
    let manifest: Value = serde_json::from_str(&file_in(archive, "manifest.json")).unwrap();
    let image = |item: &Value| {
        let config = text(&item["Config"]);
        let hex = config.rsplit('/').next().unwrap().trim_end_matches(".json");
        let tags = item["RepoTags"].as_array().into_iter().flatten().map(text).collect();
        (format!("sha256:{hex}"), tags)
    };
    manifest.as_array().unwrap().iter().map(image).collect()
}
