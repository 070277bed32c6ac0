//! A dockerd of the test's own, and the command `docker`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::command::{attempt, run};
use super::containerd::Containerd;
use super::tree::Tree;

/// Whether one starts here, tried once.
pub(crate) fn starts() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| Dockerd::start().map(drop)).clone()
}

/// A daemon that ends, and whose files go, when this is dropped.
#[derive(Debug)]
pub(crate) struct Dockerd {
    process: Child,
    /// Its socket: the path must be short.
    state: TempDir,
    data: TempDir,
    _containerd: Containerd,
}

impl Dockerd {
    /// Starts it, or says why it ended.
    pub(crate) fn start() -> Result<Self, String> {
        let containerd = Containerd::start();
        let state = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = File::create(state.path().join("log")).unwrap();
        let mut command = Command::new("dockerd");
        command.arg("--containerd").arg(containerd.socket()).arg("--data-root").arg(data.path().join("root"));
        for (option, file) in [("--exec-root", "exec"), ("--pidfile", "pid"), ("--config-file", "config.json")] {
            command.arg(option).arg(state.path().join(file));
        }
        fs::write(state.path().join("config.json"), "{}").unwrap();
        // Nothing of the network or the file system of the machine.
        command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]);
        command.arg(format!("--host=unix://{}", state.path().join("socket").display()));
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut daemon = Self { process, state, data, _containerd: containerd };
        daemon.wait().map(|()| daemon)
    }

    /// Waits until it answers.
    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(30);
        while attempt(self.docker().arg("version")).is_err() {
            if self.process.try_wait().unwrap().is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.state.path().join("log")).unwrap();
                return Err(log.lines().last().unwrap_or_default().to_owned());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg(format!("--host=unix://{}", self.state.path().join("socket").display()));
        command.env("DOCKER_CONFIG", self.state.path());
        command
    }

    pub(crate) fn load(&self, archive: &Path) -> Result<(), String> {
        attempt(self.docker().args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    pub(crate) fn save(&self, names: &[&str], file: &Path) {
        run(self.docker().args(["save", "--output"]).arg(file).args(names));
    }

    pub(crate) fn inspect(&self, image: &str) -> Value {
        let inspected: Value = serde_json::from_str(&run(self.docker().args(["image", "inspect", image]))).unwrap();
        inspected[0].clone()
    }

    /// The directory `tree` of an image.
    pub(crate) fn tree<T>(&self, image: &str, compare: impl FnOnce(Tree) -> T) -> T {
        let directory = tempfile::tempdir_in(self.data.path()).unwrap();
        let archive = directory.path().join("container.tar");
        run(self.docker().args(["create", "--name", "unpacked", image, "command"]));
        run(self.docker().args(["export", "--output"]).arg(&archive).arg("unpacked"));
        run(self.docker().args(["rm", "unpacked"]));
        run(Command::new("tar").arg("-C").arg(directory.path()).arg("-xf").arg(&archive).arg("tree"));
        fs::remove_file(archive).unwrap();
        compare(Tree::read(directory.path()))
    }

    /// Removes all images.
    pub(crate) fn clear(&self) {
        run(self.docker().args(["image", "prune", "--all", "--force"]));
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // Asked, it unmounts what it has mounted.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let until = Instant::now() + Duration::from_secs(15);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < until {
            sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
