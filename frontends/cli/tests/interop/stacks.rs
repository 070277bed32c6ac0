//! The files of random stacks of layers, beside what a model says, GNU tar and umoci.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use longshore_testkit::stack::{self, Stack, read_tree};
use tempfile::TempDir;

use super::command::{attempt, longshore_export, run};

/// Stacks that are tried.
const SEEDS: std::ops::Range<u64> = 2000..2400;

/// What umoci does not unpack: a hard link to what its own name removes, such as `d` to `d/a`.
const REFUSED: [u64; 7] = [2003, 2037, 2150, 2181, 2196, 2357, 2390];

/// The layer hides a directory that it adds to through a link: umoci keeps the attributes of the lower one.
const DIFFERENT: [u64; 1] = [2155];

/// What the files of the layers are by whoever wrote them: all but the root, of which no layer says what it is.
type Files = BTreeMap<String, String>;

pub(crate) fn local_tar_and_others_give_the_same_files() {
    let (even, odd): (Vec<u64>, Vec<u64>) = SEEDS.partition(|seed| seed % 2 == 0);
    thread::scope(|scope| {
        for half in [even, odd] {
            scope.spawn(|| half.into_iter().for_each(all_give_the_same));
        }
    });
}

fn all_give_the_same(seed: u64) {
    let Stack { layers, mut tree } = stack::random(seed);
    tree.remove("");
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    export(place.path(), &layers);
    assert_same(seed, "type=local", &tree, &files(&place, "local"));
    fs::create_dir(place.path().join("extracted")).unwrap();
    let options = ["--numeric-owner", "--same-owner", "--same-permissions", "-xf", "files.tar", "-C", "extracted"];
    run(Command::new("tar").args(options).current_dir(&place));
    assert_same(seed, "type=tar and GNU tar", &tree, &files(&place, "extracted"));
    // What local wrote is exported again: the same entries, and so the same layer.
    run(longshore_export(place.path()).args(["rootfs:local", "--no-store", "-o", "type=tar,dest=again.tar"]));
    let [tar, again] = ["files.tar", "again.tar"].map(|name| fs::read(place.path().join(name)).unwrap());
    assert!(tar == again, "{seed}: the directory is another layer than the archive");
    let mut umoci = Command::new("umoci");
    match attempt(umoci.args(["raw", "unpack", "--image", "layout:1", "umoci"]).current_dir(&place)) {
        Err(error) => assert!(REFUSED.contains(&seed), "{seed}, umoci: {error}"),
        Ok(_) if DIFFERENT.contains(&seed) => {}
        Ok(_) => assert_same(seed, "umoci", &without_times(tree), &without_times(files(&place, "umoci"))),
    }
}

/// What a layer with nothing to say of a directory does to its time, each tool decides for itself.
fn without_times(mut files: Files) -> Files {
    for what in files.values_mut().filter(|what| what.starts_with("directory")) {
        let time = what.rfind(' ').unwrap();
        what.truncate(time);
    }
    files
}

fn export(place: &Path, layers: &[Vec<stack::Item>]) {
    let mut command = longshore_export(place);
    command.args(["scratch", "--no-store"]);
    for (number, items) in layers.iter().enumerate() {
        let name = format!("{number}.tar");
        fs::write(place.join(&name), stack::tar(items)).unwrap();
        command.args(["--layer", &name]);
    }
    run(command.args([
        "-o",
        "type=local,dest=local",
        "-o",
        "type=tar,dest=files.tar",
        "-o",
        "type=oci,tar=false,name=a:1,dest=layout",
    ]));
}

fn files(place: &TempDir, name: &str) -> Files {
    let mut files = read_tree(&place.path().join(name));
    files.remove("");
    files
}

fn assert_same(seed: u64, who: &str, expected: &Files, found: &Files) {
    let of = |files: &Files| files.iter().map(|(path, what)| format!("{path}: {what}\n")).collect::<String>();
    assert!(expected == found, "{seed}, {who}:\n{}\nexpected:\n{}", of(found), of(expected));
}
