//! The suites that every store passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::content::ContentStore;
use longshore_store::EmbeddedStore;
use longshore_testkit::conformance;

/// Opens a new store each time.
struct Stores(tempfile::TempDir, AtomicUsize);

impl Stores {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), AtomicUsize::new(0))
    }

    fn open(&self) -> Arc<EmbeddedStore> {
        let number = self.1.fetch_add(1, Ordering::SeqCst);
        Arc::new(EmbeddedStore::open(self.0.path().join(number.to_string())).unwrap())
    }
}

#[test]
fn content() {
    let stores = Stores::new();
    conformance::content_store(&|| stores.open());
}

#[test]
fn content_under_a_lease() {
    let stores = Stores::new();
    conformance::content_store(&|| {
        let store = stores.open();
        // It ends with the process.
        std::mem::forget(store.lease().unwrap());
        store
    });
}

#[test]
fn images() {
    let stores = Stores::new();
    conformance::image_store(&|| stores.open());
}
