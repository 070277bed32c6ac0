//! Many processes that write to one layout at once: none gives up, and nothing is lost.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "faults/figures.rs"]
mod figures;
mod run;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use longshore_testkit::validate;
use run::{Workdir, heeding};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Exports to one layout from so many processes at a time, each of which is followed by another; returns how long the
/// slowest export took.
fn crowd(work: &Workdir, processes: usize, exports: usize) -> Duration {
    let export = |process: usize, number: usize| {
        let output = format!("type=oci,tar=false,dest=layout,name=app:{process}-{number}");
        let since = Instant::now();
        work.ok(&["export", "rootfs:tree", "--no-store", "--progress=quiet", "-o", &output]);
        since.elapsed()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..processes)
            .map(|process| scope.spawn(move || (0..exports).map(|number| export(process, number)).max().unwrap()))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).max().unwrap()
    })
}

fn names(work: &Workdir) -> BTreeSet<String> {
    let index: Value = serde_json::from_slice(&work.read("layout/index.json")).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    let name = |entry: &Value| entry["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned();
    let names: BTreeSet<String> = manifests.iter().map(name).collect();
    assert_eq!(names.len(), manifests.len());
    names
}

/// A signal did not end the wait, so that the run was ended without its leave.
#[test]
fn a_signal_ends_the_wait_for_the_layout() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    work.ok(&["export", "rootfs:tree", "-o", "type=oci,tar=false,dest=layout"]);
    let before = (work.names(), work.read("layout/index.json"));
    let held = std::fs::File::options().write(true).open(work.path("layout/index.json.lock")).unwrap();
    held.lock().unwrap();
    let output = "type=oci,tar=false,dest=layout,name=app:1";
    let export = work.command(&["export", "rootfs:tree", "--progress=plain", "-o", output]);
    let mut child = heeding(&export).stderr(Stdio::piped()).spawn().unwrap();
    let inode = format!(":{} ", held.metadata().unwrap().ino());
    let is_waiting = |line: &str| line.contains("->") && line.contains(&inode);
    while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_waiting) {
        assert_eq!(child.try_wait().unwrap(), None, "it waits");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ran = run::Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(143), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("error: cancelled\n"), "it ended by itself: {}", ran.stderr);
    drop(held);
    assert_eq!((work.names(), work.read("layout/index.json")), before);
}

/// With `LONGSHORE_FAULTS`, as many as the page of figures promises.
#[test]
fn no_export_to_a_shared_layout_is_lost() {
    let is_long = std::env::var_os("LONGSHORE_FAULTS").is_some();
    let (processes, exports) = if is_long { (160, 30) } else { (16, 3) };
    let work = Workdir::new();
    work.write("tree/file", "content");
    let begun = Instant::now();
    let slowest = crowd(&work, processes, exports);
    let expected: BTreeSet<String> = (0..processes)
        .flat_map(|process| (0..exports).map(move |number| format!("docker.io/library/app:{process}-{number}")))
        .collect();
    let found = names(&work);
    let lost = expected.difference(&found).count();
    assert!(lost == 0 && found.len() == expected.len(), "{lost} of {} lost", expected.len());
    validate::layout_dir(&work.path("layout")).unwrap();
    let text = format!(
        "{} exports by {processes} processes at a time to one layout, 0 lost. The slowest export took {} s, with all of its \
         waiting; all of them {} s.\n",
        expected.len(),
        slowest.as_secs(),
        begun.elapsed().as_secs()
    );
    println!("{text}");
    figures::write("shared layout", &text);
}
