//! What each reader of the Debian image is asked, and what must come of it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::check::Verdict::{self, Reads, Unasked};
use super::command::{attempt, run, skopeo_of};
use super::containerd::Containerd;
use super::fixture::{COMPRESSIONS, Exported, NAME, TAG};
use super::peers::Peer;
use super::tree::Tree;

pub(crate) fn skopeo_inspects_layouts(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| skopeo_inspects(peer, exported, compression, &in_layout(exported, compression)))
}

pub(crate) fn skopeo_inspects_archives(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| skopeo_inspects(peer, exported, compression, &in_archive(exported, compression)))
}

pub(crate) fn skopeo_copies_layouts(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| skopeo_copies(peer, exported, compression, &in_layout(exported, compression)))
}

pub(crate) fn skopeo_copies_archives(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| skopeo_copies(peer, exported, compression, &in_archive(exported, compression)))
}

fn in_layout(exported: &Exported, compression: &str) -> String {
    format!("oci:{}:{TAG}", exported.layout(compression).display())
}

fn in_archive(exported: &Exported, compression: &str) -> String {
    format!("oci-archive:{}:{TAG}", exported.archive(compression).display())
}

fn skopeo_inspects(peer: &Peer, exported: &Exported, compression: &str, image: &str) -> Verdict {
    let digest = run(skopeo_of(peer, "inspect").args(["--format", "{{.Digest}}", image]));
    assert_eq!(digest.trim_end(), exported.digest(compression), "{image}");
    Reads
}

fn skopeo_copies(peer: &Peer, exported: &Exported, compression: &str, image: &str) -> Verdict {
    let copied = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    run(skopeo_of(peer, "copy").arg("--quiet").arg(image).arg(format!("dir:{}", copied.path().display())));
    let manifest = exported.blob(compression, exported.digest(compression));
    assert_same(&manifest, &copied.path().join("manifest.json"));
    let blobs = fs::read_dir(exported.layout(compression).join("blobs/sha256")).unwrap();
    for blob in blobs.map(|entry| entry.unwrap().path()).filter(|path| *path != manifest) {
        assert_same(&blob, &copied.path().join(blob.file_name().unwrap()));
    }
    Reads
}

pub(crate) fn assert_same(expected: &Path, found: &Path) {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(read(expected) == read(found), "{} is not {}", found.display(), expected.display());
}

pub(crate) fn umoci_unpacks_layouts(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| {
        let bundle = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = format!("{}:{TAG}", exported.layout(compression).display());
        let unpacked = attempt(peer.command().args(["unpack", "--image", &image]).arg(bundle.path()));
        let verdict = without_zstd(compression, unpacked, "blob is not correct mediatype");
        if verdict == Reads {
            assert_same_tree(&exported.tree(), &Tree::read(&bundle.path().join("rootfs")), compression);
        }
        verdict
    })
}

pub(crate) fn containerd_imports_archives(exported: &Exported, peer: &'static Peer) -> [Verdict; 3] {
    let containerd = Containerd::start_of(peer.generation);
    // The compressions have the same layers, but each namespace unpacks for itself.
    COMPRESSIONS.map(|compression| {
        containerd.import(compression, &exported.archive(compression)).unwrap();
        assert_eq!(containerd.digest(compression, NAME), exported.digest(compression), "{compression}");
        let [base, both] = containerd.unpacked(compression).map(|directory| Tree::read(&directory));
        assert_same_tree(&exported.sources()[0], &base, compression);
        // The snapshotter copies the lower layer to unpack the upper one, and the copies of directories are new.
        let expected = exported.tree().without_directory_times();
        assert_same_tree(&expected, &both.without_directory_times(), compression);
        Reads
    })
}

pub(crate) fn assert_same_tree(expected: &Tree, found: &Tree, what: &str) {
    let differences = expected.differences(found);
    let first: Vec<&String> = differences.iter().take(20).collect();
    assert!(first.is_empty(), "{} differences in the {what} image: {first:#?}", differences.len());
}

pub(crate) fn oci_image_tool_validates_layouts(exported: &Exported, _: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| {
        let mut command = Command::new("oci-image-tool");
        command.args(["validate", "--type", "image", "--ref"]).arg(format!("name={TAG}"));
        let validated = attempt(command.arg(exported.layout(compression)));
        without_zstd(compression, validated, "invalid descriptor MediaType")
    })
}

/// The verdict of a reader from before zstd, which says so in these `words`.
fn without_zstd(compression: &str, outcome: Result<String, String>, words: &'static str) -> Verdict {
    Verdict::of(outcome.map(drop), (compression == "zstd").then_some(words), compression)
}

pub(crate) fn gzip_tests_layers(exported: &Exported, _: &'static Peer) -> [Verdict; 3] {
    tests_layers("gzip", exported)
}

pub(crate) fn zstd_tests_layers(exported: &Exported, _: &'static Peer) -> [Verdict; 3] {
    tests_layers("zstd", exported)
}

/// The layers that are compressed with `program`.
fn tests_layers(program: &str, exported: &Exported) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| {
        if compression != program {
            return Unasked;
        }
        for blob in exported.layers(compression) {
            run(Command::new(program).arg("-t").arg(blob));
        }
        Reads
    })
}

pub(crate) fn tar_lists_layers(exported: &Exported, _: &'static Peer) -> [Verdict; 3] {
    let sources = exported.sources();
    COMPRESSIONS.map(|compression| {
        for (blob, source) in exported.layers(compression).iter().zip(&sources) {
            assert_eq!(listed(blob), source.paths().map(Path::to_owned).collect::<Vec<_>>(), "{compression}");
            let verbose = run(Command::new("tar").arg("-tvf").arg(blob));
            assert_eq!(verbose.lines().count(), source.paths().count(), "{compression}");
        }
        Reads
    })
}

pub(crate) fn tar_lists_archives(exported: &Exported, _: &'static Peer) -> [Verdict; 3] {
    COMPRESSIONS.map(|compression| {
        let layout = Tree::read(&exported.layout(compression));
        // Which only a directory needs.
        let files = layout.paths().filter(|path| *path != Path::new("index.json.lock"));
        let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
        assert_eq!(listed(&exported.archive(compression)), files, "{compression}");
        Reads
    })
}

/// The names in a tar archive, sorted, and each as often as it is there.
fn listed(archive: &Path) -> Vec<PathBuf> {
    let list = run(Command::new("tar").args(["--quoting-style=literal", "-tf"]).arg(archive));
    let mut names: Vec<PathBuf> = list.lines().map(|line| OsString::from(line.trim_end_matches('/')).into()).collect();
    names.sort();
    names
}
