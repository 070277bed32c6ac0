//! The effects of a lease in a store with collection.

use std::sync::Arc;

use longshore_core::content::{BlobMeta, ContentStore, ImageStore, Made, StoredImage};
use longshore_core::oci::{Descriptor, Digest, MediaType};

/// A store that is empty, and what collects everything in it that is not held.
pub type CollectedStore = (Arc<dyn ImageStore>, Box<dyn Fn()>);

/// Checks what views of a store hold while another party collects. `make` is called for each case.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn leases(make: &dyn Fn() -> CollectedStore) {
    let cases = LEASE_CASES.iter().map(|(name, case)| {
        let case = || {
            let (store, collect) = make();
            case(store.as_ref(), &*collect);
        };
        (*name, case)
    });
    super::run("leases", cases);
}

/// A case of [`leases`], which gets an empty store and what collects it.
pub type LeaseCheck = fn(&dyn ImageStore, &dyn Fn());

/// The cases of [`leases`], by name.
pub const LEASE_CASES: &[(&str, LeaseCheck)] = &[
    ("without a lease everything is collected", without_a_lease_everything_is_collected),
    ("what is written through a view stays", what_is_written_through_a_view_stays),
    ("what is found through a view stays", what_is_found_through_a_view_stays),
    ("what a held blob refers to stays", what_a_held_blob_refers_to_stays),
    ("what is found beside a view goes", what_is_found_beside_a_view_goes),
    ("each view holds its own", each_view_holds_its_own),
    ("a view outlives the value it was taken from", a_view_outlives_the_value_it_was_taken_from),
    ("a name takes over what a view held", a_name_takes_over_what_a_view_held),
    ("snapshots are held as blobs are", snapshots_are_held_as_blobs_are),
];

fn put(store: &dyn ContentStore, content: &str, references: &[&Digest]) -> Digest {
    let references = references.iter().map(|digest| (*digest).clone()).collect();
    put_with(store, content, BlobMeta::default().with_references(references))
}

fn put_with(store: &dyn ContentStore, content: &str, meta: BlobMeta) -> Digest {
    let mut writer = store.ingest(None).expect("ingest");
    writer.write_all(content.as_bytes()).expect("write");
    writer.commit(meta).expect("commit").digest
}

/// Returns which of `digests` are in the store.
fn present(store: &dyn ContentStore, digests: &[&Digest]) -> Vec<bool> {
    digests.iter().map(|digest| store.info(digest).expect("info").is_some()).collect()
}

fn without_a_lease_everything_is_collected(store: &dyn ImageStore, collect: &dyn Fn()) {
    let (child, parent) = (put(store, "child", &[]), Digest::of(b"parent"));
    put(store, "parent", &[&child]);
    collect();
    assert_eq!(present(store, &[&child, &parent]), [false, false]);
}

fn what_is_written_through_a_view_stays(store: &dyn ImageStore, collect: &dyn Fn()) {
    let again = put(store, "written before", &[]);
    let view = store.lease().expect("lease");
    put(view.as_ref(), "written before", &[]);
    let new = put(view.as_ref(), "new", &[]);
    for _ in 0..2 {
        collect();
        assert_eq!(present(store, &[&again, &new]), [true, true]);
    }
    drop(view);
    collect();
    assert_eq!(present(store, &[&again, &new]), [false, false]);
}

fn what_is_found_through_a_view_stays(store: &dyn ImageStore, collect: &dyn Fn()) {
    let diff_id = Digest::of(b"uncompressed");
    let made = vec![Made { encoder: "gzip 6".to_owned(), newest: None }];
    let (found, updated) = (put(store, "found", &[]), put(store, "updated", &[]));
    let layer = put_with(store, "layer", BlobMeta::default().with_diff_id(Some(diff_id.clone())).with_made(made));
    let view = store.lease().expect("lease");
    assert!(view.info(&found).expect("info").is_some());
    view.update(&updated, BlobMeta::default()).expect("update");
    assert_eq!(view.made(&diff_id, "gzip 6").expect("made").map(|info| info.digest), Some(layer.clone()));
    collect();
    assert_eq!(present(store, &[&found, &updated, &layer]), [true, true, true]);
    drop(view);
    collect();
    assert_eq!(present(store, &[&found, &updated, &layer]), [false, false, false]);
}

fn what_a_held_blob_refers_to_stays(store: &dyn ImageStore, collect: &dyn Fn()) {
    let layer = put(store, "layer", &[]);
    let manifest = put(store, "manifest", &[&layer]);
    let index = put(store, "index", &[&manifest, &Digest::of(b"of another platform")]);
    let view = store.lease().expect("lease");
    assert!(view.info(&index).expect("info").is_some());
    collect();
    assert_eq!(present(store, &[&layer, &manifest, &index]), [true, true, true]);
    drop(view);
    collect();
    assert_eq!(present(store, &[&layer, &manifest, &index]), [false, false, false]);
}

fn what_is_found_beside_a_view_goes(store: &dyn ImageStore, collect: &dyn Fn()) {
    let before = put(store, "before", &[]);
    let view = store.lease().expect("lease");
    let beside = put(store, "beside", &[]);
    let held = put(view.as_ref(), "held", &[]);
    assert_eq!(present(store, &[&before, &beside, &held]), [true, true, true]);
    collect();
    assert_eq!(present(store, &[&before, &beside, &held]), [false, false, true]);
    drop(view);
}

fn each_view_holds_its_own(store: &dyn ImageStore, collect: &dyn Fn()) {
    let (first, second) = (store.lease().expect("lease"), store.lease().expect("lease"));
    let shared = put(first.as_ref(), "shared", &[]);
    let own = put(first.as_ref(), "of the first", &[]);
    assert!(second.info(&shared).expect("info").is_some());
    let other = put(second.as_ref(), "of the second", &[]);
    drop(first);
    collect();
    assert_eq!(present(store, &[&own, &shared, &other]), [false, true, true]);
    drop(second);
    collect();
    assert_eq!(present(store, &[&shared, &other]), [false, false]);
}

fn a_view_outlives_the_value_it_was_taken_from(store: &dyn ImageStore, collect: &dyn Fn()) {
    let view = store.lease_images().expect("lease");
    let of_view = view.lease().expect("a lease of a view");
    let (own, other) = (put(view.as_ref(), "own", &[]), put(of_view.as_ref(), "of the view of the view", &[]));
    drop(view);
    collect();
    assert_eq!(present(store, &[&own, &other]), [false, true]);
}

fn a_name_takes_over_what_a_view_held(store: &dyn ImageStore, collect: &dyn Fn()) {
    let view = store.lease_images().expect("lease");
    let layer = put(view.as_ref(), "layer", &[]);
    let root = put(view.as_ref(), "manifest", &[&layer]);
    let image = StoredImage::new(Descriptor::new(MediaType::MANIFEST, root.clone(), 8), Vec::new());
    let name = "app:1".parse().expect("a name");
    view.tag(&[(name, image.clone())]).expect("tag");
    drop(view);
    collect();
    assert_eq!(present(store, &[&layer, &root]), [true, true]);
    let names = store.images().expect("images");
    assert_eq!(names.into_iter().map(|(_, image)| image).collect::<Vec<_>>(), [image]);
}

/// Creates a snapshot without a parent; returns `false` in a store without snapshots.
fn snapshot(store: &dyn ImageStore, chain_id: &Digest) -> bool {
    let Some(snapshots) = store.snapshots() else { return false };
    let mut writer = snapshots.prepare().expect("prepare");
    let directory = writer.path().join("layer");
    std::fs::create_dir(&directory).expect("a directory");
    writer.commit(&directory, chain_id, None).expect("commit");
    true
}

fn snapshots_are_held_as_blobs_are(store: &dyn ImageStore, collect: &dyn Fn()) {
    let [found, beside, made] = ["found", "beside", "made"].map(|name| Digest::of(name.as_bytes()));
    if !snapshot(store, &found) {
        return;
    }
    let exists = |store: &dyn ImageStore, chain_id: &Digest| {
        store.snapshots().expect("snapshots").mount(chain_id).expect("mount").is_some()
    };
    let view = store.lease_images().expect("lease");
    snapshot(store, &beside);
    snapshot(view.as_ref(), &made);
    assert!(exists(view.as_ref(), &found) && exists(store, &beside));
    collect();
    assert_eq!([&found, &beside, &made].map(|chain_id| exists(store, chain_id)), [true, false, true]);
    drop(view);
    collect();
    assert_eq!([&found, &made].map(|chain_id| exists(store, chain_id)), [false, false]);
}
