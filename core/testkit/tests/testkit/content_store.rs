//! The suite of content stores over those of core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::content::{DirectoryStore, Durability, MemoryStore};
use longshore_testkit::conformance;

#[test]
fn memory() {
    conformance::content_store(&|| Arc::new(MemoryStore::default()));
    conformance::image_store(&|| Arc::new(MemoryStore::default()));
}

#[test]
fn directory() {
    for durability in [Durability::Durable, Durability::Scratch] {
        let place = tempfile::tempdir().unwrap();
        let next = AtomicUsize::new(0);
        conformance::content_store(&|| {
            let root = place.path().join(next.fetch_add(1, Ordering::SeqCst).to_string());
            Arc::new(DirectoryStore::open(root, durability).unwrap())
        });
    }
}
