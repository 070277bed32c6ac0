//! Many processes that write to one layout at once: none gives up, and nothing is lost.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "faults/figures.rs"]
mod figures;
mod run;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use longshore_testkit::validate;
use run::Workdir;
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
