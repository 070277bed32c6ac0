//! `docker buildx build`, with the `BuildKit` that is in dockerd.

use std::path::PathBuf;
use std::process::Command;

use super::case::{Case, EPOCH};
use super::layout::Layout;
use crate::run::Workdir;
use crate::today::docker::{Docker, ImageStore};

/// The `BuildKit` of all tests of this process.
#[derive(Debug, Clone, Copy)]
pub struct BuildKit(&'static Docker);

impl BuildKit {
    /// Nothing, which is said, where there is none. Only the one beside containerd's image store writes OCI layouts.
    pub fn ready() -> Option<Self> {
        Docker::shared(ImageStore::Containerd).map(Self)
    }

    /// What buildx shows of an image in a registry, by a Go template.
    pub fn inspect(self, name: &str, template: &str) -> String {
        let mut command = self.0.command();
        succeeds(command.args(["buildx", "imagetools", "inspect", name, "--format", template]))
    }

    /// The archive that it wrote.
    pub fn build(self, case: &Case, work: &Workdir) -> PathBuf {
        let archive = work.path("theirs.tar");
        let mut command = self.0.command();
        command.args(["buildx", "build", "--progress=plain", "--sbom=false"]);
        // The client of another machine: of the same, a context is sent as what differs from the one before, and directories
        // keep the times of that transfer.
        command.env("DOCKER_CONFIG", work.path("client"));
        // By default it attests what it did.
        if !case.builder.iter().any(|argument| argument.starts_with("--provenance")) {
            command.arg("--provenance=false");
        }
        command.arg("--build-arg").arg(format!("SOURCE_DATE_EPOCH={EPOCH}"));
        if !case.platforms.is_empty() {
            command.arg(format!("--platform={}", case.platforms.join(",")));
        }
        if case.base.is_some() {
            let layout = work.path("base");
            let digest = Layout::at(&layout).root()["digest"].as_str().unwrap().to_owned();
            command.arg(format!("--build-context=base=oci-layout://{}@{digest}", layout.display()));
        }
        command.arg("--output").arg(case.output_to(&archive)).args(case.builder).arg(work.path("context"));
        succeeds(&mut command);
        archive
    }
}

/// Runs a command that must succeed.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
