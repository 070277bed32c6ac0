//! Layers are unpacked with few open files, however many there are. The limit is that of the process, so this test has
//! one of its own.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "unpack/fixture.rs"]
mod fixture;

use fixture::{layers, snapshots};
use longshore_store::EmbeddedStore;
use longshore_testkit::stack::{directory, file, hard_link};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// 700 layers failed with 1,024 descriptors: each took two.
#[test]
fn snapshots_of_700_layers_need_few_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..limit }).unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path().join("store")).unwrap();
    let mut stack: Vec<_> =
        (0..699).map(|at| vec![directory("d"), file(&format!("d/{at}"), &at.to_string())]).collect();
    // Its content is in the lowest layer.
    stack.push(vec![hard_link("again", "d/0")]);
    let layers = layers(&stack);
    let mount = snapshots(&layers, &store).unwrap().unwrap();
    assert_eq!(mount.layers.len(), 700);
    let read = |at: usize, name: &str| std::fs::read_to_string(mount.layers[at].join(name)).unwrap();
    assert_eq!([read(0, "again"), read(699, "d/0"), read(1, "d/698")], ["0", "0", "698"]);
}
