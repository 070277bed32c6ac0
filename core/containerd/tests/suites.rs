//! The suites that every store passes, on namespaces of containerd.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_containerd::{Address, ContainerdStore};
use longshore_testkit::conformance;
use longshore_testkit::containerd::{Containerd, Options, Release};

/// Opens a store in a new namespace each time.
struct Stores(Arc<Containerd>, AtomicUsize);

impl Stores {
    /// One of each release that can be started here.
    fn all() -> Vec<Self> {
        let start = |release| Containerd::start(release, Options::default());
        Release::ALL.into_iter().filter_map(start).map(|daemon| Self(Arc::new(daemon), AtomicUsize::new(0))).collect()
    }

    fn open(&self) -> Arc<ContainerdStore> {
        let namespace = format!("n{}", self.1.fetch_add(1, Ordering::SeqCst));
        let address = Address::default().with_socket(self.0.socket().to_str().unwrap()).unwrap();
        Arc::new(ContainerdStore::open(&address.with_namespace(&namespace).unwrap()).unwrap())
    }
}

#[test]
fn content() {
    for stores in Stores::all() {
        conformance::content_store(&|| stores.open());
    }
}

#[test]
fn leases() {
    for stores in Stores::all() {
        conformance::leases(&|| {
            let daemon = stores.0.clone();
            (stores.open(), Box::new(move || daemon.collect()))
        });
    }
}

#[test]
fn images() {
    for stores in Stores::all() {
        conformance::image_store(&|| stores.open());
    }
}

#[test]
fn snapshots() {
    for stores in Stores::all() {
        conformance::snapshots(&|| stores.open());
    }
}
