//! The contract of snapshots.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use longshore_core::ErrorKind;
use longshore_core::content::{BlobMeta, ImageStore, Mount, Snapshots, chain_ids};
use longshore_core::oci::Digest;

/// Checks every line of the contract of [`Snapshots`] on the snapshots of an image store, and of views of it. `make` is
/// called for each case and gives a store that is empty.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn snapshots(make: &dyn Fn() -> Arc<dyn ImageStore>) {
    super::run("snapshots", SNAPSHOT_CASES.iter().map(|(name, case)| (*name, || case(make().as_ref()))));
    let view = || make().lease_images().expect("lease");
    super::run("snapshots of a view", SNAPSHOT_CASES.iter().map(|(name, case)| (*name, || case(view().as_ref()))));
}

/// A case of [`snapshots`], which gets an empty store.
pub type SnapshotCheck = fn(&dyn ImageStore);

/// The cases of [`snapshots`], by name.
pub const SNAPSHOT_CASES: &[(&str, SnapshotCheck)] = &[
    ("a new store has no snapshots", a_new_store_has_no_snapshots),
    ("what is committed is shown", what_is_committed_is_shown),
    ("a mount shows all that is below", a_mount_shows_all_that_is_below),
    ("nothing is shown before commit", nothing_is_shown_before_commit),
    ("dropping a writer discards", dropping_a_writer_discards),
    ("the first commit counts", the_first_commit_counts),
    ("a parent comes first", a_parent_comes_first),
    ("one layer on two parents is two snapshots", one_layer_on_two_parents_is_two_snapshots),
    ("a writer commits several", a_writer_commits_several),
    ("snapshots are kept for blobs that exist", snapshots_are_kept_for_blobs_that_exist),
    ("many threads commit one snapshot", many_threads_commit_one_snapshot),
];

fn of(store: &dyn ImageStore) -> &dyn Snapshots {
    store.snapshots().expect("a store with snapshots")
}

/// Returns the chain of layers with these names.
fn chain(names: &[&str]) -> Vec<Digest> {
    let layers: Vec<Digest> = names.iter().map(|name| Digest::of(name.as_bytes())).collect();
    chain_ids(&layers)
}

/// Returns a directory in `place` with one file, whose content is `content`.
fn directory(place: &Path, content: &str) -> std::path::PathBuf {
    let path = place.join(content);
    fs::create_dir(&path).expect("a directory");
    fs::write(path.join("file"), content).expect("a file");
    path
}

fn commit(store: &dyn ImageStore, content: &str, chain_id: &Digest, parent: Option<&Digest>) {
    let mut writer = of(store).prepare().expect("prepare");
    let directory = directory(writer.path(), content);
    writer.commit(&directory, chain_id, parent).expect("commit");
}

fn mount(store: &dyn ImageStore, chain_id: &Digest) -> Option<Mount> {
    of(store).mount(chain_id).expect("mount")
}

/// Returns the contents of a mount's directories, the top first, without any added by a store.
fn contents(mount: &Mount, layers: usize) -> Vec<String> {
    assert!(mount.layers.len() >= layers, "{layers} layers of {:?}", mount.layers);
    let (own, added) = mount.layers.split_at(layers);
    assert!(mount.layers.iter().all(|path| path.is_absolute()), "{:?}", mount.layers);
    for path in added {
        assert_eq!(fs::read_dir(path).expect("a directory").count(), 0, "{} is not empty", path.display());
    }
    own.iter().map(|path| fs::read_to_string(path.join("file")).expect("the file of a snapshot")).collect()
}

fn a_new_store_has_no_snapshots(store: &dyn ImageStore) {
    assert_eq!(mount(store, &Digest::of(b"a")), None);
}

fn what_is_committed_is_shown(store: &dyn ImageStore) {
    let ids = chain(&["a"]);
    commit(store, "a", &ids[0], None);
    let found = mount(store, &ids[0]).expect("a snapshot");
    assert_eq!(contents(&found, 1), ["a"]);
    assert_eq!(mount(store, &ids[0]), Some(found), "a second time");
}

fn a_mount_shows_all_that_is_below(store: &dyn ImageStore) {
    let names = ["a", "b", "c", "d"];
    let ids = chain(&names);
    for (at, name) in names.iter().enumerate() {
        commit(store, name, &ids[at], at.checked_sub(1).map(|below| &ids[below]));
    }
    assert_eq!(contents(&mount(store, &ids[3]).expect("a snapshot"), 4), ["d", "c", "b", "a"]);
    assert_eq!(contents(&mount(store, &ids[1]).expect("a snapshot"), 2), ["b", "a"]);
}

fn nothing_is_shown_before_commit(store: &dyn ImageStore) {
    let ids = chain(&["a"]);
    let mut writer = of(store).prepare().expect("prepare");
    assert_eq!(fs::read_dir(writer.path()).expect("a directory").count(), 0, "a new place is empty");
    let directory = directory(writer.path(), "a");
    assert_eq!(mount(store, &ids[0]), None);
    writer.commit(&directory, &ids[0], None).expect("commit");
    assert!(mount(store, &ids[0]).is_some(), "before the writer is dropped");
}

fn dropping_a_writer_discards(store: &dyn ImageStore) {
    let ids = chain(&["a", "b"]);
    let mut writer = of(store).prepare().expect("prepare");
    let place = writer.path().to_owned();
    let (committed, dropped) = (directory(&place, "a"), directory(&place, "b"));
    writer.commit(&committed, &ids[0], None).expect("commit");
    drop(writer);
    assert!(!dropped.exists() && !place.exists(), "{} was left", place.display());
    assert_eq!(contents(&mount(store, &ids[0]).expect("a snapshot"), 1), ["a"]);
    assert_eq!(mount(store, &ids[1]), None);
}

fn the_first_commit_counts(store: &dyn ImageStore) {
    let ids = chain(&["a"]);
    for content in ["first", "second"] {
        commit(store, content, &ids[0], None);
        assert_eq!(contents(&mount(store, &ids[0]).expect("a snapshot"), 1), ["first"]);
    }
}

fn a_parent_comes_first(store: &dyn ImageStore) {
    let ids = chain(&["a", "b"]);
    let mut writer = of(store).prepare().expect("prepare");
    let upper = directory(writer.path(), "b");
    let error = writer.commit(&upper, &ids[1], Some(&ids[0])).expect_err("commit");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.with_causes().contains(&ids[0].to_string()), "the error names the parent: {}", error.with_causes());
    assert_eq!(mount(store, &ids[1]), None);
    commit(store, "a", &ids[0], None);
    writer.commit(&upper, &ids[1], Some(&ids[0])).expect("the same directory again");
    assert_eq!(contents(&mount(store, &ids[1]).expect("a snapshot"), 2), ["b", "a"]);
}

fn one_layer_on_two_parents_is_two_snapshots(store: &dyn ImageStore) {
    for base in ["a", "b"] {
        let ids = chain(&[base, "upper"]);
        commit(store, base, &ids[0], None);
        commit(store, &format!("upper of {base}"), &ids[1], Some(&ids[0]));
    }
    for base in ["a", "b"] {
        let found = mount(store, &chain(&[base, "upper"])[1]).expect("a snapshot");
        assert_eq!(contents(&found, 2), [format!("upper of {base}"), base.to_owned()]);
    }
}

fn a_writer_commits_several(store: &dyn ImageStore) {
    let ids = chain(&["a", "b", "c"]);
    let mut writer = of(store).prepare().expect("prepare");
    let directories = ["a", "b", "c"].map(|name| directory(writer.path(), name));
    for (at, directory) in directories.iter().enumerate() {
        writer.commit(directory, &ids[at], at.checked_sub(1).map(|below| &ids[below])).expect("commit");
    }
    drop(writer);
    assert_eq!(contents(&mount(store, &ids[2]).expect("a snapshot"), 3), ["c", "b", "a"]);
}

fn snapshots_are_kept_for_blobs_that_exist(store: &dyn ImageStore) {
    let ids = chain(&["a"]);
    commit(store, "a", &ids[0], None);
    let missing = Digest::of(b"no configuration");
    let error = of(store).keep(&missing, &ids[0]).expect_err("keep");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains(&missing.to_string()), "the error names the blob: {error}");
    let mut config = store.ingest(None).expect("ingest");
    config.write_all(b"a configuration").expect("write");
    let config = config.commit(BlobMeta::default()).expect("commit").digest;
    for _ in 0..2 {
        of(store).keep(&config, &ids[0]).expect("keep");
    }
}

fn many_threads_commit_one_snapshot(store: &dyn ImageStore) {
    let ids = chain(&["a", "b"]);
    thread::scope(|scope| {
        for number in 0..8 {
            let ids = &ids;
            scope.spawn(move || {
                commit(store, &format!("a {number}"), &ids[0], None);
                commit(store, &format!("b {number}"), &ids[1], Some(&ids[0]));
                let found = contents(&mount(store, &ids[1]).expect("a snapshot"), 2);
                assert!(found[0].starts_with("b ") && found[1].starts_with("a "), "{found:?}");
            });
        }
    });
    let first = contents(&mount(store, &ids[1]).expect("a snapshot"), 2);
    assert_eq!(contents(&mount(store, &ids[1]).expect("a snapshot"), 2), first);
}
