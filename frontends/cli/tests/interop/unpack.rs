//! `longshore unpack` beside what umoci and GNU tar make of the same layers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore_core::archive::{Entry, EntryKind, Writer};
use tempfile::TempDir;

use super::command::{attempt_with, longshore, run};
use super::fixture::{COMPRESSIONS, Exported, NAME, TAG};
use super::tree::Tree;

/// Layers over the Debian tree.
const LAYERS: usize = 32;

fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// `longshore` with an image store in `directory`.
fn run_longshore(directory: &Path, arguments: &[&str]) -> String {
    let mut command = longshore(directory);
    command.env("LONGSHORE_ROOT", directory.join("store")).args(arguments);
    attempt_with(&mut command, Stdio::null()).unwrap_or_else(|stderr| panic!("{arguments:?}:\n{stderr}"))
}

fn assert_same(expected: &Tree, found: &Path, what: &str) {
    let differences = expected.differences(&Tree::read(found));
    assert!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
}

/// The image `name` in both ways: written to a directory, and mounted.
fn assert_unpacks(directory: &Path, name: &str, expected: &Tree) {
    run_longshore(directory, &["unpack", name, "--to", "out", "--progress=quiet"]);
    assert_same(expected, &directory.join("out"), "--to");
    fs::create_dir(directory.join("mounted")).unwrap();
    run_longshore(directory, &["unpack", name, "--mount", "mounted", "--progress=quiet"]);
    let differences = expected.differences(&Tree::read(&directory.join("mounted")));
    run(Command::new("umount").arg(directory.join("mounted")));
    assert!(differences.is_empty(), "--mount:\n{}", differences.join("\n"));
}

pub(crate) fn the_debian_tree_comes_out(exported: &Exported) {
    for compression in COMPRESSIONS {
        let directory = scratch();
        let layout = exported.layout(compression).display().to_string();
        run_longshore(directory.path(), &["import", &layout, "--progress=quiet"]);
        assert_unpacks(directory.path(), NAME, &exported.tree());
    }
}

/// An image of many layers that replace, hide, link and change what is below them.
pub(crate) fn many_layers_are_what_umoci_and_tar_give(exported: &Exported) {
    let directory = scratch();
    let place = directory.path();
    let tars: Vec<PathBuf> = (0..LAYERS)
        .map(|number| {
            let path = place.join(format!("{number}.tar"));
            fs::write(&path, layer(number)).unwrap();
            path
        })
        .collect();
    let base = format!("oci:{}:{TAG}", exported.layout("gzip").display());
    let mut command = longshore(place);
    command.env("LONGSHORE_ROOT", place.join("store")).args(["export", &base, "--progress=quiet"]);
    command.args(tars.iter().flat_map(|tar| [Path::new("--layer"), tar]));
    let outputs = ["type=image,name=many:1", "type=oci,tar=false,name=many:1,dest=layout"];
    run(command.args(["-o", outputs[0], "-o", outputs[1]]));

    let by_tar = place.join("by-tar");
    run(Command::new("cp").arg("-a").arg(exported_root(exported, place)).arg(&by_tar));
    tars.iter().for_each(|tar| apply_with_tar(tar, &by_tar));
    // What a layer with nothing to say of a directory does to its time, each tool decides for itself.
    let expected = Tree::read(&by_tar).without_directory_times();

    let bundle = place.join("bundle");
    let image = format!("{}:1", place.join("layout").display());
    run(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    let differences = expected.differences(&Tree::read(&bundle.join("rootfs")).without_directory_times());
    assert!(differences.is_empty(), "umoci:\n{}", differences.join("\n"));

    run_longshore(place, &["unpack", "many:1", "--to", "out", "--progress=quiet"]);
    fs::rename(place.join("out"), place.join("first")).unwrap();
    let differences = expected.differences(&Tree::read(&place.join("first")).without_directory_times());
    assert!(differences.is_empty(), "--to:\n{}", differences.join("\n"));
    assert_unpacks(place, "many:1", &Tree::read(&place.join("first")));
    assert_files(place, "image:many:1");
    let options = run_longshore(place, &["unpack", "many:1"]);
    assert_eq!(options.split(':').count(), LAYERS + 2);
}

/// The files of an image in a directory, and in an archive that GNU tar extracts, are those that were unpacked to `first`.
fn assert_files(place: &Path, source: &str) {
    let unpacked = || Tree::read(&place.join("first")).without_root();
    run_longshore(place, &["export", source, "-o", "files", "-o", "type=tar,dest=files.tar", "--progress=quiet"]);
    let differences = unpacked().differences(&Tree::read(&place.join("files")).without_root());
    assert!(differences.is_empty(), "type=local:\n{}", differences.join("\n"));
    fs::create_dir(place.join("extracted")).unwrap();
    let options = ["--numeric-owner", "--same-owner", "--same-permissions", "--xattrs", "--xattrs-include=*"];
    run(Command::new("tar")
        .args(options)
        .arg("-xf")
        .arg(place.join("files.tar"))
        .arg("-C")
        .arg(place.join("extracted")));
    let differences = unpacked().differences(&Tree::read(&place.join("extracted")).without_root());
    assert!(differences.is_empty(), "type=tar:\n{}", differences.join("\n"));
}

/// The image below the layers, unpacked by umoci.
fn exported_root(exported: &Exported, place: &Path) -> PathBuf {
    let bundle = place.join("base");
    let image = format!("{}:{TAG}", exported.layout("gzip").display());
    run(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    bundle.join("rootfs")
}

fn layer(number: usize) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    let mut add = |path: &str, kind: EntryKind, content: &str, link: &str| {
        let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
        let entry = Entry { link: link.into(), size: content.len() as u64, ..Entry::new(path, kind, mode) };
        let entry = Entry { mtime: 1_600_000_000 + number as i64, uid: number as u64 % 3, ..entry };
        tar.append(&entry, &mut content.as_bytes()).unwrap();
    };
    use EntryKind::{Directory, File, HardLink, Symlink};
    let text = format!("of layer {number}");
    add("opt", Directory, "", "");
    add("opt/layers", Directory, "", "");
    add(&format!("opt/layers/{number}"), File, &text, "");
    add("opt/shared", File, &text, "");
    // In Debian `bin` is a link to `usr/bin`.
    add(&format!("bin/tool{number}"), File, &text, "");
    match number {
        3 | 13 | 23 => add(&format!("opt/link{number}"), HardLink, "", "usr/bin/env"),
        5 | 15 | 25 => add(&format!("opt/layers/.wh.{}", number - 2), File, "", ""),
        8 => {
            add("opt/opaque", Directory, "", "");
            add("opt/opaque/a", File, "a", "");
            add("opt/change", Directory, "", "");
            add("opt/change/below", File, "below", "");
        }
        9 => add("opt/change", File, "a file by now", ""),
        10 => add("opt/change", Symlink, "", "shared"),
        11 => add("usr/share/.wh.doc", File, "", ""),
        12 => {
            add("opt/opaque/.wh..wh..opq", File, "", "");
            add("opt/opaque/b", File, "b", "");
        }
        14 => add("usr/share/doc", File, "no directory any more", ""),
        _ => {}
    }
    tar.finish().unwrap()
}

/// By hand what tar does not do, whiteouts and files in place of directories, and then the rest.
fn apply_with_tar(tar: &Path, root: &Path) {
    let list = run(Command::new("tar").arg("-tf").arg(tar));
    let directories: Vec<&Path> = list.lines().filter(|line| line.ends_with('/')).map(Path::new).collect();
    for path in list.lines().map(Path::new) {
        let Some(hidden) = path.file_name().unwrap().to_str().unwrap().strip_prefix(".wh.") else {
            let at = root.join(path);
            if at.symlink_metadata().is_ok_and(|found| found.is_dir()) && !directories.contains(&path) {
                run(Command::new("rm").arg("-rf").arg(at));
            }
            continue;
        };
        let parent = root.join(path.parent().unwrap());
        if hidden == ".wh..opq" {
            for entry in fs::read_dir(&parent).unwrap() {
                run(Command::new("rm").arg("-rf").arg(entry.unwrap().path()));
            }
        } else {
            run(Command::new("rm").arg("-rf").arg(parent.join(hidden)));
        }
    }
    let options = ["--exclude=.wh.*", "--numeric-owner", "--same-owner", "--same-permissions"];
    run(Command::new("tar").args(options).arg("-xf").arg(tar).arg("-C").arg(root));
}
