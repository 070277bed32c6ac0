//! A dockerd of the test's own, and the command `docker`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::command::{attempt, run};
use super::containerd::Containerd;
use super::peers::{Peer, missing};
use super::tree::Tree;
use crate::today;
use crate::today::docker::{Docker, ImageStore};

/// Whether one starts here, tried once.
pub(crate) fn starts() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(|| Dockerd::start().map(drop)).clone()
}

/// Where a daemon keeps its data, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct DataRoot {
    directory: TempDir,
    is_mounted: bool,
}

impl DataRoot {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), is_mounted: false }
    }

    /// A daemon with overlay2, on a file system of its own where that of the tests cannot have it; nothing, which
    /// is said, where that fails too.
    pub(crate) fn with_overlay2() -> Option<(Dockerd, Self)> {
        let mut root = Self::new();
        let mut started = Dockerd::on(&root, "overlay2");
        if started.is_err() {
            started = root.mount_tmpfs().and_then(|()| Dockerd::on(&root, "overlay2"));
        }
        match started {
            Ok(daemon) => Some((daemon, root)),
            Err(reason) => {
                missing(&format!("dockerd does not start with overlay2: {reason}"));
                None
            }
        }
    }

    fn mount_tmpfs(&mut self) -> Result<(), String> {
        let mounted = mount("tmpfs", self.directory.path(), "tmpfs", MountFlags::empty(), None);
        mounted.map_err(|errno| format!("cannot mount a tmpfs: {errno}"))?;
        self.is_mounted = true;
        Ok(())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("root")
    }
}

impl Drop for DataRoot {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = unmount(self.directory.path(), UnmountFlags::DETACH);
        }
    }
}

/// A daemon that ends when this is dropped.
#[derive(Debug)]
pub(crate) enum Dockerd {
    Debian12(Process),
    Today(Docker),
}

/// The daemon of Debian 12.
#[derive(Debug)]
pub(crate) struct Process {
    process: Child,
    /// Its socket: the path must be short.
    state: TempDir,
    _containerd: Containerd,
    _data: Option<DataRoot>,
}

impl Dockerd {
    /// Starts it with the driver that needs nothing of the file system, or says why it ended.
    pub(crate) fn start() -> Result<Self, String> {
        let data = DataRoot::new();
        let mut process = Process::on(&data, "vfs")?;
        process._data = Some(data);
        Ok(Self::Debian12(process))
    }

    /// The same of this peer.
    pub(crate) fn start_of(peer: &Peer) -> Result<Self, String> {
        if !peer.generation.is_today() {
            return Self::start();
        }
        Ok(Self::Today(Docker::start(today::root().unwrap(), peer.image_store())))
    }

    /// Starts it with this data root and storage driver, or says why it ended.
    pub(crate) fn on(data: &DataRoot, driver: &str) -> Result<Self, String> {
        Process::on(data, driver).map(Self::Debian12)
    }

    /// `docker`, which talks to this daemon.
    pub(crate) fn docker(&self) -> Command {
        match self {
            Self::Debian12(process) => process.docker(),
            Self::Today(docker) => docker.command(),
        }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Debian12(process) => process.host(),
            Self::Today(docker) => docker.host(),
        }
    }

    /// Whether the ID of an image is the digest of its manifest or index.
    pub(crate) fn has_manifests(&self) -> bool {
        matches!(self, Self::Today(docker) if docker.images() == ImageStore::Containerd)
    }

    pub(crate) fn load(&self, archive: &Path) -> Result<(), String> {
        attempt(self.docker().args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    /// The ID of an image.
    pub(crate) fn id(&self, image: &str) -> String {
        self.inspect(image)["Id"].as_str().unwrap().to_owned()
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
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let archive = directory.path().join("container.tar");
        run(self.docker().args(["create", "--name", "unpacked", image, "command"]));
        run(self.docker().args(["export", "--output"]).arg(&archive).arg("unpacked"));
        run(self.docker().args(["rm", "unpacked"]));
        run(Command::new("tar").arg("-C").arg(directory.path()).arg("-xf").arg(&archive).arg("tree"));
        fs::remove_file(archive).unwrap();
        compare(Tree::read(directory.path()))
    }

    /// Ends it, if it runs.
    pub(crate) fn stop(&mut self) {
        if let Self::Debian12(process) = self {
            process.stop();
        }
    }

    /// Removes all images.
    pub(crate) fn clear(&self) {
        run(self.docker().args(["image", "prune", "--all", "--force"]));
    }
}

impl Process {
    fn on(data: &DataRoot, driver: &str) -> Result<Self, String> {
        let containerd = Containerd::start();
        let state = tempfile::tempdir().unwrap();
        let log = File::create(state.path().join("log")).unwrap();
        let mut command = Command::new("dockerd");
        command.arg("--containerd").arg(containerd.socket()).arg("--data-root").arg(data.path());
        for (option, file) in [("--exec-root", "exec"), ("--pidfile", "pid"), ("--config-file", "config.json")] {
            command.arg(option).arg(state.path().join(file));
        }
        fs::write(state.path().join("config.json"), "{}").unwrap();
        // Nothing of the network or the file system of the machine.
        command
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .arg(format!("--storage-driver={driver}"));
        command.arg(format!("--host=unix://{}", state.path().join("socket").display()));
        command.env("TZ", "UTC").stdout(log.try_clone().unwrap()).stderr(log);
        let mut daemon = Self { process: command.spawn().unwrap(), state, _containerd: containerd, _data: None };
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

    fn host(&self) -> String {
        format!("unix://{}", self.state.path().join("socket").display())
    }

    /// `docker`, which talks to this daemon.
    fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg(format!("--host={}", self.host()));
        // The builder of this daemon's time, which needs no runtime to copy files.
        command.env("DOCKER_CONFIG", self.state.path()).env("DOCKER_BUILDKIT", "0");
        command
    }

    /// Ends it, if it runs.
    fn stop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
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

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
