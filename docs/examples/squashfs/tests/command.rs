//! The command with the exporter and the frontend.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use longshore_testkit::{are_installed, write_executable};

fn command(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore-example-squashfs"));
    command.args(arguments).current_dir(place).env("LONGSHORE_ROOT", place.join("store")).stdin(Stdio::null());
    command.env("TMPDIR", place.join("tmp")).env_remove("SOURCE_DATE_EPOCH");
    command
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("tree/d")).unwrap();
    fs::create_dir(place.path().join("tmp")).unwrap();
    fs::write(place.path().join("tree/d/f"), "content").unwrap();
    place
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ok(place: &Path, arguments: &[&str]) -> Output {
    let output = command(place, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

#[test]
fn main_has_ten_lines() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 10, "{main}");
}

#[test]
fn the_command_lists_both() {
    let place = place();
    let exporters = String::from_utf8(ok(place.path(), &["exporters", "squashfs"]).stdout).unwrap();
    assert!(
        exporters.starts_with("type=squashfs  Files of an image as a SquashFS image\n  (linked into this program)\n"),
        "{exporters}"
    );
    for key in ["dest", "include", "compression", "block-size"] {
        assert!(exporters.contains(&format!("\n  {key}=<")), "{exporters}");
    }
    let exporters = String::from_utf8(ok(place.path(), &["exporters"]).stdout).unwrap();
    assert_eq!(exporters.matches("\n  (built in)\n").count(), 6, "{exporters}");
    let sources = String::from_utf8(ok(place.path(), &["sources"]).stdout).unwrap();
    assert!(sources.contains("\nsquashfs:FILE  ") && sources.contains("\ndocker://"), "{sources}");
}

/// Through the image and back, the layer is the same; standard output and a file are, too.
#[test]
fn what_is_exported_can_be_a_source() {
    if !are_installed(&["tar2sqfs", "unsquashfs"]) {
        return;
    }
    let place = place();
    let streamed = ok(place.path(), &["export", "rootfs:tree", "-o", "type=squashfs"]).stdout;
    ok(place.path(), &["export", "rootfs:tree", "-o", "type=squashfs,dest=a.squashfs"]);
    assert!(fs::read(place.path().join("a.squashfs")).unwrap() == streamed);
    for (source, dest) in [("rootfs:tree", "a.tar"), ("squashfs:a.squashfs", "b.tar")] {
        ok(place.path(), &["export", source, "-o", &format!("type=tar,dest={dest}")]);
    }
    let read = |name: &str| fs::read(place.path().join(name)).unwrap();
    assert!(read("a.tar") == read("b.tar"), "other files");
    let missing = command(place.path(), &["export", "squashfs:none", "-o", "type=tar"]).output().unwrap();
    assert!(stderr(&missing).contains("cannot unpack none"), "{}", stderr(&missing));
    assert_eq!(fs::read_dir(place.path().join("tmp")).unwrap().count(), 0, "something was left behind");
}

#[test]
fn a_missing_program_is_an_error_that_says_what_to_install() {
    let place = place();
    let mut export = command(place.path(), &["export", "rootfs:tree", "-o", "type=squashfs,dest=a.squashfs"]);
    let output = export.env("PATH", place.path()).output().unwrap();
    let said = stderr(&output);
    assert!(!output.status.success() && said.contains("cannot run tar2sqfs"), "{said}");
    assert!(said.contains("hint: install squashfs-tools"), "{said}");
    assert!(!place.path().join("a.squashfs").exists());
}

/// What a program that fails says is the error, whether it has read its input or not, and nothing is left behind.
#[test]
fn the_words_of_the_program_are_the_error() {
    for read in ["", "cat >/dev/null; "] {
        let place = place();
        fs::write(place.path().join("tree/large"), vec![0; 1 << 20]).unwrap();
        fs::create_dir(place.path().join("bin")).unwrap();
        let script = format!("#!/bin/sh\n{read}echo 'first: one' >&2; echo 'no room' >&2; exit 1\n");
        write_executable(&place.path().join("bin/tar2sqfs"), &script);
        let own = std::env::var_os("PATH").unwrap();
        let directories = [place.path().join("bin")].into_iter().chain(std::env::split_paths(&own));
        let mut export = command(place.path(), &["export", "rootfs:tree", "-o", "type=squashfs,dest=a.squashfs"]);
        let output = export.env("PATH", std::env::join_paths(directories).unwrap()).output().unwrap();
        let said = stderr(&output);
        assert!(
            !output.status.success() && said.contains("caused by: tar2sqfs failed\n  caused by: no room\n"),
            "{said}"
        );
        let left = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left: Vec<String> = left.filter(|name| name.contains("squashfs") || name.starts_with('.')).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A cancelled run kills the program: one that never ends is gone, and so is its output.
#[test]
fn a_cancelled_run_kills_the_program() {
    let place = place();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("bin")).unwrap();
    write_executable(&path("bin/tar2sqfs"), "#!/bin/sh\necho $$ >\"$READY\"\nexec sleep 1000\n");
    assert!(Command::new("mkfifo").arg(path("ready")).status().unwrap().success());
    assert!(path("ready").metadata().unwrap().file_type().is_fifo());
    let mut command = command(place.path(), &["export", "rootfs:tree", "-o", "type=squashfs,dest=a.squashfs"]);
    let own = std::env::var_os("PATH").unwrap();
    let directories = [path("bin")].into_iter().chain(std::env::split_paths(&own));
    command.env("PATH", std::env::join_paths(directories).unwrap()).env("READY", path("ready"));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let ready = fs::read_to_string(path("ready")).unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    let program = rustix::process::Pid::from_raw(ready.trim().parse().unwrap()).unwrap();
    let gone = rustix::process::test_kill_process(program);
    assert_eq!(gone, Err(rustix::io::Errno::SRCH), "it still runs");
    let left = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.contains("squashfs") || name.starts_with(".longshore")).collect();
    assert!(left.is_empty(), "{left:?}");
}
