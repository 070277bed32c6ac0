//! Where the command runs: with a home of its own, and with nothing of who runs the tests.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use longshore_core::oci::Digest;
use longshore_testkit::registry::{Recorded, Registry};
use longshore_testkit::sample::Random;
use serde_json::Value;
use tempfile::TempDir;

use crate::run::{Ran, Workdir};

/// Settings that come from elsewhere than the home.
const VARIABLES: [&str; 5] =
    ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "LONGSHORE_ROOT"];

pub(crate) struct Machine {
    pub(crate) work: Workdir,
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Machine {
    /// With the directories `tree`, `amd`, `arm` and `etc`.
    pub(crate) fn new() -> Self {
        let work = Workdir::new();
        for (seed, name) in [(1, "tree"), (2, "amd"), (3, "arm"), (4, "etc")] {
            let mut random = Random::new(seed);
            work.write(&format!("{name}/bin/{name}"), random.bytes(300_000));
            work.write(&format!("{name}/share/text"), random.text(10_000));
            for path in ["bin", "share/text", "share", ""] {
                let file = File::open(work.path(name).join(path)).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
            }
            let program = File::open(work.path(name).join("bin").join(name)).unwrap();
            program.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seed)).unwrap();
        }
        Self { work, home: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Sets a variable for all further runs.
    pub(crate) fn set(&mut self, variable: &'static str, value: impl Into<String>) {
        self.variables.push((variable, value.into()));
    }

    /// Writes a file below the home, and answers its directory.
    pub(crate) fn configure(&self, relative: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.home().join(relative);
        let directory = path.parent().unwrap();
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(&path, content).unwrap();
        directory.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.work.command(arguments);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.env("HOME", self.home()).env("LONGSHORE_ROOT", self.work.store());
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "longshore {}\n{}", arguments.join(" "), ran.stderr);
        ran
    }

    /// Runs the command, which must fail with this code and say all of this.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, said: &[&str]) -> Ran {
        let ran = self.run(arguments);
        let is_said = said.iter().all(|text| ran.stderr.contains(text));
        assert!(ran.code == Some(code) && is_said, "{:?}, expected {code} and {said:?}\n{}", ran.code, ran.stderr);
        ran
    }

    /// Exports, and answers what `--metadata-file` says, too.
    pub(crate) fn export(&self, arguments: &[&str]) -> (Ran, Value) {
        let more = ["export", "--progress=plain", "--metadata-file", "metadata.json"];
        let ran = self.ok(&[&more, arguments].concat());
        (ran, serde_json::from_slice(&self.work.read("metadata.json")).unwrap())
    }

    /// Exports, and answers the digest that all outputs agree on.
    pub(crate) fn export_one(&self, arguments: &[&str]) -> (Ran, Digest) {
        let (ran, metadata) = self.export(arguments);
        let digest = metadata["containerimage.digest"].as_str();
        (ran, digest.unwrap_or_else(|| panic!("not one digest: {metadata:#}")).parse().unwrap())
    }
}

/// An image that a registry of the test kit holds: its manifest, or the index of several.
pub(crate) fn digest_of(registry: &Registry, repository: &str, tag: &str) -> Option<Digest> {
    registry.manifest(repository, tag).map(|(_, bytes)| Digest::of(&bytes))
}

/// The manifest of a registry of the test kit.
pub(crate) fn document(registry: &Registry, repository: &str, reference: &str) -> Value {
    let (_, bytes) = registry.manifest(repository, reference).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The digest of each layer.
pub(crate) fn layers(manifest: &Value) -> Vec<Digest> {
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["digest"].as_str().unwrap().parse().unwrap()).collect()
}

/// Requests that brought a part of a blob or all of it, whatever was answered.
pub(crate) fn uploads(requests: &[Recorded]) -> Vec<&Recorded> {
    let is_upload = |request: &&Recorded| {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        path.contains("/blobs/uploads/") && matches!(method, "PUT" | "PATCH")
    };
    requests.iter().filter(is_upload).collect()
}

/// Requests of `method` whose path ends with `/KIND/LAST`.
pub(crate) fn asked(registry: &Registry, method: &str, end: &str) -> usize {
    registry.requests().iter().filter(|request| request.method == method && request.path.ends_with(end)).count()
}

/// Manifests that were put, by what they were put under.
pub(crate) fn puts(registry: &Registry) -> Vec<String> {
    let requests = registry.requests();
    let puts = requests.iter().filter(|request| request.method == "PUT" && request.status == 201);
    puts.filter_map(|request| Some(request.path.rsplit_once("/manifests/")?.1.to_owned())).collect()
}

/// The blobs that were mounted, with where from.
pub(crate) fn mounts(registry: &Registry) -> BTreeSet<String> {
    let requests = registry.requests();
    let mounted = requests.iter().filter(|request| request.method == "POST" && request.status == 201);
    mounted.filter(|request| request.query.contains("mount=")).map(|request| request.query.clone()).collect()
}
