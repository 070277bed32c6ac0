//! The readers: are they here, and in which version.

use std::io::{self, Write};
use std::process::Command;

use super::dockerd;
use crate::today::{self, docker::ImageStore};

/// A program of another project.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What is asked for its version.
    program: &'static str,
    pub(crate) generation: Generation,
    needs_root: bool,
    /// Tried once, where it may be unable to start in a place.
    start: fn() -> Result<(), String>,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Debian 12, on this machine.
    Debian12,
    /// The package of Debian's testing suite that has it.
    Today(&'static str),
}

impl Generation {
    pub(crate) fn is_today(self) -> bool {
        self != Self::Debian12
    }

    /// A program of this generation.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Debian12 => Command::new(program),
            Self::Today(_) => today::command(today::root().unwrap(), program),
        }
    }
}

impl Peer {
    const fn new(name: &'static str) -> Self {
        Self { name, program: name, generation: Generation::Debian12, needs_root: false, start: || Ok(()) }
    }

    const fn root(name: &'static str, program: &'static str) -> Self {
        Self { program, needs_root: true, ..Self::new(name) }
    }

    const fn today(name: &'static str, program: &'static str, package: &'static str) -> Self {
        Self { program, generation: Generation::Today(package), ..Self::new(name) }
    }

    pub(crate) fn command(&self) -> Command {
        self.generation.command(self.program)
    }
}

pub(crate) static SKOPEO: Peer = Peer::new("skopeo");
pub(crate) static UMOCI: Peer = Peer::root("umoci", "umoci");
pub(crate) static CONTAINERD: Peer = Peer::root("containerd", "containerd");
pub(crate) static CTR: Peer = Peer::root("ctr", "ctr");
pub(crate) static OCI_IMAGE_TOOL: Peer = Peer::new("oci-image-tool");
pub(crate) static PODMAN: Peer = Peer::root("podman", "podman");
pub(crate) static DOCKER: Peer = Peer::new("docker");
pub(crate) static DOCKERD: Peer = Peer { start: dockerd::starts, ..Peer::root("dockerd", "dockerd") };
/// For tests that start it with a driver of their own choice.
pub(crate) static ANY_DOCKERD: Peer = Peer::root("dockerd", "dockerd");
pub(crate) static GZIP: Peer = Peer::new("gzip");
pub(crate) static ZSTD: Peer = Peer::new("zstd");
pub(crate) static TAR: Peer = Peer::new("tar");
pub(crate) static SCRIPT: Peer = Peer::new("script");
pub(crate) static DOCKER_REGISTRY: Peer = Peer::new("docker-registry");

pub(crate) static SKOPEO_TODAY: Peer = Peer::today("skopeo", "skopeo", "skopeo");
pub(crate) static UMOCI_TODAY: Peer = Peer::today("umoci", "umoci", "umoci");
pub(crate) static CONTAINERD_TODAY: Peer = Peer::today("containerd", "containerd", "containerd");
pub(crate) static PODMAN_TODAY: Peer = Peer::today("podman", "podman", "podman");
pub(crate) static CRANE_TODAY: Peer = Peer::today("crane", "crane", "crane");
pub(crate) static ORAS_TODAY: Peer = Peer::today("oras", "oras", "oras");
/// With overlay2.
pub(crate) static DOCKERD_TODAY: Peer = Peer::today("dockerd", "dockerd", "docker.io");
/// With containerd's image store.
pub(crate) static DOCKERD_CONTAINERD_TODAY: Peer = Peer::today("dockerd, containerd store", "dockerd", "docker.io");

impl Peer {
    /// Its version, as numbers only; nothing where it is not installed.
    pub(crate) fn version(&self) -> Option<String> {
        let mut command = match self.generation {
            Generation::Debian12 => Command::new(self.program),
            // Not every program says it.
            Generation::Today(_) => today::command(today::root()?, "dpkg-query"),
        };
        match self.generation {
            Generation::Debian12 => command.arg("--version"),
            Generation::Today(package) => command.args(["--show", "--showformat=${Version}", package]),
        };
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().find_map(number)
    }

    /// What keeps the images of this dockerd.
    pub(crate) fn image_store(&self) -> ImageStore {
        if self.name.contains("containerd") { ImageStore::Containerd } else { ImageStore::Overlay2 }
    }

    /// Whether it can be asked. Where it cannot, the reason is said, and it is a failure if peers are required.
    pub(crate) fn is_ready(&self) -> bool {
        if self.generation.is_today() {
            let is_installed = today::root().is_some();
            assert!(!is_installed || self.version().is_some(), "{} is not in the root of today's peers", self.name);
            return is_installed;
        }
        if self.version().is_none() {
            return missing(&format!("{} is not installed", self.name));
        }
        if self.needs_root && !is_root() {
            return missing(&format!("{} needs root", self.name));
        }
        if let Err(reason) = (self.start)() {
            return missing(&format!("{} does not start: {reason}", self.name));
        }
        true
    }
}

/// The digits and dots that `word` begins with, if it is a version.
fn number(word: &str) -> Option<String> {
    let word = word.trim_start_matches('v');
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number = word[..end].trim_end_matches('.');
    number.contains('.').then(|| number.to_owned())
}

/// Says that something is skipped and why, past the harness, which hides the output of tests that pass.
///
/// # Panics
/// Where peers are required.
pub(crate) fn missing(what: &str) -> bool {
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{what}");
    let _ = writeln!(io::stderr(), "skipped: {what}");
    false
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
