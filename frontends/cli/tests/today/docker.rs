//! Docker of today, with either of its image stores.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon::Daemon;

/// What keeps Docker's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStore {
    /// containerd's content store: the default of new installations.
    Containerd,
    /// A graph driver: what Docker had before, and keeps where it was updated.
    Overlay2,
}

/// A dockerd of the test's own.
#[derive(Debug)]
pub struct Docker {
    daemon: Daemon,
    images: ImageStore,
}

/// Runs a command with its data on a file system of its own, which every kernel can put an overlay on.
const ON_TMPFS: [&str; 3] = ["-euc", r#"mkdir "$1/data"; mount -t tmpfs tmpfs "$1/data"; shift; exec "$@""#, "sh"];

impl Docker {
    /// One for all tests of this process; nothing, which is said, where it is not installed.
    pub fn shared(images: ImageStore) -> Option<&'static Self> {
        static SHARED: [OnceLock<Docker>; 2] = [const { OnceLock::new() }; 2];
        let root = super::root()?;
        Some(SHARED[images as usize].get_or_init(|| Self::start(root, images)))
    }

    /// # Panics
    /// When it does not answer: it is installed, so it must.
    pub fn start(root: &Path, images: ImageStore) -> Self {
        Self::start_with(root, images, &[])
    }

    /// As [`start`](Self::start), with more options.
    pub fn start_with(root: &Path, images: ImageStore, options: &[String]) -> Self {
        let start = |state: &Path| {
            let mut command = dockerd(root, state, images);
            command.args(options);
            command
        };
        let docker = Self { daemon: Daemon::start(start), images };
        let until = Instant::now() + Duration::from_secs(60);
        while !docker.command().arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success() {
            assert!(Instant::now() < until, "dockerd does not answer:\n{}", docker.daemon.log());
            sleep(Duration::from_millis(100));
        }
        docker
    }

    pub fn images(&self) -> ImageStore {
        self.images
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.daemon.state().join("socket").display())
    }

    /// `docker`, which talks to this daemon.
    pub fn command(&self) -> Command {
        let mut command = super::command(super::root().unwrap(), "docker");
        command.arg(format!("--host={}", self.host()));
        command.env("DOCKER_CONFIG", self.daemon.state().join("client"));
        command
    }
}

fn dockerd(root: &Path, state: &Path, images: ImageStore) -> Command {
    let config = format!(r#"{{"features": {{"containerd-snapshotter": {}}}}}"#, images == ImageStore::Containerd);
    std::fs::write(state.join("config.json"), config).unwrap();
    let mut command = super::command(root, "sh");
    command.args(ON_TMPFS).arg(state).arg("dockerd");
    for (option, file) in
        [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid"), ("--config-file", "config.json")]
    {
        command.arg(option).arg(state.join(file));
    }
    // Nothing of the network of the machine.
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
    command.arg(format!("--host=unix://{}", state.join("socket").display())).env("TZ", "UTC");
    command
}
