//! `docker-graph:ROOT` of a dockerd that runs or has run, with overlay2.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use longshore_core::content::chain_ids;
use longshore_core::oci::Digest;
use longshore_testkit::sample::Random;
use rustix::process::{Pid, Signal, kill_process};

use super::command::{attempt, run};
use super::docker_images::{APP, BASE, CHILD, DockerImages, Known, NAMES, WHITEOUTS, listed_in};
use super::image::{self, read_json, text};
use super::readers::assert_same_tree;
use crate::docker_registry::DockerRegistry;

pub(crate) fn images_are_what_docker_says() {
    let Some(mut images) = DockerImages::make() else { return };
    let Some(registry) = DockerRegistry::start() else { return };
    for name in NAMES {
        is_exported(&images, name);
        is_inspected(&images, name);
    }
    is_pushed(&images, &registry);
    names_are_those_of_docker_save(&images, &registry);
    images.daemon.stop();
    for name in NAMES {
        is_exported(&images, name);
    }
    let archive = images.path("stopped.tar");
    images.save(&NAMES, &["--format", "legacy"], &archive).unwrap();
    for name in NAMES {
        assert_eq!(Known::read_by_skopeo(&docker_archive(&archive, name)), images.known[name]);
    }
}

/// Each form has the configuration of the image as Docker has it, and its layers are those that it lists.
fn is_exported(images: &DockerImages, name: &str) {
    let known = &images.known[name];
    let outputs = [
        ("oci", "archive", "oci,dest="),
        ("oci", "directory", "oci,tar=false,dest="),
        ("docker", "docker", "docker,dest="),
    ];
    let mut command = images.longshore();
    command.args(["export", "--progress=quiet", "--metadata-file", "metadata.json", &source(images, name)]);
    for (_, file, output) in outputs {
        let _ = fs::remove_dir_all(images.path(file));
        command.args(["-o", &format!("type={output}{file},name=*")]);
    }
    run(&mut command);
    let path = |file: &str| images.path(file).display().to_string();
    let archive = images.path("docker");
    for image in [
        format!("oci-archive:{}", path("archive")),
        format!("oci:{}", path("directory")),
        docker_archive(&archive, name),
    ] {
        assert_eq!(Known::read_by_skopeo(&image), *known, "{image}");
    }
    for form in ["oci-archive:archive", "oci:directory", "docker-archive:docker"] {
        let said = run(images.longshore().args(["verify", form]));
        assert!(said.starts_with("ok sha256:"), "{form}: {said}");
    }
    let metadata = read_json(&images.path("metadata.json"));
    let found = image::images(&images.path("directory"), &metadata["longshore.outputs"][1]);
    assert_eq!((&found[0].config, &found[0].diff_ids), (&known.id, &known.layers), "{name}");
}

fn is_inspected(images: &DockerImages, name: &str) {
    let said = run(images.longshore().args(["inspect", "--json", &source(images, name)]));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let manifest = &said[0]["image"]["manifests"][0];
    let Known { id, layers } = &images.known[name];
    assert_eq!(manifest["config"]["digest"], id.as_str(), "{said}");
    assert_eq!(manifest["image"]["rootfs"]["diff_ids"], serde_json::json!(layers), "{said}");
    let said = run(images.longshore().args(["verify", &source(images, name)]));
    assert!(said.starts_with("ok sha256:"), "{said}");
}

fn is_pushed(images: &DockerImages, registry: &DockerRegistry) {
    for name in [APP[0], WHITEOUTS] {
        let target = format!("{}/pushed:{}", registry.host(), name.len());
        let output = format!("type=registry,name={target},push-streaming=true,compression=zstd,compression-level=7");
        run(images.longshore().args(["export", "--progress=quiet", &source(images, name), "-o", &output]));
        assert_eq!(Known::read_by_skopeo(&format!("docker://{target}")), images.known[name]);
        run(images.longshore().args(["verify", &format!("docker://{target}")]));
        let digest = registry.tag("pushed", &name.len().to_string()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&registry.blob(&digest).unwrap()).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), images.known[name].layers.len());
        assert!(layers.iter().all(|layer| text(&layer["mediaType"]).ends_with("+zstd")), "{manifest}");
    }
}

/// The same names choose the same images, with the same tags.
fn names_are_those_of_docker_save(images: &DockerImages, registry: &DockerRegistry) {
    let id = &images.known[APP[0]].id;
    let hex = id.strip_prefix("sha256:").unwrap();
    let remote = format!("{}/team/app:1", registry.host());
    run(images.daemon.docker().args(["tag", APP[0], &remote]));
    run(images.daemon.docker().args(["push", "--quiet", &remote]));
    let digest = text(&images.daemon.inspect(APP[0])["RepoDigests"][0]);
    assert!(digest.contains("/team/app@sha256:"), "{digest}");
    let repository = remote.trim_end_matches(":1");
    let cases: [&[&str]; 11] = [
        &["app"],
        &[APP[1]],
        &["docker.io/library/app:1"],
        &[id],
        &[hex],
        &[&hex[..12]],
        &[&hex[..5]],
        &[&digest],
        &[repository],
        &["app", CHILD, BASE, id, APP[0], &remote],
        &[WHITEOUTS, &hex[..12]],
    ];
    let [docker, ours] = ["docker.tar", "ours.tar"].map(|name| images.path(name));
    for names in cases {
        images.daemon.save(names, &docker);
        let expected: BTreeSet<_> = listed_in(&docker).into_iter().map(sorted).collect();
        for format in ["legacy", "combined"] {
            images.save(names, &["--format", format], &ours).unwrap();
            let found = listed_in(&ours);
            assert_eq!(found.len(), expected.len(), "{format} {names:?}");
            assert_eq!(found.into_iter().map(sorted).collect::<BTreeSet<_>>(), expected, "{format} {names:?}");
            for name in expected.iter().flat_map(|(_, tags)| tags) {
                let [theirs, ours] =
                    [&docker, &ours].map(|archive| Known::read_by_skopeo(&docker_archive(archive, name)));
                assert_eq!(ours, theirs, "{format} {name}");
            }
        }
        run(images.longshore().args(["verify", &format!("docker-archive:{}", ours.display())]));
        images.daemon.load(&ours).unwrap();
    }
    for missing in ["missing:1", "app:3", &format!("app@{id}"), "0000000"] {
        attempt(images.daemon.docker().args(["save", "--output"]).arg(&docker).arg(missing)).unwrap_err();
        let error = images.save(&[missing], &[], &images.path("missing.tar")).unwrap_err();
        assert!(error.contains(&format!("no such image `{missing}`")), "{error}");
        assert!(!images.path("missing.tar").exists());
    }
}

fn sorted((id, mut tags): (String, Vec<String>)) -> (String, Vec<String>) {
    tags.sort();
    (id, tags)
}

pub(crate) fn images_that_vanish_are_errors() {
    let Some(images) = DockerImages::make() else { return };
    let mut random = Random::new(11);
    let files = images.path("many/tree");
    fs::create_dir_all(&files).unwrap();
    (0..64).for_each(|number| fs::write(files.join(format!("{number:02}")), random.bytes(300_000)).unwrap());
    run(Command::new("tar").arg("-C").arg(images.path("many")).arg("-cf").arg(images.path("many.tar")).arg("tree"));
    // A slow reader: the command has written what a pipe holds, and waits.
    import_many(&images);
    let mut child =
        started(&images, &["save", "--progress=quiet", "--from", &source(&images, ""), MANY], Stdio::piped());
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 100_000]).unwrap();
    run(images.daemon.docker().args(["rmi", MANY]));
    output.read_to_end(&mut Vec::new()).unwrap();
    says_that_it_is_gone(child);
    // In a file, nothing is left.
    import_many(&images);
    fs::create_dir(images.path("out")).unwrap();
    let slow = "type=oci,dest=out/image.tar,compression-level=9";
    let child = started(
        &images,
        &["export", "--progress=quiet", "--no-store", "--jobs=1", &source(&images, MANY), "-o", slow],
        Stdio::null(),
    );
    let pid = Pid::from_child(&child);
    wait_for(|| bytes_below(&images.path("out")) > 100_000);
    kill_process(pid, Signal::STOP).unwrap();
    assert!(!images.path("out/image.tar").exists(), "too late to stop it");
    run(images.daemon.docker().args(["rmi", MANY]));
    kill_process(pid, Signal::CONT).unwrap();
    says_that_it_is_gone(child);
    assert_eq!(fs::read_dir(images.path("out")).unwrap().count(), 0);
}

const MANY: &str = "many:1";

fn import_many(images: &DockerImages) {
    run(images.daemon.docker().arg("import").arg(images.path("many.tar")).arg(MANY));
}

fn started(images: &DockerImages, arguments: &[&str], stdout: Stdio) -> Child {
    images.longshore().args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(is_there: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(1));
    }
}

/// The sizes of all files, some of which may go meanwhile.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        metadata => metadata.map_or(0, |metadata| metadata.len()),
    });
    bytes.sum()
}

fn says_that_it_is_gone(child: Child) {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{stderr}");
    assert!(
        (stderr.contains("missing") || stderr.contains("not found"))
            && stderr.contains("was the image removed while it was being read?"),
        "{stderr}"
    );
}

pub(crate) fn what_was_changed_is_an_error_or_made_anew() {
    let Some(images) = DockerImages::make() else { return };
    let copied = images.path("copied");
    let at = |name: &str| format!("docker-graph:{}:{name}", copied.display());
    run(Command::new("cp").arg("--archive").arg(images.root()).arg(&copied));
    let [changed, whiteouts, base] = [(APP[0], 2), (WHITEOUTS, 1), (BASE, 0)].map(|(name, number)| {
        let layer = layer(&copied, &images.known[name].layers[..=number]);
        (layer.join("tar-split.json.gz"), files(&copied, &layer))
    });
    let random = fs::File::options().write(true).open(changed.1.join("tree/layer/random")).unwrap();
    random.write_all_at(b"changed", 1_000_000).unwrap();
    let export = |source: &str, output: &str| {
        let mut command = images.longshore();
        attempt(command.args(["export", "--progress=quiet", "--no-store", source, "-o", output]))
    };
    let error = export(&at(APP[0]), "type=oci,dest=bad.tar").unwrap_err();
    assert!(error.contains("`tree/layer/random` in ") && error.contains("was changed: its CRC-64 is"), "{error}");
    for (tar_split, _) in [&whiteouts, &base] {
        fs::remove_file(tar_split).unwrap();
    }
    for (number, name) in [WHITEOUTS, BASE].into_iter().enumerate() {
        let error = export(&at(name), "type=oci,dest=bad.tar").unwrap_err();
        assert!(error.contains("has no tar-split") && error.contains("hint: add regenerate=true"), "{error}");
        for format in ["combined", "legacy"] {
            let anew = format!("anew-{number}:{format}");
            let output = format!("type=docker,format={format},name={anew},dest=anew.tar");
            export(&format!("{},regenerate=true", at(name)), &output).unwrap();
            images.daemon.load(&images.path("anew.tar")).unwrap();
            images.daemon.tree(name, |expected| {
                images.daemon.tree(&anew, |found| assert_same_tree(&expected, &found, &anew));
            });
        }
    }
    assert!(!images.path("bad.tar").exists());
}

/// What a data root has of the upper one of these layers.
fn layer(root: &Path, diff_ids: &[String]) -> PathBuf {
    let diff_ids: Vec<Digest> = diff_ids.iter().map(|diff_id| diff_id.parse().unwrap()).collect();
    let chain_ids = chain_ids(&diff_ids);
    root.join("image/overlay2/layerdb/sha256").join(chain_ids.last().unwrap().hex())
}

/// The files of a layer.
fn files(root: &Path, layer: &Path) -> PathBuf {
    root.join("overlay2").join(fs::read_to_string(layer.join("cache-id")).unwrap()).join("diff")
}

fn source(images: &DockerImages, name: &str) -> String {
    let separator = if name.is_empty() { "" } else { ":" };
    format!("docker-graph:{}{separator}{name}", images.root().display())
}

fn docker_archive(archive: &Path, name: &str) -> String {
    format!("docker-archive:{}:{name}", archive.display())
}
