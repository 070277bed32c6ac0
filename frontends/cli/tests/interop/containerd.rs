//! A containerd of the test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::command::{attempt, run};
use super::peers::Generation;

/// The snapshotter that needs nothing of the file system: every snapshot is a whole directory.
const SNAPSHOTTER: [&str; 2] = ["--snapshotter", "native"];

/// A daemon that ends, and whose files go, when this is dropped.
#[derive(Debug)]
pub(crate) struct Containerd {
    process: Child,
    generation: Generation,
    /// Its sockets: their paths must be short.
    state: TempDir,
    _root: TempDir,
}

impl Containerd {
    pub(crate) fn start() -> Self {
        Self::start_of(Generation::Debian12)
    }

    pub(crate) fn start_of(generation: Generation) -> Self {
        let state = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let config = state.path().join("config.toml");
        fs::write(&config, configuration(state.path(), root.path())).unwrap();
        let log = File::create(state.path().join("log")).unwrap();
        let mut command = generation.command("containerd");
        command.arg("--config").arg(&config).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        let mut daemon = Self { process, generation, state, _root: root };
        daemon.wait();
        daemon
    }

    /// Waits until it answers.
    fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        while let Err(stderr) = attempt(self.ctr("default").arg("version")) {
            let ended = self.process.try_wait().unwrap();
            if ended.is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.state.path().join("log")).unwrap();
                panic!("containerd does not answer: {stderr}\n{log}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn ctr(&self, namespace: &str) -> Command {
        let mut command = self.generation.command("ctr");
        command.arg("--address").arg(self.socket()).args(["--namespace", namespace]);
        command
    }

    /// Imports an archive, with all of its platforms, and unpacks what this machine can run.
    pub(crate) fn import(&self, namespace: &str, archive: &Path) -> Result<String, String> {
        let mut command = self.ctr(namespace);
        command.args(["images", "import", "--all-platforms"]).args(SNAPSHOTTER);
        if self.generation.is_today() {
            // The daemon, which would do it otherwise, unpacks with the snapshotter of its configuration alone.
            command.arg("--local");
        }
        attempt(command.arg(archive))
    }

    /// Exports images of these names.
    pub(crate) fn export(&self, namespace: &str, options: &[&str], names: &[&str], archive: &Path) {
        let mut command = self.ctr(namespace);
        command.args(["images", "export"]).args(options);
        if self.generation.is_today() {
            // What the daemon streams otherwise ends early at times, with exit code 0.
            command.arg("--local");
        }
        run(command.arg(archive).args(names));
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.state.path().join("socket")
    }

    /// The digest of the image `name`.
    pub(crate) fn digest(&self, namespace: &str, name: &str) -> String {
        let list = run(self.ctr(namespace).args(["images", "ls"]));
        let rows = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let digest = rows.filter(|row| row.first() == Some(&name)).map(|row| row[2].to_owned()).next();
        digest.unwrap_or_else(|| panic!("there is no {name} in\n{list}"))
    }

    /// The directories that the layers of the only image were unpacked to: the lower one, and both.
    pub(crate) fn unpacked(&self, namespace: &str) -> [PathBuf; 2] {
        let list = run(self.snapshots(namespace).arg("ls"));
        let rows = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let committed: Vec<_> = rows.filter(|row| row.last() == Some(&"Committed")).collect();
        // The lower layer has no parent, so its row has one word less.
        [2, 3].map(|words| {
            let row = committed.iter().find(|row| row.len() == words);
            self.directory(namespace, row.unwrap_or_else(|| panic!("not two layers:\n{list}"))[0])
        })
    }

    /// The directory of a snapshot.
    pub(crate) fn directory(&self, namespace: &str, snapshot: &str) -> PathBuf {
        let view = format!("view-{snapshot}");
        // One command: as nothing refers to the view, it may be collected at once. What it shows may not.
        let mount = run(self.snapshots(namespace).args(["view", "--target", "/TARGET", &view, snapshot]));
        let source = mount.strip_prefix("mount -t bind ").and_then(|rest| rest.split_once(" /TARGET "));
        PathBuf::from(source.unwrap_or_else(|| panic!("not a bind mount: {mount}")).0)
    }

    fn snapshots(&self, namespace: &str) -> Command {
        let mut command = self.ctr(namespace);
        command.arg("snapshots").args(SNAPSHOTTER);
        command
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(state: &Path, root: &Path) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "{state}/state"
# Neither Kubernetes nor a directory in /opt.
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{state}/socket"
[ttrpc]
address = "{state}/ttrpc"
"#,
        root = root.display(),
        state = state.display(),
    )
}
