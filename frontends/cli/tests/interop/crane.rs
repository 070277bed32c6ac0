//! What crane of today is asked, and what must come of it.

use super::check::Verdict;
use super::command::attempt;
use super::peers::Peer;
use super::seeded::{Artifact, Contents, Form, Seeded};
use crate::docker_registry::DockerRegistry;

const SEVERAL: &str = "tarball must contain only a single image";

/// It sends the root of a layout, and all below it, to a registry, which checks digests.
pub(crate) fn crane_directory(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    let registry = DockerRegistry::start().unwrap();
    seeded.ask(Form::Directory, |artifact| {
        let (repository, tag) = (artifact.path.file_name().unwrap().to_str().unwrap(), "pushed");
        let name = format!("{}/{repository}:{tag}", registry.host());
        let pushed = attempt(peer.command().arg("push").arg(&artifact.path).arg(name)).map(|_| {
            let digest = registry.tag(repository, tag).unwrap();
            assert_eq!(digest.to_string(), artifact.images[0].digest, "{repository}");
        });
        let several = artifact.contents == Contents::ThreeImages;
        artifact.verdict(pushed, several.then_some("layout contains 3 entries, consider --index"))
    })
}

pub(crate) fn crane_archive(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    seeded.ask(Form::Archive, |artifact| validates(peer, artifact, Some("file manifest.json not found in tar")))
}

pub(crate) fn crane_docker_tar(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    seeded.ask(Form::DockerTar, |artifact| match (artifact.contents, artifact.compression) {
        (Contents::ThreeImages, _) => validates(peer, artifact, Some(SEVERAL)),
        (_, "zstd") => validates(peer, artifact, Some("gzip: invalid header")),
        _ => validates(peer, artifact, None),
    })
}

pub(crate) fn crane_legacy(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    seeded.ask_legacy(|artifact| {
        validates(peer, artifact, (artifact.contents == Contents::ThreeImages).then_some(SEVERAL))
    })
}

fn validates(peer: &Peer, artifact: &Artifact<'_>, known: Option<&'static str>) -> Verdict {
    let validated = attempt(peer.command().args(["validate", "--tarball"]).arg(&artifact.path));
    artifact.verdict(validated.map(drop), known)
}
