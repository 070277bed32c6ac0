//! What oras of today is asked, and what must come of it.

use std::collections::BTreeSet;

use super::check::Verdict::{self, Reads};
use super::command::run;
use super::image::{blob, referenced};
use super::peers::Peer;
use super::readers::assert_same;
use super::seeded::{Artifact, Form, Seeded};

pub(crate) fn oras_directory(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    seeded.ask(Form::Directory, |artifact| copies(peer, artifact))
}

pub(crate) fn oras_archive(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    seeded.ask(Form::Archive, |artifact| copies(peer, artifact))
}

/// It is an archive of a layout, too.
pub(crate) fn oras_docker_tar(seeded: &Seeded, peer: &'static Peer) -> [[Verdict; 3]; 3] {
    seeded.ask(Form::DockerTar, |artifact| copies(peer, artifact))
}

/// It copies every blob of every platform as it is.
fn copies(peer: &Peer, artifact: &Artifact<'_>) -> Verdict {
    for image in &artifact.images {
        let copied = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |path: &std::path::Path| format!("{}:{}", path.display(), image.tag());
        let mut command = peer.command();
        command.args(["copy", "--no-tty", "--from-oci-layout", &at(&artifact.path)]);
        run(command.args(["--to-oci-layout", &at(copied.path())]));
        let digests: BTreeSet<String> = referenced(&artifact.layout, &image.digest).into_iter().collect();
        for digest in digests.iter().chain([&image.digest]) {
            assert_same(&blob(&artifact.layout, digest), &blob(copied.path(), digest));
        }
    }
    Reads
}
