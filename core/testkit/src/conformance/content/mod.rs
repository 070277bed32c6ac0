//! The contract of content stores.

mod threads;
mod views;

use std::io::{Read, Write};
use std::sync::Arc;

use longshore_core::ErrorKind;
use longshore_core::content::{BlobInfo, BlobMeta, ContentStore, Made, Origin};
use longshore_core::oci::{Descriptor, Digest, DigestAlgorithm, Hasher, MediaType};

use crate::sample::Random;

/// Checks every line of the contract of [`ContentStore`], on stores and on views of stores, except what is collected:
/// that is the suite [`leases`](super::leases). `make` is called for each case and gives a store that has no blobs.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn content_store(make: &dyn Fn() -> Arc<dyn ContentStore>) {
    super::run("content store", CONTENT_CASES.iter().map(|(name, case)| (*name, || case(make().as_ref()))));
    let view = || make().lease().expect("lease");
    super::run("view of a content store", CONTENT_CASES.iter().map(|(name, case)| (*name, || case(view().as_ref()))));
}

/// A case of [`content_store`], which gets a store without blobs.
pub type ContentCheck = fn(&dyn ContentStore);

/// The cases of [`content_store`], by name.
pub const CONTENT_CASES: &[(&str, ContentCheck)] = &[
    ("what is written is read back", what_is_written_is_read_back),
    ("a blob opens at any byte", a_blob_opens_at_any_byte),
    ("commit answers digest and size", commit_answers_digest_and_size),
    ("nothing is visible before commit", nothing_is_visible_before_commit),
    ("dropping a writer discards", dropping_a_writer_discards),
    ("committing twice is one blob and merges", committing_twice_is_one_blob_and_merges),
    ("another digest than expected is corrupt", another_digest_than_expected_is_corrupt),
    ("another size than expected is corrupt", another_size_than_expected_is_corrupt),
    ("a suspended writer is continued", a_suspended_writer_is_continued),
    ("a suspended writer may be wrong", a_suspended_writer_may_be_wrong),
    ("suspending without a digest discards", suspending_without_a_digest_discards),
    ("what is not there is not found", what_is_not_there_is_not_found),
    ("update merges", update_merges),
    ("what was made is found", what_was_made_is_found),
    ("what came from elsewhere was not made", what_came_from_elsewhere_was_not_made),
    ("an empty blob is a blob", an_empty_blob_is_a_blob),
    ("write sizes do not matter", write_sizes_do_not_matter),
    ("sha512 is checked and addressed by", sha512_is_checked_and_addressed_by),
    ("many threads write one blob", threads::many_threads_write_one_blob),
    ("many threads write one expected blob", threads::many_threads_write_one_expected_blob),
    ("many threads write many blobs", threads::many_threads_write_many_blobs),
    ("a view is the store", views::a_view_is_the_store),
    ("views stand beside each other", views::views_stand_beside_each_other),
];

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::from("application/octet-stream".to_owned()), bytes)
}

fn put(store: &dyn ContentStore, expected: Option<&Descriptor>, bytes: &[u8], meta: BlobMeta) -> BlobInfo {
    let mut writer = store.ingest(expected).expect("ingest");
    let from = usize::try_from(writer.offset()).expect("a small offset");
    writer.write_all(&bytes[from..]).expect("write");
    writer.commit(meta).expect("commit")
}

fn get(store: &dyn ContentStore, digest: &Digest, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.open(digest, from).expect("open").read_to_end(&mut bytes).expect("read");
    bytes
}

fn assert_missing(store: &dyn ContentStore, digest: &Digest) {
    assert_eq!(store.info(digest).expect("info"), None, "info of a blob that is not there");
    let error = store.open(digest, 0).map(drop).expect_err("open of a blob that is not there");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn what_is_written_is_read_back(store: &dyn ContentStore) {
    for seed in 0..5 {
        let bytes = Random::new(seed).bytes(10_000 * seed as usize + 7);
        let info = put(store, None, &bytes, BlobMeta::default());
        assert_eq!(get(store, &info.digest, 0), bytes);
        assert_eq!(get(store, &info.digest, 0), bytes, "a second time");
    }
}

fn a_blob_opens_at_any_byte(store: &dyn ContentStore) {
    let bytes = Random::new(1).bytes(100_003);
    let digest = put(store, None, &bytes, BlobMeta::default()).digest;
    for from in [0, 1, 511, 65_536, 100_002, 100_003] {
        assert!(get(store, &digest, from) == bytes[from as usize..], "from byte {from}");
    }
}

fn commit_answers_digest_and_size(store: &dyn ContentStore) {
    let info = put(store, None, b"{}", BlobMeta::default());
    let expected = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!((info.digest.to_string().as_str(), info.size), (expected, 2));
    assert_eq!(store.info(&info.digest).expect("info"), Some(info));
}

fn nothing_is_visible_before_commit(store: &dyn ContentStore) {
    let bytes = Random::new(2).bytes(70_000);
    let expected = descriptor(&bytes);
    for expectation in [None, Some(&expected)] {
        let mut writer = store.ingest(expectation).expect("ingest");
        writer.write_all(&bytes).expect("write");
        writer.flush().expect("flush");
        assert_missing(store, &expected.digest);
    }
    put(store, None, &bytes, BlobMeta::default());
    assert!(store.info(&expected.digest).expect("info").is_some());
}

fn dropping_a_writer_discards(store: &dyn ContentStore) {
    let bytes = Random::new(3).bytes(70_000);
    let expected = descriptor(&bytes);
    for expectation in [None, Some(&expected)] {
        let mut writer = store.ingest(expectation).expect("ingest");
        writer.write_all(&bytes[..50_000]).expect("write");
        drop(writer);
        assert_missing(store, &expected.digest);
        let writer = store.ingest(Some(&expected)).expect("ingest");
        assert_eq!(writer.offset(), 0, "bytes of a writer that was dropped");
    }
}

fn committing_twice_is_one_blob_and_merges(store: &dyn ContentStore) {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let origin = Origin { registry: "registry.example".to_owned(), repository: "a/b".to_owned() };
    let meta = |references: &[&Digest]| {
        BlobMeta::default().with_references(references.iter().map(|digest| (*digest).clone()).collect())
    };
    let first = put(store, None, b"twice", meta(&[&a]));
    assert_eq!(first.meta, meta(&[&a]));
    let again = meta(&[&a, &b]).with_origins(vec![origin.clone()]);
    let second = put(store, None, b"twice", again.clone());
    assert_eq!((&second.digest, second.size, &second.meta), (&first.digest, first.size, &again));
    let expected = descriptor(b"twice");
    let third = put(store, Some(&expected), b"twice", BlobMeta::default().with_diff_id(Some(a.clone())));
    let all = again.with_diff_id(Some(a));
    assert_eq!(third.meta, all, "a writer that says nothing takes nothing away");
    assert_eq!(store.info(&first.digest).expect("info").map(|info| info.meta), Some(all));
    assert_eq!(get(store, &first.digest, 0), b"twice");
}

fn commit_error(store: &dyn ContentStore, expected: &Descriptor, bytes: &[u8]) -> ErrorKind {
    let mut writer = store.ingest(Some(expected)).expect("ingest");
    assert_eq!(writer.offset(), 0, "bytes of a writer that failed");
    // A store may refuse excess bytes before their end.
    match writer.write_all(bytes) {
        Ok(()) => writer.commit(BlobMeta::default()).map(drop).expect_err("commit").kind(),
        Err(error) => longshore_core::Error::from(error).kind(),
    }
}

fn another_digest_than_expected_is_corrupt(store: &dyn ContentStore) {
    let expected = descriptor(b"expected");
    assert_eq!(commit_error(store, &expected, b"sidelong"), ErrorKind::Corrupt);
    assert_missing(store, &expected.digest);
    assert_missing(store, &Digest::of(b"sidelong"));
    put(store, Some(&expected), b"expected", BlobMeta::default());
}

fn another_size_than_expected_is_corrupt(store: &dyn ContentStore) {
    let bytes = b"expected";
    for size in [0, 7, 9, u64::MAX] {
        let wrong = Descriptor { size, ..descriptor(bytes) };
        assert_eq!(commit_error(store, &wrong, bytes), ErrorKind::Corrupt, "size {size}");
        assert_missing(store, &wrong.digest);
    }
    let expected = descriptor(bytes);
    for bytes in [&b""[..], b"expect", b"expected and more"] {
        assert_eq!(commit_error(store, &expected, bytes), ErrorKind::Corrupt, "{} bytes", bytes.len());
        assert_missing(store, &expected.digest);
    }
}

fn a_suspended_writer_is_continued(store: &dyn ContentStore) {
    let bytes = Random::new(4).bytes(200_000);
    let expected = descriptor(&bytes);
    let mut until = 0;
    for step in [1, 60_000, 60_000, 0] {
        let mut writer = store.ingest(Some(&expected)).expect("ingest");
        let from = writer.offset() as usize;
        assert!([0, until].contains(&from), "offset {from} after {until} bytes");
        until = from + step;
        writer.write_all(&bytes[from..until]).expect("write");
        assert_eq!(writer.offset() as usize, until);
        writer.suspend().expect("suspend");
        assert_missing(store, &expected.digest);
    }
    let info = put(store, Some(&expected), &bytes, BlobMeta::default());
    assert_eq!((&info.digest, info.size), (&expected.digest, expected.size));
    assert!(get(store, &expected.digest, 0) == bytes);
}

fn a_suspended_writer_may_be_wrong(store: &dyn ContentStore) {
    let bytes = Random::new(5).bytes(50_000);
    let expected = descriptor(&bytes);
    // Within the expected size, and beyond it: neither can become the blob.
    for garbage in [40_000, 60_000] {
        let mut writer = store.ingest(Some(&expected)).expect("ingest");
        if writer.write_all(&vec![7; garbage]).is_ok() {
            writer.suspend().expect("suspend");
        }
        let mut writer = store.ingest(Some(&expected)).expect("ingest");
        let from = writer.offset();
        assert!(from <= expected.size, "there are {from} bytes of {}", expected.size);
        writer.write_all(&bytes[from as usize..]).expect("write");
        match writer.commit(BlobMeta::default()) {
            Ok(_) => assert_eq!(from, 0, "garbage was committed"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
        }
    }
    put(store, Some(&expected), &bytes, BlobMeta::default());
    assert!(get(store, &expected.digest, 0) == bytes, "a later attempt starts anew");
}

fn suspending_without_a_digest_discards(store: &dyn ContentStore) {
    let mut writer = store.ingest(None).expect("ingest");
    writer.write_all(b"nobody can continue this").expect("write");
    writer.suspend().expect("suspend");
    assert_missing(store, &Digest::of(b"nobody can continue this"));
}

fn what_is_not_there_is_not_found(store: &dyn ContentStore) {
    let digest = Digest::of(b"never written");
    assert_missing(store, &digest);
    let error = store.update(&digest, BlobMeta::default()).expect_err("update");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains(&digest.to_string()), "the error names the blob: {error}");
    assert_missing(store, &digest);
}

fn update_merges(store: &dyn ContentStore) {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let digest = put(store, None, b"updated", BlobMeta::default().with_references(vec![a.clone()])).digest;
    let origin = Origin { registry: "registry.example".to_owned(), repository: "c".to_owned() };
    let said = [
        BlobMeta::default().with_diff_id(Some(b.clone())),
        BlobMeta::default().with_references(vec![b.clone(), a.clone()]),
        BlobMeta::default().with_origins(vec![origin.clone()]),
        BlobMeta::default().with_origins(vec![origin.clone()]),
        BlobMeta::default(),
    ];
    for meta in said {
        store.update(&digest, meta).expect("update");
    }
    let expected =
        BlobMeta::default().with_references(vec![a, b.clone()]).with_diff_id(Some(b)).with_origins(vec![origin]);
    assert_eq!(store.info(&digest).expect("info").map(|info| info.meta), Some(expected));
    assert_eq!(get(store, &digest, 0), b"updated");
}

fn made(diff_id: &Digest, encoders: &[(&str, Option<i64>)]) -> BlobMeta {
    let made = encoders.iter().map(|(encoder, newest)| Made { encoder: (*encoder).to_owned(), newest: *newest });
    BlobMeta::default().with_diff_id(Some(diff_id.clone())).with_made(made.collect())
}

fn what_was_made_is_found(store: &dyn ContentStore) {
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let first = put(store, None, b"gzip of one", made(&one, &[("gzip 6", Some(-7))]));
    let second = put(store, None, b"zstd of one", BlobMeta::default());
    store.update(&second.digest, made(&one, &[("zstd 3", None)])).expect("update");
    let third = put(store, None, b"gzip of other", made(&other, &[("gzip 6", Some(1)), ("gzip 7", Some(1))]));
    let found = |diff_id: &Digest, encoder: &str| store.made(diff_id, encoder).expect("made");
    let digest = |info: Option<BlobInfo>| info.map(|info| info.digest);
    assert_eq!(found(&one, "gzip 6"), Some(first));
    assert_eq!(digest(found(&one, "zstd 3")), Some(second.digest));
    assert_eq!(digest(found(&other, "gzip 6")), Some(third.digest.clone()));
    assert_eq!(digest(found(&other, "gzip 7")), Some(third.digest), "two encoders may make the same bytes");
    for (diff_id, encoder) in [(&one, "gzip 7"), (&other, "zstd 3"), (&Digest::of(b"never"), "gzip 6"), (&one, "")] {
        assert_eq!(found(diff_id, encoder), None, "{encoder}");
    }
}

/// Otherwise the contents of a store would decide the contents of an image.
fn what_came_from_elsewhere_was_not_made(store: &dyn ContentStore) {
    let diff_id = Digest::of(b"one");
    put(store, None, b"foreign", BlobMeta::default().with_diff_id(Some(diff_id.clone())));
    assert_eq!(store.made(&diff_id, "gzip 6").expect("made"), None);
}

fn an_empty_blob_is_a_blob(store: &dyn ContentStore) {
    let expected = descriptor(b"");
    for expectation in [None, Some(&expected)] {
        let info = put(store, expectation, b"", BlobMeta::default());
        assert_eq!((&info.digest, info.size), (&expected.digest, 0));
        assert_eq!(get(store, &expected.digest, 0), b"");
    }
}

fn write_sizes_do_not_matter(store: &dyn ContentStore) {
    let bytes = Random::new(6).bytes(5_000_011);
    let mut writer = store.ingest(None).expect("ingest");
    let mut rest = &bytes[..];
    let sizes = [1, 0, 13, 511, 513, 4_097, 65_535, 1 << 20];
    for size in sizes.into_iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(size));
        writer.write_all(now).expect("write");
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    assert_eq!(writer.offset(), 5_000_011);
    let info = writer.commit(BlobMeta::default()).expect("commit");
    assert_eq!((info.digest.clone(), info.size), (Digest::of(&bytes), 5_000_011));
    assert!(get(store, &info.digest, 0) == bytes);
}

fn sha512_is_checked_and_addressed_by(store: &dyn ContentStore) {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
    hasher.update(b"five hundred and twelve");
    let expected = Descriptor { digest: hasher.finish(), ..descriptor(b"five hundred and twelve") };
    if let Err(error) = store.ingest(Some(&expected)) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(&expected.digest.to_string()), "the error names the blob: {error}");
        return;
    }
    assert_eq!(commit_error(store, &expected, b"FIVE HUNDRED AND TWELVE"), ErrorKind::Corrupt);
    assert_missing(store, &expected.digest);
    let info = put(store, Some(&expected), b"five hundred and twelve", BlobMeta::default());
    assert_eq!(info.digest, expected.digest);
    assert_eq!(get(store, &expected.digest, 5), b"hundred and twelve");
}
