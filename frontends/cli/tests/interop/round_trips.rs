//! What other tools wrote, as a source: their archives and directories come back as they are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::check::Verdict::{self, Returns, Unasked};
use super::check::{Check, Row};
use super::command::{attempt_with, longshore, longshore_export, run, skopeo, skopeo_of};
use super::containerd::Containerd;
use super::dockerd::Dockerd;
use super::image::{Image, images, read_json};
use super::peers::{
    CONTAINERD, CONTAINERD_TODAY, CTR, DOCKER, DOCKERD, DOCKERD_CONTAINERD_TODAY, DOCKERD_TODAY, GZIP, ORAS_TODAY,
    PODMAN, PODMAN_TODAY, Peer, SKOPEO, SKOPEO_TODAY, UMOCI, UMOCI_TODAY, ZSTD,
};
use super::podman::Podman;
use super::seeded::{Artifact, CONTENTS, Contents, Form, Seeded};

type OfOthers = Check<Seeded, Verdict>;

pub(crate) static OF_OTHERS: [&dyn Row; 10] = [
    &SKOPEO_WRITES_DIRECTORIES,
    &SKOPEO_WRITES_DOCKER_TARS,
    &PODMAN_SAVES_ARCHIVES,
    &PODMAN_SAVES_DOCKER_TARS,
    &DOCKERD_SAVES,
    &CONTAINERD_EXPORTS,
    &CONTAINERD_EXPORTS_ONE_PLATFORM,
    &UMOCI_REPACKS,
    &GZIP_COMPRESSES_ARCHIVES,
    &ZSTD_COMPRESSES_ARCHIVES,
];

const DIGEST: &str = "name, digest";
const LAYERS: &str = "name, image ID, layers";

const fn wrote(peers: &'static [&'static Peer], what: &'static str, same: &'static str, ask: Ask) -> OfOthers {
    OfOthers::new(peers, what, same, ask)
}

type Ask = fn(&Seeded, &'static Peer) -> [Verdict; 3];

pub(crate) static SKOPEO_WRITES_DIRECTORIES: OfOthers =
    wrote(&[&SKOPEO], "`skopeo copy --all oci: oci:`", DIGEST, skopeo_writes_directories);

pub(crate) static SKOPEO_WRITES_DOCKER_TARS: OfOthers =
    wrote(&[&SKOPEO], "`skopeo copy oci: docker-archive:`", LAYERS, skopeo_writes_docker_tars);

pub(crate) static PODMAN_SAVES_ARCHIVES: OfOthers =
    wrote(&[&PODMAN, &SKOPEO], "`podman save --format oci-archive`", DIGEST, podman_saves_archives);

pub(crate) static PODMAN_SAVES_DOCKER_TARS: OfOthers =
    wrote(&[&PODMAN], "`podman save --format docker-archive`", LAYERS, podman_saves_docker_tars);

pub(crate) static DOCKERD_SAVES: OfOthers = wrote(&[&DOCKERD, &DOCKER], "`docker save`", LAYERS, dockerd_saves);

pub(crate) static CONTAINERD_EXPORTS: OfOthers =
    wrote(&[&CONTAINERD, &CTR], "`ctr images export --all-platforms`", DIGEST, containerd_exports);

pub(crate) static CONTAINERD_EXPORTS_ONE_PLATFORM: OfOthers =
    wrote(&[&CONTAINERD, &CTR], "`ctr images export`", DIGEST, containerd_exports_one_platform);

pub(crate) static UMOCI_REPACKS: OfOthers =
    wrote(&[&UMOCI, &SKOPEO], "`umoci repack`", "digest, layers below", umoci_repacks);

pub(crate) static GZIP_COMPRESSES_ARCHIVES: OfOthers =
    wrote(&[&GZIP], "`gzip` of an archive", DIGEST, gzip_compresses_archives);

pub(crate) static ZSTD_COMPRESSES_ARCHIVES: OfOthers =
    wrote(&[&ZSTD], "`zstd` of an archive", DIGEST, zstd_compresses_archives);

/// The same of today's tools.
static TODAY: [OfOthers; 10] = [
    wrote(&[&SKOPEO_TODAY], "`skopeo copy --all oci: oci:`", DIGEST, skopeo_writes_directories),
    wrote(&[&SKOPEO_TODAY], "`skopeo copy oci: docker-archive:`", LAYERS, skopeo_writes_docker_tars),
    wrote(&[&ORAS_TODAY], "`oras copy --to-oci-layout`", DIGEST, oras_writes_directories),
    wrote(&[&PODMAN_TODAY, &SKOPEO], "`podman save --format oci-archive`", DIGEST, podman_saves_archives),
    wrote(&[&PODMAN_TODAY], "`podman save --format docker-archive`", LAYERS, podman_saves_docker_tars),
    wrote(&[&DOCKERD_TODAY], "`docker save`", LAYERS, dockerd_saves),
    wrote(&[&DOCKERD_CONTAINERD_TODAY], "`docker save`", DIGEST, dockerd_saves_layouts),
    wrote(&[&CONTAINERD_TODAY], "`ctr images export --all-platforms`", DIGEST, containerd_exports),
    wrote(&[&CONTAINERD_TODAY], "`ctr images export`", DIGEST, containerd_exports_one_platform),
    wrote(&[&UMOCI_TODAY, &SKOPEO], "`umoci repack`", "digest, layers below", umoci_repacks),
];

pub(crate) fn of_today() -> Vec<&'static dyn Row> {
    TODAY.iter().map(|check| check as &dyn Row).collect()
}

/// Has a tool write what is in an artifact, for each contents.
fn ask(seeded: &Seeded, form: Form, write: impl Fn(&Artifact<'_>, &Path) -> Verdict) -> [Verdict; 3] {
    CONTENTS.map(|contents| {
        let directory = scratch();
        write(&seeded.artifact(form, contents, "gzip"), directory.path())
    })
}

fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// What `longshore export` makes of a source that it is not told to change.
fn exported(source: &str, name: &str, input: Stdio) -> Vec<Image> {
    let directory = scratch();
    let mut command = longshore_export(directory.path());
    command.args([source, "--metadata-file", "metadata.json", "-o"]);
    command.arg(format!("type=oci,tar=false,name={name},dest=layout"));
    attempt_with(&mut command, input).unwrap_or_else(|stderr| panic!("cannot export {source}:\n{stderr}"));
    let metadata = read_json(&directory.path().join("metadata.json"));
    images(&directory.path().join("layout"), &metadata["longshore.outputs"][0])
}

/// The same images come back from `path`, and from standard input where it is a file.
fn returns(scheme: &str, path: &Path, expected: &[Image]) -> Verdict {
    let compare = |mut found: Vec<Image>| {
        if scheme == "docker-archive" {
            // There is no manifest to keep: the one that is made lists layers without compression.
            found = found.iter().map(Image::without_digest).collect();
        }
        assert_eq!(found, expected, "{scheme}:{}", path.display());
    };
    compare(exported(&format!("{scheme}:{}", path.display()), "*", Stdio::null()));
    compare(imported(path, Stdio::null()));
    if path.is_file() {
        compare(exported(&format!("{scheme}:-"), "*", File::open(path).unwrap().into()));
        compare(imported(Path::new("-"), File::open(path).unwrap().into()));
    }
    Returns
}

/// What leaves the image store after `longshore import`.
fn imported(path: &Path, input: Stdio) -> Vec<Image> {
    let directory = scratch();
    let longshore = |arguments: &[&str], input: Stdio| {
        let mut command = longshore(directory.path());
        command.env("LONGSHORE_ROOT", directory.path().join("store")).args(arguments);
        attempt_with(&mut command, input).unwrap_or_else(|stderr| panic!("{arguments:?}:\n{stderr}"))
    };
    let names = longshore(&["import", "--progress=quiet", path.to_str().unwrap()], input);
    let names = names.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(' ').next().unwrap());
    let mut found = Vec::new();
    for name in names {
        let source = format!("image:{name}");
        let verified = longshore(&["verify", &source], Stdio::null());
        assert!(verified.starts_with("ok sha256:"), "{verified}");
        let output = "type=oci,tar=false,name=*,dest=layout";
        let metadata = ["--metadata-file", "metadata.json"];
        longshore(&["export", &source, metadata[0], metadata[1], "-o", output], Stdio::null());
        let metadata = read_json(&directory.path().join("metadata.json"));
        found.extend(images(&directory.path().join("layout"), &metadata["longshore.outputs"][0]));
    }
    found.sort();
    found
}

fn without_digests(images: &[Image]) -> Vec<Image> {
    images.iter().map(Image::without_digest).collect()
}

fn names(images: &[Image]) -> Vec<&str> {
    images.iter().map(|image| image.name.as_str()).collect()
}

/// It writes one image at a time, with the full name that it is given.
fn skopeo_writes_directories(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::Directory, |artifact, directory| {
        let layout = directory.join("layout");
        for image in &artifact.images {
            let source = format!("oci:{}:{}", artifact.path.display(), image.tag());
            let target = format!("oci:{}:{}", layout.display(), image.name);
            run(skopeo_of(peer, "copy").args(["--quiet", "--all", &source, &target]));
        }
        returns("oci", &layout, &artifact.images)
    })
}

fn skopeo_writes_docker_tars(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::Directory, |artifact, directory| {
        let [image] = artifact.images.as_slice() else { return Unasked };
        let archive = directory.join("legacy.tar");
        let source = format!("oci:{}:{}", artifact.path.display(), image.tag());
        let target = format!("docker-archive:{}:{}", archive.display(), image.name);
        run(skopeo_of(peer, "copy").args(["--quiet", &source, &target]));
        returns("docker-archive", &archive, &[image.without_digest()])
    })
}

/// It compresses the layers anew, so the digest is another, but the one in its archive.
fn podman_saves_archives(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::Archive, |artifact, directory| {
        let [image] = artifact.images.as_slice() else { return Unasked };
        let podman = Podman::of(peer);
        podman.load(&artifact.path).unwrap();
        let archive = directory.join("saved.tar");
        podman.save("oci-archive", &[&image.name], &archive);
        let digest = digest_in(&format!("oci-archive:{}", archive.display()));
        returns("oci-archive", &archive, &[Image { digest, ..image.clone() }])
    })
}

fn podman_saves_docker_tars(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::DockerTar, |artifact, directory| {
        let podman = Podman::of(peer);
        podman.load(&artifact.path).unwrap();
        let archive = directory.join("saved.tar");
        podman.save("docker-archive", &names(&artifact.images), &archive);
        returns("docker-archive", &archive, &without_digests(&artifact.images))
    })
}

fn dockerd_saves(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    let dockerd = Dockerd::start_of(peer).unwrap();
    ask(seeded, Form::DockerTar, |artifact, directory| {
        dockerd.load(&artifact.path).unwrap();
        let archive = directory.join("saved.tar");
        dockerd.save(&names(&artifact.images), &archive);
        dockerd.clear();
        returns("docker-archive", &archive, &without_digests(&artifact.images))
    })
}

/// Its store keeps manifests and indexes, and so does what it saves.
fn dockerd_saves_layouts(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    let dockerd = Dockerd::start_of(peer).unwrap();
    ask(seeded, Form::Archive, |artifact, directory| {
        dockerd.load(&artifact.path).unwrap();
        let archive = directory.join("saved.tar");
        dockerd.save(&names(&artifact.images), &archive);
        dockerd.clear();
        returns("oci-archive", &archive, &artifact.images)
    })
}

/// It copies one image at a time, to a tag.
fn oras_writes_directories(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::Directory, |artifact, directory| {
        let layout = directory.join("layout");
        for image in &artifact.images {
            let source = format!("{}:{}", artifact.path.display(), image.tag());
            let mut command = peer.command();
            command.args(["copy", "--no-tty", "--from-oci-layout", &source, "--to-oci-layout"]);
            run(command.arg(format!("{}:{}", layout.display(), image.tag())));
            let found = exported(&format!("oci:{}:{}", layout.display(), image.tag()), &image.name, Stdio::null());
            assert_eq!(found, std::slice::from_ref(image));
        }
        Returns
    })
}

fn containerd_exports(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    containerd_exports_with(seeded, peer, &["--all-platforms"])
}

/// Of two platforms it writes the one of this machine; the index still lists the other.
fn containerd_exports_one_platform(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    containerd_exports_with(seeded, peer, &[])
}

fn containerd_exports_with(seeded: &Seeded, peer: &Peer, options: &[&str]) -> [Verdict; 3] {
    let containerd = Containerd::start_of(peer.generation);
    ask(seeded, Form::Archive, |artifact, directory| {
        let namespace = artifact.path.file_name().unwrap().to_str().unwrap();
        containerd.import(namespace, &artifact.path).unwrap();
        let archive = directory.join("exported.tar");
        containerd.export(namespace, options, &names(&artifact.images), &archive);
        returns("oci-archive", &archive, &artifact.images)
    })
}

/// It adds a layer to the first image, which gets another tag.
fn umoci_repacks(seeded: &Seeded, peer: &'static Peer) -> [Verdict; 3] {
    ask(seeded, Form::Directory, |artifact, directory| {
        if artifact.contents == Contents::TwoPlatforms {
            return Unasked;
        }
        let [layout, bundle] = ["layout", "bundle"].map(|name| directory.join(name));
        run(Command::new("cp").arg("-R").args([&artifact.path, &layout]));
        let at = |tag: &str| format!("{}:{tag}", layout.display());
        let first = &artifact.images[0];
        run(peer.command().args(["unpack", "--image", &at(first.tag())]).arg(&bundle));
        fs::write(bundle.join("rootfs/tree/added"), "by umoci").unwrap();
        run(peer.command().args(["repack", "--image", &at("repacked")]).arg(&bundle));
        let source = format!("oci:{}", at("repacked"));
        let found = exported(&source, "example.com/repacked:v1", Stdio::null());
        let [image] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(image.digest, digest_in(&source));
        let [base, layer, _] = image.diff_ids.as_slice() else { panic!("{image:?}") };
        assert_eq!([base, layer], [&first.diff_ids[0], &first.diff_ids[1]]);
        repacked_is_imported(&layout, image);
        Returns
    })
}

/// Its layout has tags and no names, so that the import needs one.
fn repacked_is_imported(layout: &Path, image: &Image) {
    let directory = scratch();
    let root = directory.path().join("store");
    let names = run(longshore(directory.path())
        .env("LONGSHORE_ROOT", root)
        .arg("import")
        .arg(layout)
        .args(["--name", "example.com/other"]));
    let line = format!("example.com/other:repacked {}", image.digest);
    assert!(names.lines().any(|name| name == line), "{line} is not in\n{names}");
}

/// What skopeo says that the digest of an image is.
fn digest_in(source: &str) -> String {
    run(skopeo("inspect").args(["--format", "{{.Digest}}", source])).trim_end().to_owned()
}

fn gzip_compresses_archives(seeded: &Seeded, _: &'static Peer) -> [Verdict; 3] {
    compresses_archives(seeded, "gzip", "gz")
}

fn zstd_compresses_archives(seeded: &Seeded, _: &'static Peer) -> [Verdict; 3] {
    compresses_archives(seeded, "zstd", "zst")
}

fn compresses_archives(seeded: &Seeded, program: &str, extension: &str) -> [Verdict; 3] {
    ask(seeded, Form::Archive, |artifact, directory| {
        let archive: PathBuf = directory.join("archive.tar");
        fs::copy(&artifact.path, &archive).unwrap();
        run(Command::new(program).arg("--quiet").arg(&archive));
        returns("oci-archive", &archive.with_extension(format!("tar.{extension}")), &artifact.images)
    })
}
