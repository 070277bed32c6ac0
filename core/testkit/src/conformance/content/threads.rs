//! Many threads that write concurrently.

use std::io::Write;
use std::sync::Barrier;
use std::thread;

use longshore_core::content::{BlobMeta, ContentStore};
use longshore_core::oci::Digest;

use super::{descriptor, get, put};
use crate::sample::Random;

const THREADS: usize = 8;

/// Runs `work` on several threads that start together.
fn together(work: impl Fn(usize) + Sync) {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number);
                })
            })
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

pub(super) fn many_threads_write_one_blob(store: &dyn ContentStore) {
    let bytes = Random::new(7).bytes(300_000);
    together(|number| {
        let meta = BlobMeta::default().with_references(vec![Digest::of(&[number as u8])]);
        let info = put(store, None, &bytes, meta);
        assert!(get(store, &info.digest, 0) == bytes, "visible at once");
    });
    let info = store.info(&Digest::of(&bytes)).expect("info").expect("the blob");
    assert_eq!((info.size, info.meta.references.len()), (300_000, THREADS), "each said something");
}

pub(super) fn many_threads_write_one_expected_blob(store: &dyn ContentStore) {
    let bytes = Random::new(8).bytes(300_000);
    let expected = descriptor(&bytes);
    let mut started = store.ingest(Some(&expected)).expect("ingest");
    started.write_all(&bytes[..100_000]).expect("write");
    started.suspend().expect("suspend");
    together(|_| {
        let info = put(store, Some(&expected), &bytes, BlobMeta::default());
        assert_eq!(info.digest, expected.digest);
        assert!(get(store, &info.digest, 0) == bytes, "visible at once");
    });
}

pub(super) fn many_threads_write_many_blobs(store: &dyn ContentStore) {
    let blob = |number: usize| Random::new(100 + number as u64).bytes(50_000);
    together(|number| {
        let info = put(store, None, &blob(number), BlobMeta::default());
        assert_eq!(info.digest, Digest::of(&blob(number)));
    });
    for number in 0..THREADS {
        assert!(get(store, &Digest::of(&blob(number)), 0) == blob(number));
    }
}
