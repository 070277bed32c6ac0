//! podman, with a storage of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::command::{attempt, run};
use super::peers::{PODMAN, Peer};

/// Images of podman, which go when this is dropped.
#[derive(Debug)]
pub(crate) struct Podman(TempDir, &'static Peer);

impl Podman {
    pub(crate) fn new() -> Self {
        Self::of(&PODMAN)
    }

    pub(crate) fn of(peer: &'static Peer) -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), peer)
    }

    /// podman with the driver that needs nothing of the file system.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.1.command();
        for option in ["root", "runroot", "tmpdir", "network-config-dir"] {
            command.arg(format!("--{option}")).arg(self.0.path().join(option));
        }
        command.args(["--storage-driver=vfs", "--events-backend=none", "--cgroup-manager=cgroupfs"]);
        command
    }

    /// The command that serves these images at an address.
    pub(crate) fn service(&self, host: &str) -> Command {
        let mut command = self.command();
        command.args(["system", "service", "--time=0", host]);
        command
    }

    pub(crate) fn load(&self, archive: &Path) -> Result<(), String> {
        attempt(self.command().args(["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    /// Takes one image of `transport:path:reference`, and returns its ID.
    pub(crate) fn pull(&self, image: &str) -> Result<String, String> {
        attempt(self.command().args(["pull", "--quiet", image])).map(|id| id.trim_end().to_owned())
    }

    pub(crate) fn save(&self, format: &str, names: &[&str], file: &Path) {
        let mut command = self.command();
        command.args(["save", "--quiet", "--format", format, "--output"]).arg(file);
        // Without it a second name is another tag of the first image.
        if names.len() > 1 {
            command.arg("--multi-image-archive");
        }
        run(command.args(names));
    }

    pub(crate) fn inspect(&self, image: &str) -> Value {
        let inspected: Value = serde_json::from_str(&run(self.command().args(["image", "inspect", image]))).unwrap();
        inspected[0].clone()
    }

    /// The directory that an image is unpacked to.
    pub(crate) fn unpacked(&self, image: &str) -> PathBuf {
        run(self.command().args(["image", "mount", image])).trim_end().into()
    }

    /// Removes all images.
    pub(crate) fn clear(&self) {
        run(self.command().args(["image", "unmount", "--all"]));
        run(self.command().args(["rmi", "--all", "--force"]));
    }
}
