//! What each reader of small images is asked, and what must come of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use longshore_core::oci::Digest;
use serde_json::{Value, json};

use super::check::Verdict::{self, Adds, Reads};
use super::command::{attempt, run, skopeo_of};
use super::containerd::Containerd;
use super::dockerd::Dockerd;
use super::image::{Image, blob, read_json, referenced, text};
use super::peers::Peer;
use super::podman::Podman;
use super::readers::{assert_same, assert_same_tree};
use super::seeded::{Artifact, Contents, Form, Seeded};
use super::tree::Tree;

/// What a reader makes of each contents in each compression.
type Verdicts = [[Verdict; 3]; 3];

pub(crate) fn skopeo_directory(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::Directory, |artifact| skopeo_copies(peer, artifact, "oci"))
}

pub(crate) fn skopeo_archive(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::Archive, |artifact| skopeo_copies(peer, artifact, "oci-archive"))
}

/// It copies every blob of every platform as it is.
fn skopeo_copies(peer: &Peer, artifact: &Artifact<'_>, transport: &str) -> Verdict {
    let mut verdict = Reads;
    for image in &artifact.images {
        let copied = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = format!("{transport}:{}:{}", artifact.path.display(), image.tag());
        run(skopeo_of(peer, "copy")
            .args(["--quiet", "--all", &source])
            .arg(format!("dir:{}", copied.path().display())));
        let (root, copy) = (blob(&artifact.layout, &image.digest), copied.path().join("manifest.json"));
        verdict = if marks_zstd(peer, artifact) { without_mark(&root, &copy) } else { Reads };
        if verdict == Reads {
            assert_same(&root, &copy);
        }
        let names = fs::read_dir(copied.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: BTreeSet<String> = names.filter(|name| name != "version" && name != "manifest.json").collect();
        let digests = referenced(&artifact.layout, &image.digest);
        let digests = digests.iter().map(|digest| digest.strip_prefix("sha256:").unwrap().to_owned());
        let found = names.iter().map(|name| name.trim_end_matches(".manifest.json").to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), digests.collect::<BTreeSet<_>>(), "{source}");
        for name in names {
            let digest = format!("sha256:{}", name.trim_end_matches(".manifest.json"));
            assert_same(&blob(&artifact.layout, &digest), &copied.path().join(name));
        }
    }
    verdict
}

/// Says of each manifest of an index that its layers are compressed with zstd, since skopeo 1.14.
fn marks_zstd(peer: &Peer, artifact: &Artifact<'_>) -> bool {
    peer.generation.is_today() && artifact.contents == Contents::TwoPlatforms && artifact.compression == "zstd"
}

const ZSTD_MARK: &str = "io.github.containers.compression.zstd";

/// The copy is the root with nothing but the mark added.
fn without_mark(root: &Path, copy: &Path) -> Verdict {
    let mut copied = read_json(copy);
    for manifest in copied["manifests"].as_array_mut().unwrap() {
        let annotations = manifest["annotations"].as_object_mut().unwrap();
        // Attestations have no layers.
        let is_image = manifest_is_image(annotations);
        assert_eq!(annotations.remove(ZSTD_MARK), is_image.then(|| json!("true")));
    }
    assert_eq!(copied, read_json(root));
    Adds(ZSTD_MARK)
}

fn manifest_is_image(annotations: &serde_json::Map<String, Value>) -> bool {
    !annotations.contains_key("vnd.docker.reference.type")
}

pub(crate) fn skopeo_docker_tar(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::DockerTar, |artifact| skopeo_copies_docker_tar(peer, artifact))
}

pub(crate) fn skopeo_legacy(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    seeded.ask_legacy(|artifact| skopeo_copies_docker_tar(peer, artifact))
}

/// It makes a manifest of its own, and its layers are uncompressed.
fn skopeo_copies_docker_tar(peer: &Peer, artifact: &Artifact<'_>) -> Verdict {
    for image in &artifact.images {
        let copied = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = format!("docker-archive:{}:{}", artifact.path.display(), image.name);
        run(skopeo_of(peer, "copy").args(["--quiet", &source]).arg(format!("dir:{}", copied.path().display())));
        let manifest = read_json(&copied.path().join("manifest.json"));
        let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| text(&layer["digest"]));
        let layers: Vec<String> = layers.collect();
        assert_eq!((&text(&manifest["config"]["digest"]), &layers), (&image.config, &image.diff_ids), "{source}");
        for digest in layers.iter().chain([&image.config]) {
            let bytes = fs::read(copied.path().join(digest.strip_prefix("sha256:").unwrap())).unwrap();
            assert_eq!(Digest::of(&bytes).to_string(), *digest, "{source}");
        }
    }
    Reads
}

pub(crate) fn umoci_directory(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::Directory, |artifact| match (artifact.contents, artifact.compression) {
        (Contents::TwoPlatforms, _) => umoci_unpacks(peer, artifact, Some("tag is ambiguous")),
        (_, "zstd") => umoci_unpacks(peer, artifact, Some("blob is not correct mediatype")),
        _ => umoci_unpacks(peer, artifact, None),
    })
}

pub(crate) fn umoci_archive(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::Archive, |artifact| umoci_unpacks(peer, artifact, Some("not a directory")))
}

pub(crate) fn umoci_docker_tar(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    seeded.ask(Form::DockerTar, |artifact| umoci_unpacks(peer, artifact, Some("not a directory")))
}

fn umoci_unpacks(peer: &Peer, artifact: &Artifact<'_>, known: Option<&'static str>) -> Verdict {
    let outcome = artifact.images.iter().try_for_each(|image| {
        let bundle = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = format!("{}:{}", artifact.path.display(), image.tag());
        attempt(peer.command().args(["unpack", "--image", &source]).arg(bundle.path()))?;
        artifact.assert_tree(image, Tree::read(&bundle.path().join("rootfs")));
        Ok(())
    });
    artifact.verdict(outcome, known)
}

pub(crate) fn containerd_directory(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    containerd_imports(seeded, peer, Form::Directory, Some("is a directory"))
}

pub(crate) fn containerd_archive(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    containerd_imports(seeded, peer, Form::Archive, None)
}

pub(crate) fn containerd_docker_tar(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    containerd_imports(seeded, peer, Form::DockerTar, None)
}

fn containerd_imports(seeded: &Seeded, peer: &Peer, form: Form, known: Option<&'static str>) -> Verdicts {
    let containerd = Containerd::start_of(peer.generation);
    seeded.ask(form, |artifact| {
        // Each namespace unpacks for itself.
        let namespace = artifact.path.file_name().unwrap().to_str().unwrap();
        let outcome = containerd.import(namespace, &artifact.path).map(|_| {
            for image in &artifact.images {
                assert_eq!(containerd.digest(namespace, &image.name), image.digest, "{namespace}");
                artifact.assert_tree(image, Tree::read(&containerd.directory(namespace, &image.chain_id())));
            }
        });
        artifact.verdict(outcome, known)
    })
}

pub(crate) fn podman_directory(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    let podman = Podman::of(peer);
    seeded.ask(Form::Directory, |artifact| podman_pulls(&podman, artifact, "oci"))
}

pub(crate) fn podman_archive_tag(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    let podman = Podman::of(peer);
    seeded.ask(Form::Archive, |artifact| podman_pulls(&podman, artifact, "oci-archive"))
}

fn podman_pulls(podman: &Podman, artifact: &Artifact<'_>, transport: &str) -> Verdict {
    for image in &artifact.images {
        let source = format!("{transport}:{}:{}", artifact.path.display(), image.tag());
        let id = podman.pull(&source).unwrap_or_else(|stderr| panic!("cannot pull {source}:\n{stderr}"));
        // It names an image of a directory after the directory.
        let name = if transport == "oci" { &id } else { &image.name };
        let inspected = podman.inspect(name);
        assert_loaded(&inspected, image);
        assert_has_digest(&inspected, image);
        artifact.assert_tree(image, Tree::read(&podman.unpacked(&id)));
        podman.clear();
    }
    Reads
}

pub(crate) fn podman_archive(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    let podman = Podman::of(peer);
    seeded.ask(Form::Archive, |artifact| {
        let several = artifact.contents == Contents::ThreeImages;
        let known = several.then_some("more than one image in oci, choose an image");
        let verdict = artifact.verdict(podman_loads(&podman, artifact), known);
        for image in artifact.images.iter().filter(|_| verdict == Reads) {
            assert_has_digest(&podman.inspect(&image.name), image);
        }
        podman.clear();
        verdict
    })
}

pub(crate) fn podman_docker_tar(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    let podman = Podman::of(peer);
    seeded.ask(Form::DockerTar, |artifact| {
        let verdict = artifact.verdict(podman_loads(&podman, artifact), None);
        podman.clear();
        verdict
    })
}

pub(crate) fn podman_legacy(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    let podman = Podman::of(peer);
    seeded.ask_legacy(|artifact| {
        let verdict = artifact.verdict(podman_loads(&podman, artifact), None);
        podman.clear();
        verdict
    })
}

fn podman_loads(podman: &Podman, artifact: &Artifact<'_>) -> Result<(), String> {
    podman.load(&artifact.path)?;
    for image in &artifact.images {
        assert_loaded(&podman.inspect(&image.name), image);
        artifact.assert_tree(image, Tree::read(&podman.unpacked(&image.name)));
    }
    Ok(())
}

/// Of an index podman 4 says its digest, and podman 5 that of the manifest, and both among all digests.
fn assert_has_digest(inspected: &Value, image: &Image) {
    let all = inspected["RepoDigests"].as_array().into_iter().flatten().map(text);
    let is_said = inspected["Digest"] == image.digest || all.into_iter().any(|name| name.ends_with(&image.digest));
    assert!(is_said, "{image:?}: {inspected}");
}

/// What an image is, that a daemon was asked for by name.
fn assert_loaded(inspected: &Value, image: &Image) {
    assert_id(inspected, &image.config);
    assert_layers(inspected, image);
}

fn assert_id(inspected: &Value, expected: &str) {
    let id = text(&inspected["Id"]);
    assert_eq!(id.trim_start_matches("sha256:"), expected.trim_start_matches("sha256:"), "{inspected}");
}

fn assert_layers(inspected: &Value, image: &Image) {
    let layers: Vec<String> = inspected["RootFS"]["Layers"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(layers, image.diff_ids, "{image:?}");
}

pub(crate) fn dockerd_directory(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    dockerd_loads(seeded, peer, Form::Directory, |_| Some("is a directory"))
}

pub(crate) fn dockerd_archive(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    dockerd_loads(seeded, peer, Form::Archive, |_| Some("blobs/json: no such file or directory"))
}

pub(crate) fn dockerd_docker_tar(seeded: &Seeded, peer: &'static Peer) -> Verdicts {
    dockerd_loads(seeded, peer, Form::DockerTar, |compression| (compression == "zstd").then_some("invalid tar header"))
}

pub(crate) fn dockerd_legacy(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    let dockerd = Dockerd::start_of(peer).unwrap();
    seeded.ask_legacy(|artifact| artifact.verdict(dockerd_loads_one(&dockerd, artifact), None))
}

fn dockerd_loads(seeded: &Seeded, peer: &Peer, form: Form, known: fn(&str) -> Option<&'static str>) -> Verdicts {
    let dockerd = Dockerd::start_of(peer).unwrap();
    seeded.ask(form, |artifact| artifact.verdict(dockerd_loads_one(&dockerd, artifact), known(artifact.compression)))
}

fn dockerd_loads_one(dockerd: &Dockerd, artifact: &Artifact<'_>) -> Result<(), String> {
    let outcome = dockerd.load(&artifact.path).map(|()| {
        for image in &artifact.images {
            let inspected = dockerd.inspect(&image.name);
            match dockerd.has_manifests() {
                true if artifact.form == Form::LegacyTar => {}
                true => assert_id(&inspected, &image.digest),
                false => assert_id(&inspected, &image.config),
            }
            assert_layers(&inspected, image);
            dockerd.tree(&image.name, |tree| artifact.assert_tree(image, tree));
        }
    });
    // The layers are the same in each artifact: it would not read them again.
    dockerd.clear();
    outcome
}

pub(crate) fn oci_image_tool_directory(seeded: &Seeded, _: &'static Peer) -> Verdicts {
    seeded.ask(Form::Directory, |artifact| match (artifact.contents, artifact.compression) {
        // In a directory that skopeo wrote, neither.
        (Contents::ThreeImages, _) => oci_image_tool_validates(artifact, Some("is not unique")),
        // It knows neither zstd nor the empty configuration of an artifact.
        (Contents::TwoPlatforms, _) | (_, "zstd") => {
            oci_image_tool_validates(artifact, Some("invalid descriptor MediaType"))
        }
        _ => oci_image_tool_validates(artifact, None),
    })
}

pub(crate) fn oci_image_tool_archive(seeded: &Seeded, _: &'static Peer) -> Verdicts {
    seeded.ask(Form::Archive, oci_image_tool_walks)
}

pub(crate) fn oci_image_tool_docker_tar(seeded: &Seeded, _: &'static Peer) -> Verdicts {
    seeded.ask(Form::DockerTar, oci_image_tool_walks)
}

/// It takes the end of its own search of a tar archive, of anyone's, for an error.
fn oci_image_tool_walks(artifact: &Artifact<'_>) -> Verdict {
    let several = artifact.contents == Contents::ThreeImages;
    oci_image_tool_validates(artifact, Some(if several { "is not unique" } else { "unable to walk: end of walk" }))
}

fn oci_image_tool_validates(artifact: &Artifact<'_>, known: Option<&'static str>) -> Verdict {
    let outcome = artifact.images.iter().try_for_each(|image| {
        let mut command = Command::new("oci-image-tool");
        command.args(["validate", "--type", "image", "--ref"]).arg(format!("name={}", image.tag()));
        attempt(command.arg(&artifact.path)).map(drop)
    });
    artifact.verdict(outcome, known)
}

impl Artifact<'_> {
    pub(crate) fn verdict(&self, outcome: Result<(), String>, known: Option<&'static str>) -> Verdict {
        Verdict::of(outcome, known, &self.path.display().to_string())
    }

    fn assert_tree(&self, image: &Image, found: Tree) {
        let what = format!("{} of {}", image.name, self.path.display());
        assert_same_tree(&self.seeded.tree(image), &found.without_directory_times(), &what);
    }
}
