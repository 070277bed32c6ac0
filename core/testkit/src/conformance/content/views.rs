//! Views of a store, as created by leases.

use std::io::Write;

use longshore_core::content::{BlobMeta, ContentStore};
use longshore_core::oci::Digest;

use super::{assert_missing, descriptor, get, made, put};

pub(super) fn a_view_is_the_store(store: &dyn ContentStore) {
    let diff_id = Digest::of(b"uncompressed");
    let before = put(store, None, b"written to the store", made(&diff_id, &[("gzip 6", None)]));
    let view = store.lease().expect("lease");
    assert_eq!(view.info(&before.digest).expect("info"), Some(before.clone()));
    assert_eq!(view.made(&diff_id, "gzip 6").expect("made"), Some(before.clone()));
    assert_eq!(get(view.as_ref(), &before.digest, 8), b"to the store");

    let expected = descriptor(b"written through the view");
    let mut writer = view.ingest(Some(&expected)).expect("ingest");
    writer.write_all(b"written through the view").expect("write");
    for place in [store, view.as_ref()] {
        assert_missing(place, &expected.digest);
    }
    let info = writer.commit(BlobMeta::default()).expect("commit");
    assert_eq!(store.info(&info.digest).expect("info"), Some(info.clone()));
    let references = vec![before.digest];
    view.update(&info.digest, BlobMeta::default().with_references(references.clone())).expect("update");
    drop(view);
    let found = store.info(&info.digest).expect("info").expect("a blob that was written through a view");
    assert_eq!(found.meta.references, references);
    assert_eq!(get(store, &info.digest, 0), b"written through the view");
}

pub(super) fn views_stand_beside_each_other(store: &dyn ContentStore) {
    let first = store.lease().expect("lease");
    let second = store.lease().expect("a second lease beside it");
    let third = second.lease().expect("a lease of a view");
    let digest = put(first.as_ref(), None, b"leased", BlobMeta::default()).digest;
    drop(first);
    drop(second);
    assert_eq!(get(third.as_ref(), &digest, 0), b"leased");
    let late = put(third.as_ref(), None, b"through a view of a view", BlobMeta::default()).digest;
    drop(third);
    assert_eq!(get(store, &late, 0), b"through a view of a view");
}
