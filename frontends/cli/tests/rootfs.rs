//! What sources, layers and flags make of an image.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::collections::BTreeMap;
use std::path::Path;

use longshore_core::archive::{Entry, EntryKind, Reader, Writer};
use longshore_core::compression::{Algorithm, Encoding, decoder};
use longshore_core::oci::{Digest, ImageConfig};
use longshore_testkit::validate::{self, ValidatedImage};
use run::Workdir;
use serde_json::{Value, json};

/// Exports to a layout and checks it.
fn export(work: &Workdir, arguments: &[&str]) -> Vec<ValidatedImage> {
    let _ = std::fs::remove_dir_all(work.path("out"));
    work.ok(&[&["export", "-o", "type=oci,dest=out,tar=false", "--progress=quiet"], arguments].concat());
    validate::layout_dir(&work.path("out")).unwrap().images
}

fn blob(work: &Workdir, digest: &Digest) -> Vec<u8> {
    work.read(&format!("out/{}", digest.layout_path()))
}

fn config(work: &Workdir, image: &ValidatedImage) -> Value {
    serde_json::from_slice(&blob(work, &image.config)).unwrap()
}

/// The entries of a layer, by path.
fn entries(work: &Workdir, image: &ValidatedImage, layer: usize) -> BTreeMap<String, Entry> {
    let bytes = blob(work, &image.layers[layer].digest);
    let mut reader = Reader::new(decoder(&bytes[..]).unwrap().1);
    std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| (entry.display(), entry)).collect()
}

fn archive(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    entries.iter().for_each(|(entry, data)| tar.append(entry, &mut &data[..]).unwrap());
    tar.finish().unwrap()
}

#[test]
fn an_archive_is_taken_byte_for_byte() {
    let work = Workdir::new();
    let tar = archive(&[(Entry { uid: 7, ..Entry::file("./odd/../name", 0o600, 1) }, b"x")]);
    let tar = [tar, vec![0; 5000]].concat();
    work.write("a.tar", &tar);
    for (algorithm, name) in [(Algorithm::Gzip, "a.tar.gz"), (Algorithm::Zstd, "a.tar.zst")] {
        work.write(name, Encoding::new(algorithm, None).unwrap().encode(&tar).unwrap());
    }
    // Such a name is the archive's own business, so only the digest is looked at here.
    for name in ["a.tar", "a.tar.gz", "a.tar.zst"] {
        work.ok(&["export", "scratch", "--layer", name, "-o", "type=oci,dest=out.tar,compression=uncompressed"]);
        let digest = Digest::of(&tar);
        let mut reader = Reader::new(std::fs::File::open(work.path("out.tar")).unwrap());
        let found = std::iter::from_fn(|| reader.next_entry().unwrap()).any(|e| e.display() == digest.layout_path());
        assert!(found, "{name}");
    }
}

#[test]
fn rules_apply_to_directories_and_archives_alike() {
    let work = Workdir::new();
    for file in ["dir/bin/app", "dir/app.log", "dir/keep.log", "dir/cache/x", "dir/sub/cache/y"] {
        work.write(file, file);
    }
    work.write("dir/.dockerignore", "# comment\n**/cache\n.dockerignore\n");
    let file = |path: &str| (Entry::file(path, 0o644, 1), &b"x"[..]);
    let directory = |path: &str| (Entry::new(path, EntryKind::Directory, 0o755), &b""[..]);
    let names = ["bin/app", "app.log", "keep.log"];
    let mut tar: Vec<_> = vec![directory("bin")];
    tar.extend(names.map(file));
    tar.push((Entry { link: "bin/app".into(), ..Entry::new("link", EntryKind::HardLink, 0o644) }, b""));
    work.write("app.tar", archive(&tar));
    let rules = ["--owner", "5:6", "--exclude", "*.log", "--exclude", "!keep.log"];
    let layers = ["scratch", "--layer", "dir:/opt/a", "--layer", "app.tar:/opt/b/"];
    let images = export(&work, &[&layers[..], &rules].concat());
    let dir = entries(&work, &images[0], 0);
    assert_eq!(dir.keys().collect::<Vec<_>>(), ["opt/a/bin", "opt/a/bin/app", "opt/a/keep.log", "opt/a/sub"]);
    let tar = entries(&work, &images[0], 1);
    assert_eq!(tar.keys().collect::<Vec<_>>(), ["opt/b/bin", "opt/b/bin/app", "opt/b/keep.log", "opt/b/link"]);
    assert_eq!(tar["opt/b/link"].link, b"opt/b/bin/app");
    assert!(dir.values().chain(tar.values()).all(|entry| (entry.uid, entry.gid) == (5, 6)));
}

/// A header block with a checksum of its own: as some old Java tools write it, ustar without a version and
/// without owners.
fn block_without_version(prefix: &str, name: &str, size: usize) -> Vec<u8> {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0  ");
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.to_vec()
}

#[test]
fn files_of_old_writers_keep_their_directories() {
    let work = Workdir::new();
    let file = |prefix, content: &str| {
        let data = [content.as_bytes(), &vec![0; 512 - content.len()]].concat();
        [block_without_version(prefix, "Main.class", content.len()), data].concat()
    };
    work.write("old.tar", [file("com/example/one", "1"), file("com/example/two", "22"), vec![0; 1024]].concat());
    let images = export(&work, &["scratch", "--layer", "old.tar:/o"]);
    let found = entries(&work, &images[0], 0);
    let found: Vec<_> = found.iter().map(|(path, entry)| (path.as_str(), entry.size, entry.uid)).collect();
    assert_eq!(found, [("o/com/example/one/Main.class", 1, 0), ("o/com/example/two/Main.class", 2, 0)]);
}

#[test]
fn an_archive_without_its_end_is_a_layer() {
    let work = Workdir::new();
    let content = [b'c'; 700];
    let whole = archive(&[(Entry::file("a", 0o644, 1), b"x"), (Entry::file("b", 0o644, 700), &content)]);
    let last = 3 * 512 + 700;
    for end in [last, last + 5, whole.len() - 1024, whole.len() - 600, whole.len() - 512] {
        work.write("cut.tar", &whole[..end]);
        let images = export(&work, &["scratch", "--layer", "cut.tar"]);
        assert_eq!(images[0].layers[0].diff_id, Digest::of(&whole[..end]), "{end}");
        assert_eq!(entries(&work, &images[0], 0).len(), 2, "{end}");
        let moved = export(&work, &["scratch", "--layer", "cut.tar:/o"]);
        let again = archive(&[(Entry::file("o/a", 0o644, 1), b"x"), (Entry::file("o/b", 0o644, 700), &content)]);
        assert_eq!(moved[0].layers[0].diff_id, Digest::of(&again), "{end}");
    }
    work.write("cut.tar", &whole[..last - 1]);
    for layer in ["cut.tar", "cut.tar:/o"] {
        let ran = work.run(&["export", "scratch", "--layer", layer, "-o", "type=oci,dest=cut-out.tar"]);
        assert_eq!(ran.code, Some(3), "{layer}");
        let expected = "the tar archive ends early: at byte 2235, within the tar entry `b` at byte 1024\n";
        assert!(ran.stderr.ends_with(expected), "{layer}: {}", ran.stderr);
    }
}

#[test]
fn flags_and_a_config_file_make_the_configuration() {
    let work = Workdir::new();
    work.write("tree/file", "");
    work.write(
        "config.json",
        r#"{"author":"a","x-own":{"n":1.50},"config":{"Env":["A=1"],"Shell":["sh"],"Cmd":["old"]}}"#,
    );
    let flags = [
        "--config",
        "config.json",
        "--env",
        "A=2",
        "--env",
        "B=x=y",
        "--entrypoint",
        r#"["/app","-v"]"#,
        "--workdir",
        "/srv",
        "--user",
        "1000:1000",
        "--label",
        "k=v",
        "--expose",
        "80",
        "--expose",
        "53/udp",
        "--volume",
        "/data",
        "--stop-signal",
        "SIGQUIT",
    ];
    let images = export(&work, &[&["rootfs:tree"], &flags[..]].concat());
    let config = config(&work, &images[0]);
    let expected = json!({
        "User": "1000:1000", "ExposedPorts": {"53/udp": {}, "80/tcp": {}}, "Env": ["A=2", "B=x=y"],
        "Entrypoint": ["/app", "-v"], "Volumes": {"/data": {}}, "WorkingDir": "/srv", "Labels": {"k": "v"},
        "StopSignal": "SIGQUIT", "Shell": ["sh"],
    });
    assert_eq!(config["config"], expected);
    assert_eq!((&config["author"], &config["x-own"]["n"]), (&json!("a"), &json!(1.50)));
    assert_eq!(config["history"][0]["created_by"], "rootfs");
    let bytes = blob(&work, &images[0].config);
    assert!(String::from_utf8(bytes).unwrap().contains(r#""x-own":{"n":1.50}"#), "the text of unknown fields is kept");
}

#[test]
fn several_platforms_are_one_image_and_can_be_selected() {
    let work = Workdir::new();
    for file in ["arm/app", "amd/app", "both/file"] {
        work.write(file, file);
    }
    let sources = ["linux/arm64=rootfs:arm", "linux/amd64=rootfs:amd", "--layer", "both"];
    let images = export(&work, &sources);
    let platforms: Vec<_> = images.iter().map(|image| image.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/arm64", "linux/amd64"]);
    assert_eq!(images[0].layers[1], images[1].layers[1], "a layer for all platforms is the same one");
    let one = export(&work, &[&sources[..], &["--platform", "linux/arm64"]].concat());
    assert_eq!(one.len(), 1);
    assert_eq!((&one[0].config, &one[0].layers), (&images[0].config, &images[0].layers));
}

#[test]
fn created_is_the_newest_file_of_the_layers_made_here() {
    let work = Workdir::new();
    let set = |path: &str, seconds| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        std::fs::File::open(work.path(path)).unwrap().set_modified(time).unwrap();
    };
    for (file, seconds) in [("tree/new", 1_500_000_000), ("tree/old", 1_000_000_000), ("more/file", 1_200_000_000)] {
        work.write(file, "");
        set(file, seconds);
    }
    let images = export(&work, &["rootfs:tree", "--layer", "more"]);
    let found = config(&work, &images[0]);
    assert_eq!(found["created"], "2017-07-14T02:40:00Z");
    assert_eq!(found["history"][0]["created"], "2017-07-14T02:40:00Z");
    assert_eq!(found["history"][1]["created"], "2008-01-10T21:20:00Z");
    work.write("config.json", r#"{"created":"2001-02-03T04:05:06Z"}"#);
    let images = export(&work, &["rootfs:tree", "--config", "config.json"]);
    assert_eq!(config(&work, &images[0])["created"], "2001-02-03T04:05:06Z");
}

#[test]
fn an_image_without_layers() {
    let work = Workdir::new();
    let images = export(&work, &["scratch", "--cmd", "/none"]);
    assert_eq!((images.len(), images[0].layers.len()), (1, 0));
    let parsed = ImageConfig::parse(&blob(&work, &images[0].config)).unwrap();
    assert_eq!(parsed.diff_ids().unwrap(), []);
}

#[test]
fn a_dry_run_reads_no_layer_and_writes_nothing() {
    let work = Workdir::new();
    work.write("tree/.wh.would-fail", "");
    let arguments =
        ["export", "rootfs:tree", "--dry-run", "-o", "type=oci,name=a:1,dest=a.tar", "-o", "type=oci,dest=d,tar=false"];
    let ran = work.ok(&arguments);
    let expected = "type=oci to a.tar\n  image docker.io/library/a:1 for linux/amd64\n    layer tree: gzip, level 6\n\
        type=oci to d\n  image without a name for linux/amd64\n    layer tree: gzip, level 6\n";
    let host = longshore_core::oci::Platform::host().to_string();
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), expected.replace("linux/amd64", &host));
    assert_eq!(work.names(), ["tree"]);
}

#[test]
fn an_archive_on_standard_output_and_files_for_programs() {
    let work = Workdir::new();
    work.write("tree/file", "");
    let flags = ["--metadata-file", "m.json", "--iidfile", "iid", "--progress=json"];
    let ran = work.ok(&[
        &["export", "rootfs:tree", "-o", "type=oci,name=a:1", "-o", "type=oci,dest=a.tar,name=a:1"],
        &flags[..],
    ]
    .concat());
    assert_eq!(ran.stdout, work.read("a.tar"));
    let metadata: Value = serde_json::from_slice(&work.read("m.json")).unwrap();
    assert_eq!(metadata["image.name"], "docker.io/library/a:1");
    assert_eq!(metadata["containerimage.descriptor"]["digest"], metadata["containerimage.digest"]);
    assert_eq!(metadata["containerimage.config.digest"].as_str().unwrap().as_bytes(), work.read("iid"));
    assert_eq!(metadata["longshore.outputs"].as_array().unwrap().len(), 2);
    for line in ran.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(event["event"].is_string());
    }
}

#[test]
fn many_processes_write_to_one_layout() {
    let work = Workdir::new();
    work.write("tree/file", "shared");
    std::thread::scope(|scope| {
        for process in 0..8 {
            let work = &work;
            scope.spawn(move || {
                work.write(&format!("own{process}/file"), process.to_string());
                for run in 0..6 {
                    let output = format!("type=oci,dest=layout,tar=false,name=app:{process}-{run}");
                    let own = format!("own{process}");
                    work.ok(&["export", "rootfs:tree", "--layer", &own, "-o", &output, "--jobs=1", "--progress=quiet"]);
                }
            });
        }
    });
    let images = validate::layout_dir(&work.path("layout")).unwrap().images;
    let names: std::collections::BTreeSet<_> = images.iter().flat_map(|image| image.names.clone()).collect();
    assert_eq!(names.len(), 48, "no tag is lost");
    assert!(Path::new(&work.path("layout/index.json.lock")).exists());
    let left_over = work.names().into_iter().filter(|name| name.starts_with(".longshore-tmp-")).count();
    assert_eq!(left_over, 0);
}
