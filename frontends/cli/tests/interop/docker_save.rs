//! `format=legacy` beside `docker save` of the daemon that wrote that format, and what reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_core::archive::{EntryKind, Reader};
use longshore_core::oci::Digest;
use serde_json::Value;
use tempfile::TempDir;

use super::command::{attempt, longshore, run, skopeo};
use super::docker_images::{APP, BARE, BASE, CHILD, DockerImages, EMPTY, Known, NAMES, WHITEOUTS, file_in, listed_in};
use super::image::{read_json, text};
use super::peers::{DOCKER, PODMAN, SCRIPT};
use super::podman::Podman;

/// What an archive says of a file. Docker's names of owners are not compared, nor the bits of a mode that say of which
/// kind the file is: only Docker writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saved {
    kind: EntryKind,
    mode: u32,
    owner: (u64, u64),
    size: u64,
    link: String,
    content: Digest,
    /// Nothing where Docker writes the time at which it saves.
    mtime: Option<i64>,
}

pub(crate) fn is_reproduced_and_read() {
    let Some(images) = DockerImages::make() else { return };
    let id = images.known[APP[0]].id.clone();
    let cases: [&[&str]; 8] = [&["app"], &[&id], &[APP[1]], &[BASE], &[CHILD], &[WHITEOUTS], &[BARE], &[APP[0], CHILD]];
    for names in cases {
        is_reproduced(&images, names);
    }
    let [docker, ours] = is_reproduced(&images, &NAMES);
    an_image_without_layers_is_refused_in_the_same_words(&images);
    let copied = images.path("copied.tar");
    let mut command = images.longshore();
    command.args(["export", "--progress=quiet"]).arg(format!("docker-graph:{}", images.root().display()));
    run(command.arg("-o").arg(format!("type=docker,format=legacy,symlinks=false,name=*,dest={}", copied.display())));
    assert!(saved_in(&copied).values().all(|saved| saved.kind != EntryKind::Symlink));
    for archive in [&ours, &copied] {
        docker_loads(&images, archive);
        podman_loads(&images, archive);
    }
    assert!(skopeo_copies(&images, &copied).is_empty());
    // Not those in which a layer is a link to what another image has, whoever wrote the archive.
    let unread = skopeo_copies(&images, &ours);
    assert_eq!(unread, skopeo_copies(&images, &docker));
    assert!(!unread.is_empty() && unread.len() < NAMES.len(), "{unread:?}");
}

/// Docker saves in an order of its own: `longshore` is asked for that order.
fn is_reproduced(images: &DockerImages, names: &[&str]) -> [PathBuf; 2] {
    let [docker, ours] = ["docker.tar", "ours.tar"].map(|name| images.path(name));
    images.daemon.save(names, &docker);
    let listed = listed_in(&docker);
    let in_order = listed.iter().flat_map(|(id, tags)| if tags.is_empty() { vec![id.clone()] } else { tags.clone() });
    let in_order: Vec<String> = in_order.collect();
    let in_order: Vec<&str> =
        if listed.len() == 1 { names.to_vec() } else { in_order.iter().map(String::as_str).collect() };
    images.save(&in_order, &["--format", "legacy"], &ours).unwrap();
    let [expected, found] = [&docker, &ours].map(|archive| without_now(saved_in(archive)));
    assert!(expected.keys().eq(found.keys()), "{names:?}: {:?}, not {:?}", found.keys(), expected.keys());
    for (path, saved) in &expected {
        assert_eq!(found[path], *saved, "{path} of {names:?}");
    }
    [docker, ours]
}

/// The files of an archive, by path.
fn saved_in(archive: &Path) -> BTreeMap<String, Saved> {
    let mut reader = Reader::new(BufReader::new(File::open(archive).unwrap()));
    let mut all = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let saved = Saved {
            kind: entry.kind,
            mode: entry.mode & 0o7777,
            owner: (entry.uid, entry.gid),
            size: entry.size,
            link: String::from_utf8(entry.link).unwrap(),
            content: Digest::of(&content),
            mtime: Some(entry.mtime),
        };
        let path = String::from_utf8(entry.path).unwrap();
        assert!(all.insert(path.clone(), saved).is_none(), "{path} is twice in {}", archive.display());
    }
    all
}

/// Docker makes a link where it moves a layer away, after it has set the times of the directory.
fn without_now(mut all: BTreeMap<String, Saved>) -> BTreeMap<String, Saved> {
    let links = all.iter().filter(|(_, saved)| saved.kind == EntryKind::Symlink);
    let tops: BTreeSet<String> = links.map(|(path, _)| top(path).to_owned()).collect();
    for (_, saved) in all.iter_mut().filter(|(path, _)| tops.contains(top(path))) {
        saved.mtime = None;
    }
    all
}

fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn an_image_without_layers_is_refused_in_the_same_words(images: &DockerImages) {
    images.make_empty();
    let archive = images.path("empty.tar");
    let words = "empty export - not implemented";
    let theirs = attempt(images.daemon.docker().args(["save", "--output"]).arg(&archive).arg(EMPTY)).unwrap_err();
    assert!(theirs.contains(words), "{theirs}");
    let ours = images.save(&[EMPTY], &["--format", "legacy"], &archive).unwrap_err();
    assert!(ours.contains(words) && ours.contains("hint: format=combined"), "{ours}");
    assert!(!archive.exists());
    images.save(&[EMPTY], &[], &archive).unwrap();
    let id = images.daemon.id(EMPTY);
    run(images.daemon.docker().args(["rmi", EMPTY]));
    images.daemon.load(&archive).unwrap();
    assert_eq!(images.daemon.id(EMPTY), id);
    run(images.daemon.docker().args(["rmi", EMPTY]));
}

fn docker_loads(images: &DockerImages, archive: &Path) {
    images.daemon.clear();
    assert_eq!(run(images.daemon.docker().args(["image", "ls", "--all", "--quiet"])), "");
    images.daemon.load(archive).unwrap();
    images.assert_loaded(|name| images.daemon.inspect(name));
    // Its parent, too, as it is in the archive.
    assert_eq!(images.daemon.inspect(CHILD)["Parent"], images.known[APP[0]].id.as_str());
}

fn podman_loads(images: &DockerImages, archive: &Path) {
    if PODMAN.is_ready() {
        let podman = Podman::new();
        podman.load(archive).unwrap();
        images.assert_loaded(|name| podman.inspect(name));
    }
}

/// The names of the images that skopeo does not copy out of an archive; the others are right.
fn skopeo_copies<'i>(images: &'i DockerImages, archive: &Path) -> Vec<&'i str> {
    let copies = |name: &&&str| {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let image = format!("docker-archive:{}:{name}", archive.display());
        let known = &images.known[**name];
        assert_eq!(Known::read_by_skopeo(&image), *known, "{image}");
        let target = format!("dir:{}", directory.path().display());
        match attempt(skopeo("copy").args(["--quiet", &image, &target])) {
            Ok(_) => {
                let manifest = read_json(&directory.path().join("manifest.json"));
                let layers: Vec<String> =
                    manifest["layers"].as_array().unwrap().iter().map(|layer| text(&layer["digest"])).collect();
                assert_eq!((&text(&manifest["config"]["digest"]), &layers), (&known.id, &known.layers), "{image}");
                true
            }
            Err(stderr) => {
                assert!(is_linked_from_outside(archive, name), "{image}: {stderr}");
                assert!(stderr.contains("Size mismatch"), "{stderr}");
                false
            }
        }
    };
    images.known.keys().filter(|name| !copies(name)).copied().collect()
}

/// Whether a layer of an image is a link to a directory that is not one of its own layers.
fn is_linked_from_outside(archive: &Path, name: &str) -> bool {
    let manifest: Value = serde_json::from_str(&file_in(archive, "manifest.json")).unwrap();
    let has_name = |item: &&Value| item["RepoTags"].as_array().into_iter().flatten().any(|tag| tag == name);
    let image = manifest.as_array().unwrap().iter().find(has_name).unwrap();
    let layers: Vec<String> = image["Layers"].as_array().unwrap().iter().map(text).collect();
    let saved = saved_in(archive);
    let links = layers.iter().filter_map(|layer| saved[layer].link.strip_prefix("../"));
    links.into_iter().any(|target| !layers.iter().any(|layer| layer == target))
}

/// `longshore` as `docker`: neither needs an image or a daemon to say it.
pub(crate) fn is_refused_to_a_terminal() {
    if !SCRIPT.is_ready() {
        return;
    }
    // What a program writes to the terminal that it is given.
    let shown = |command: &Command| {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        run(Command::new("script").args(["--quiet", "--command", &quoted.join(" "), "/dev/null"]))
    };
    let scratch = TempDir::new().unwrap();
    let mut ours = longshore(scratch.path());
    let ours = shown(ours.args(["save", "--from", "docker-graph:/nowhere", "app"]));
    assert!(ours.contains("error: an archive is not written to a terminal"), "{ours}");
    assert!(ours.contains("hint: add -o FILE, or redirect standard output"), "{ours}");
    if DOCKER.is_ready() {
        let theirs = shown(Command::new("docker").args(["--host=unix:///nowhere", "save", "app"]));
        assert!(theirs.contains("refusing to save to a terminal"), "{theirs}");
    }
}
