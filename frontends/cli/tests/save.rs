//! `longshore save`: what names stand for, and what comes out.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use longshore_core::archive::TarFile;
use longshore_testkit::docker::{DockerRoot, GraphDriver};
use longshore_testkit::sample::{TarOptions, tar_bytes};
use run::Workdir;
use serde_json::{Value, json};

/// `app:1` and `app:2`, which is `other:latest` too, as the sources `image` and `docker-graph:./docker`.
fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("one/file", "one");
    work.write("two/file", "two");
    work.ok(&["export", "rootfs:one", "-o", "type=image,name=app:1"]);
    work.ok(&["export", "rootfs:two", "-o", "type=image,\"name=app:2,other\""]);
    let docker = DockerRoot::new(&work.path("docker"), GraphDriver::Overlay2);
    let layers = [1, 2].map(|seed| tar_bytes(seed, TarOptions::default()));
    let (one, two) = (docker.build(&layers[..1]), docker.build(&layers));
    docker.tag("app:1", &one.id);
    docker.tag("app:2", &two.id);
    docker.tag("other:latest", &two.id);
    docker.set_parent(&two.id, &one.id);
    work
}

const SOURCES: [&str; 2] = ["image", "docker-graph:./docker"];

/// The documents of an archive.
fn items(archive: &Path) -> Vec<Value> {
    let tar = TarFile::open(File::open(archive).unwrap()).unwrap();
    let items: Value = serde_json::from_slice(&tar.document("manifest.json", 1 << 20).unwrap()).unwrap();
    items.as_array().unwrap().clone()
}

/// The names of each image in the archive of `names`.
fn saved(work: &Workdir, from: &str, names: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["save", "--from", from, "--output", "out.tar"];
    arguments.extend(names);
    work.ok(&arguments);
    work.ok(&["verify", "docker-archive:out.tar"]);
    items(&work.path("out.tar")).into_iter().map(|item| item["RepoTags"].clone()).collect()
}

#[test]
fn names_stand_for_what_they_stand_for_in_docker() {
    let work = prepared();
    for from in SOURCES {
        let saved = |names: &[&str]| saved(&work, from, names);
        assert_eq!(saved(&["app:1"]), [json!(["app:1"])], "{from}");
        assert_eq!(saved(&["app"]), [json!(["app:1"]), json!(["app:2"])], "{from}");
        assert_eq!(saved(&["other"]), [json!(["other:latest"])], "{from}");
        assert_eq!(saved(&["docker.io/library/other:latest", "app:2"]), [json!(["other:latest", "app:2"])], "{from}");
        assert_eq!(saved(&["app", "other", "app:1"]), [json!(["app:1"]), json!(["app:2", "other:latest"])], "{from}");
    }
}

#[test]
fn ids_and_the_start_of_one() {
    let work = prepared();
    for from in SOURCES {
        saved(&work, from, &["app:1"]);
        let config = items(&work.path("out.tar"))[0]["Config"].as_str().unwrap().to_owned();
        let id = config.rsplit('/').next().unwrap();
        for reference in [id, &format!("sha256:{id}"), &id[..12]] {
            assert_eq!(saved(&work, from, &[reference]), [Value::Null], "{from} {reference}");
            assert_eq!(items(&work.path("out.tar"))[0]["Config"], json!(config));
        }
        // Named too, it is one image with that name.
        assert_eq!(saved(&work, from, &[id, "app:1"]), [json!(["app:1"])]);
        let unknown = work.run(&["save", "--from", from, "--output", "new.tar", "app:1", "nothing:1"]);
        assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
        assert!(unknown.stderr.contains("nothing:1"), "{}", unknown.stderr);
        assert!(!work.path("new.tar").exists());
    }
}

#[test]
fn every_format_holds_the_same_images() {
    let work = prepared();
    for from in SOURCES {
        let ids = |format: &str| {
            work.ok(&["save", "--from", from, "--format", format, "-o", "out.tar", "app"]);
            work.ok(&["verify", "docker-archive:out.tar"]);
            let id = |item: &Value| {
                let config = item["Config"].as_str().unwrap().trim_end_matches(".json");
                config.rsplit('/').next().unwrap().to_owned()
            };
            items(&work.path("out.tar")).iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(ids("combined"), ids("legacy"), "{from}");
    }
    work.ok(&["save", "--from", SOURCES[1], "--format", "legacy", "-o", "out.tar", "app"]);
    let parent = items(&work.path("out.tar"))[1]["Parent"].as_str().unwrap().to_owned();
    assert_eq!(format!("{}.json", parent.trim_start_matches("sha256:")), items(&work.path("out.tar"))[0]["Config"]);
}

#[test]
fn an_archive_goes_through_a_pipe_and_is_the_same_each_time() {
    let work = prepared();
    for from in SOURCES {
        work.ok(&["save", "--from", from, "-o", "file.tar", "app", "other"]);
        let piped = work.ok(&["save", "--from", from, "app", "other"]);
        assert_eq!(piped.stdout, work.read("file.tar"), "{from}");
        let mut import = work.command(&["import", "-", "--store", "again"]);
        let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut import.stdin.take().unwrap(), &piped.stdout).unwrap();
        assert!(import.wait().unwrap().success());
        fs::remove_dir_all(work.path("again")).unwrap();
    }
}

#[test]
fn nothing_remains_of_a_save_that_fails() {
    let work = prepared();
    work.ok(&["export", "scratch", "-o", "type=image,name=empty:1"]);
    work.write("out.tar", "old");
    let before = work.names();
    for (arguments, code, words) in [
        (&["empty:1", "--format", "legacy"][..], 3, "empty export - not implemented"),
        (&["app", "--format", "tar"][..], 2, "possible values: combined, legacy"),
        (&["app", "--platform", "linux/s390x"][..], 3, "no image for platform linux/s390x"),
        (&["App"][..], 2, "App"),
    ] {
        let ran = work.run(&[&["save", "-o", "out.tar"], arguments].concat());
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert_eq!((work.read("out.tar"), work.names()), (b"old".to_vec(), before.clone()));
    }
    work.ok(&["save", "empty:1", "-o", "out.tar"]);
}

#[test]
fn a_name_is_never_empty() {
    let work = prepared();
    for from in SOURCES {
        let ran = work.run(&["save", "--from", from, "-o", "new.tar", "app:1", ""]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(!work.path("new.tar").exists());
    }
}

#[test]
fn a_file_is_for_its_owner_and_a_dash_is_standard_output() {
    use std::os::unix::fs::PermissionsExt;
    let work = prepared();
    work.ok(&["save", "app:1", "-o", "new.tar"]);
    assert_eq!(fs::metadata(work.path("new.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(work.ok(&["save", "app:1", "-o", "-"]).stdout, work.read("new.tar"));
    assert!(!work.path("-").exists());
}

#[test]
fn where_else_an_image_may_be_is_said() {
    let work = Workdir::new();
    let nothing = work.run(&["save", "app:1", "-o", "new.tar"]);
    assert_eq!(nothing.code, Some(3));
    assert!(nothing.stderr.contains("there is no image store"), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("--from docker-graph"), "{}", nothing.stderr);
    assert_eq!(fs::read_dir(work.store()).unwrap().count(), 0);
    let work = prepared();
    let unknown = work.run(&["save", "zebra:9", "-o", "new.tar"]);
    assert!(unknown.stderr.contains("--from docker-graph"), "{}", unknown.stderr);
}

#[test]
fn options_of_the_source_follow_it() {
    let work = prepared();
    let from =
        |options: &str| work.run(&["save", "--from", &format!("{}{options}", SOURCES[1]), "-o", "o.tar", "app:1"]);
    assert_eq!(from(",driver=overlay2,regenerate=false").code, Some(0));
    let wrong = from(",regenerat=true");
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("source `docker-graph:` has no option `regenerat`"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("did you mean `regenerate`?"), "{}", wrong.stderr);
    assert!(from(",driver=vfs").stderr.contains("cannot open"), "{}", from(",driver=vfs").stderr);
}

/// `script`, of the package bsdutils that every Debian has, gives a terminal.
#[test]
fn a_terminal_is_refused() {
    let work = prepared();
    let binary = env!("CARGO_BIN_EXE_longshore");
    let mut script = Command::new("script");
    let command = format!("{binary} save app:1");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(work.root());
    let output = script.env("LONGSHORE_ROOT", work.store()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("an archive is not written to a terminal"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
