//! The suites that every store passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::content::{Collector, PruneOptions};
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
fn leases() {
    let stores = Stores::new();
    conformance::leases(&|| {
        let store = stores.open();
        let collected = store.clone();
        let collect = move || drop(collected.prune(&PruneOptions::default()).unwrap());
        (store, Box::new(collect))
    });
}

#[test]
fn images() {
    let stores = Stores::new();
    conformance::image_store(&|| stores.open());
}

#[test]
fn snapshots() {
    let stores = Stores::new();
    conformance::snapshots(&|| stores.open());
}
