//! What stays and what goes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;

use longshore_core::ErrorKind;
use longshore_core::content::{
    Amount, BlobInfo, BlobMeta, Collector, ContentStore, ImageStore, Made, Provider, PruneOptions, Pruned, StoredImage,
    Usage,
};
use longshore_core::oci::{Descriptor, Digest, ImageName, MediaType};
use longshore_store::EmbeddedStore;

fn open(root: &Path) -> EmbeddedStore {
    EmbeddedStore::open(root).unwrap()
}

fn put(store: &dyn ContentStore, content: &str, references: &[&Digest]) -> Digest {
    let references = references.iter().map(|digest| (*digest).clone()).collect();
    put_with(store, content, BlobMeta::default().with_references(references)).digest
}

fn put_with(store: &dyn ContentStore, content: &str, meta: BlobMeta) -> BlobInfo {
    let mut writer = store.ingest(None).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.commit(meta).unwrap()
}

fn name(text: &str) -> ImageName {
    text.parse().unwrap()
}

fn tag(store: &dyn ImageStore, text: &str, root: &Digest) {
    let root = Descriptor::new(MediaType::MANIFEST, root.clone(), 1);
    store.tag(&[(name(text), StoredImage::new(root, Vec::new()))]).unwrap();
}

/// An image of three blobs; answers its root.
fn image(store: &dyn ContentStore, what: &str) -> Digest {
    let layer = put(store, &format!("layer of {what}"), &[]);
    let config = put(store, &format!("config of {what}"), &[]);
    put(store, &format!("manifest of {what}"), &[&config, &layer, &Digest::of(b"of another platform")])
}

fn prune(store: &EmbeddedStore) -> Pruned {
    store.prune(&PruneOptions::default()).unwrap()
}

fn count(store: &EmbeddedStore) -> usize {
    ["sha256", "sha512"]
        .map(|algorithm| fs::read_dir(store.root().join("blobs").join(algorithm)).unwrap().count())
        .iter()
        .sum()
}

#[test]
fn what_a_name_reaches_stays() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let (one, two) = (image(&store, "one"), image(&store, "two"));
    let index = put(&store, "index", &[&one, &two]);
    put(&store, "nobody's", &[]);
    tag(&store, "app:1", &index);
    tag(&store, "app:2", &one);
    assert_eq!(prune(&store).blobs, [(Digest::of(b"nobody's"), 8)]);
    store.untag(&[name("app:1")]).unwrap();
    let gone = prune(&store);
    assert_eq!((gone.blobs.len(), count(&store)), (4, 3), "the index and the second image: {gone:?}");
    assert!(gone.blobs.iter().all(|(digest, _)| store.info(digest).unwrap().is_none()));
    assert!(store.info(&one).unwrap().is_some());
    store.untag(&[name("app:2")]).unwrap();
    prune(&store);
    assert_eq!(count(&store), 0);
    assert_eq!(store.usage().unwrap().total().count, 0);
}

#[test]
fn referrers_stay_as_long_as_the_name() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let descriptor = |digest: Digest| Descriptor::new(MediaType::MANIFEST, digest, 1);
    let (root, referrer) = (image(&store, "image"), image(&store, "signature"));
    let stored = StoredImage::new(descriptor(root), vec![descriptor(referrer)]);
    store.tag(&[(name("app:1"), stored)]).unwrap();
    assert_eq!(prune(&store).blobs, []);
    store.untag(&[name("app:1")]).unwrap();
    assert_eq!(prune(&store).blobs.len(), 6);
}

#[test]
fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    image(&store, "one");
    fs::write(place.path().join("ingest/new-left-over"), "12345").unwrap();
    let would = store.prune(&PruneOptions::default().with_dry_run(true)).unwrap();
    assert_eq!((would.blobs.len(), would.leftovers.count, would.leftovers.bytes, count(&store)), (3, 1, 5, 3));
    assert_eq!(prune(&store), would);
    assert_eq!(count(&store), 0);
}

/// Blobs written, found or reused through a view stay until the view is dropped, even if another process prunes.
#[test]
fn what_a_run_uses_stays_until_it_ends() {
    let place = tempfile::tempdir().unwrap();
    let (store, other) = (open(place.path()), open(place.path()));
    let found = image(&store, "found");
    let written_before = put(&store, "written twice", &[]);
    let view = store.lease().unwrap();
    view.info(&found).unwrap().unwrap();
    put(view.as_ref(), "written twice", &[]);
    let written = put(view.as_ref(), "written", &[]);
    for store in [&other, &store] {
        assert_eq!(prune(store).blobs, []);
    }
    assert_eq!(other.usage().unwrap().in_use.count, 5);
    drop(view);
    assert_eq!(prune(&other).blobs.len(), 5);
    for digest in [found, written_before, written] {
        assert_eq!(store.info(&digest).unwrap(), None);
    }
}

#[test]
fn a_lease_does_not_keep_what_came_before_it() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    put(&store, "before", &[]);
    let _view = store.lease().unwrap();
    assert_eq!(prune(&store).blobs, [(Digest::of(b"before"), 6)]);
}

/// A program that lives long finds much that it does not use: only what goes through a view is held.
#[test]
fn what_is_found_beside_a_view_is_not_held() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let view = store.lease().unwrap();
    let used = put(view.as_ref(), "used", &[]);
    let found = put(&store, "only found", &[]);
    assert!(store.info(&found).unwrap().is_some() && view.open(&found, 0).is_ok());
    assert_eq!(prune(&store).blobs, [(found, 10)]);
    assert!(store.info(&used).unwrap().is_some());
}

#[test]
fn two_leases_end_one_after_the_other() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let first = store.lease().unwrap();
    put(first.as_ref(), "for both", &[]);
    let second = first.lease().unwrap();
    second.info(&Digest::of(b"for both")).unwrap().unwrap();
    drop(first);
    assert_eq!(prune(&store).blobs, []);
    drop(second);
    assert_eq!(prune(&store).blobs.len(), 1);
}

/// The lease of a process that was killed: its row is there, nobody holds its file.
#[test]
fn leases_of_dead_processes_keep_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let view = store.lease().unwrap();
    put(view.as_ref(), "of the dead", &[]);
    let file = fs::read_dir(place.path().join("leases")).unwrap().next().unwrap().unwrap().path();
    // Another file of that name is locked by nobody, and the lease never ends.
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
    std::mem::forget(view);
    let other = open(place.path());
    assert_eq!(prune(&other).blobs.len(), 1);
    assert_eq!(fs::read_dir(place.path().join("leases")).unwrap().count(), 0);
}

#[test]
fn made_layers_stay_up_to_a_size_those_used_last_first() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let make = |content: &str| {
        let made = vec![Made { encoder: "gzip".to_owned(), newest: None }];
        let diff_id = Some(Digest::of(content.as_bytes()));
        put_with(&store, content, BlobMeta::default().with_made(made).with_diff_id(diff_id)).digest
    };
    let old = make("the old one, 25 bytes....");
    put(&store, "foreign", &[]);
    // Times are in seconds.
    thread::sleep(std::time::Duration::from_millis(1100));
    let new = make("the new one, 25 bytes....");
    let foreign = Digest::of(b"foreign");
    let only = PruneOptions::default().with_made_only(true);
    let pruned = store.prune(&only.with_keep(60)).unwrap();
    assert!(pruned.blobs.is_empty() && store.info(&foreign).unwrap().is_some(), "what was not made stays");
    for (keep, expected) in [(u64::MAX, vec![&old, &new]), (60, vec![&old, &new]), (49, vec![&new]), (24, vec![])] {
        // The last round removes nothing but layers built here, the others all else.
        let options = if keep == 24 { only } else { PruneOptions::default() };
        let pruned = store.prune(&options.with_keep(keep)).unwrap();
        assert_eq!(store.info(&foreign).unwrap(), None);
        assert_eq!(pruned.kept.count, expected.len() as u64, "{keep}");
        for digest in [&old, &new] {
            assert_eq!(store.info(digest).unwrap().is_some(), expected.contains(&digest), "{keep} {digest}");
        }
    }
    assert_eq!(store.made(&Digest::of(b"the new one, 25 bytes...."), "gzip").unwrap(), None);
}

/// Sizes come from files, which may be sparse, and limits from users.
#[test]
fn sums_stop_at_the_largest_number() {
    let most = Amount { count: u64::MAX, bytes: u64::MAX };
    let mut sum = most;
    sum.add(1);
    assert_eq!(sum, most);
    let mut usage = Usage::default();
    (usage.images, usage.unused) = (most, most);
    assert_eq!(usage.total(), most);
    let mut pruned = Pruned::default();
    pruned.blobs = vec![(Digest::of(b"a"), u64::MAX), (Digest::of(b"b"), 7)];
    pruned.leftovers = most;
    assert_eq!(pruned.bytes(), u64::MAX);
}

/// A crash between the rename of a blob and its row; a blob that was cut or removed behind our back.
#[test]
fn files_and_rows_that_lost_each_other_heal() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path());
    let [orphan, cut, gone] = ["orphan", "cut", "gone"].map(|content| Digest::of(content.as_bytes()));
    let file = |digest: &Digest| place.path().join(digest.layout_path());
    fs::write(file(&orphan), "orphan").unwrap();
    assert_eq!(store.info(&orphan).unwrap(), None, "a file without a row is not there");
    for content in ["cut", "gone"] {
        put(&store, content, &[]);
    }
    fs::remove_file(file(&cut)).unwrap();
    fs::write(file(&cut), "c").unwrap();
    fs::remove_file(file(&gone)).unwrap();
    for (digest, content) in [(&orphan, "orphan"), (&cut, "cut"), (&gone, "gone")] {
        assert_eq!(store.info(digest).unwrap(), None, "{content}");
        put(&store, content, &[]);
        let mut text = String::new();
        store.open(digest, 0).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), store.info(digest).unwrap().unwrap().size), (content, content.len() as u64));
    }
    fs::write(file(&Digest::of(b"left alone")), "left alone").unwrap();
    fs::write(place.path().join("blobs/sha256/not-a-digest"), "").unwrap();
    assert_eq!(prune(&store).blobs.len(), 4);
    assert!(place.path().join("blobs/sha256/not-a-digest").exists(), "what is not ours stays");
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let place = tempfile::tempdir().unwrap();
    drop(open(place.path()));
    let database = rusqlite::Connection::open(place.path().join("store.db")).unwrap();
    database.pragma_update(None, "user_version", 7).unwrap();
    drop(database);
    let error = EmbeddedStore::open(place.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.with_causes().contains("version 7"), "{}", error.with_causes());
    fs::write(place.path().join("store.db"), "not a database at all, but long enough to be one").unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path().join(format!("store.db{suffix}")));
    }
    assert_eq!(EmbeddedStore::open(place.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Several connections, as several processes have them: writers of the same and of other blobs, names
/// that come and go, and a collector that never rests.
#[test]
fn collecting_takes_nothing_that_is_in_use() {
    const ROUNDS: usize = 25;
    let place = tempfile::tempdir().unwrap();
    let done = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..4 {
            let (root, done) = (place.path(), &done);
            scope.spawn(move || {
                let store = open(root);
                for round in 0..ROUNDS {
                    let view = store.lease_images().unwrap();
                    let shared = image(view.as_ref(), "shared");
                    let own = image(view.as_ref(), &format!("{writer} {round}"));
                    let index = put(view.as_ref(), &format!("index {writer} {round}"), &[&shared, &own]);
                    tag(view.as_ref(), &format!("app{writer}:{}", round % 3), &index);
                }
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        let store = open(place.path());
        while done.load(std::sync::atomic::Ordering::SeqCst) < 4 {
            prune(&store);
        }
    });
    let store = open(place.path());
    prune(&store);
    let images = store.images().unwrap();
    assert_eq!(images.len(), 12);
    for (name, image) in images {
        let mut left = vec![image.root.digest];
        let mut seen = 0;
        while let Some(digest) = left.pop().filter(|digest| *digest != Digest::of(b"of another platform")) {
            let info = store.info(&digest).unwrap().unwrap_or_else(|| panic!("{name}: {digest} is gone"));
            left.extend(info.meta.references.into_iter().filter(|child| *child != Digest::of(b"of another platform")));
            seen += 1;
        }
        assert_eq!(seen, 7, "{name}");
    }
    assert_eq!(store.usage().unwrap().unused.count + store.usage().unwrap().in_use.count, 0);
}
