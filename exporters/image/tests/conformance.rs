//! The suites that every exporter passes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_containerd::{Address, ContainerdStore};
use longshore_core::content::{ImageStore, copy};
use longshore_core::image::Graph;
use longshore_core::{Cancel, ExporterRegistry, OutputSpec, Store, Work};
use longshore_exporter_image::ImageExporter;
use longshore_store::EmbeddedStore;
use longshore_testkit::conformance::{ExporterCase, StoreCase, exporter};
use longshore_testkit::containerd::{Containerd, Options, Release};

/// The store of a run is in its directory; an output in a directory below uses that of the run.
fn store_of(place: &Path) -> PathBuf {
    let above = place.parent().map(|parent| parent.join("store")).filter(|store| store.exists());
    above.unwrap_or_else(|| place.join("store"))
}

fn open(place: &Path) -> EmbeddedStore {
    EmbeddedStore::open(store_of(place)).unwrap()
}

/// A namespace of a containerd stands for the directory.
fn open_in(daemon: &Containerd, place: &Path) -> ContainerdStore {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let file = store_of(place);
    if !file.exists() {
        fs::write(&file, format!("n{}", NUMBER.fetch_add(1, Ordering::SeqCst))).unwrap();
    }
    let address = Address::default().with_socket(daemon.socket().to_str().unwrap()).unwrap();
    ContainerdStore::open(&address.with_namespace(&fs::read_to_string(file).unwrap()).unwrap()).unwrap()
}

/// Every name, and every blob that it keeps.
fn visible(store: &dyn ImageStore) -> Vec<String> {
    let mut lines = vec!["store".to_owned()];
    for (name, image) in store.images().unwrap() {
        for root in [&image.root].into_iter().chain(&image.referrers) {
            let blobs = Graph::at(root, store, &Work::default()).walk().unwrap().blobs;
            for blob in &blobs {
                copy(store, &blob.descriptor, &mut std::io::sink(), &Cancel::default(), None).unwrap();
            }
            lines.extend(blobs.iter().map(|blob| format!("{name} {}", blob.descriptor.digest)));
        }
    }
    lines
}

#[test]
fn embedded_store() {
    exporter(
        &ExporterCase::new(
            &|| ExporterRegistry::default().with(ImageExporter),
            &|_: &Path| OutputSpec::parse("type=image,name=*").unwrap().unwrap(),
            &|place: &Path| assert!(visible(&open(place)).len() > 1, "nothing has a name"),
        )
        .with_store(StoreCase::new(&|place| Store::Images(Arc::new(open(place))), &|place| visible(&open(place)))),
    );
}

#[test]
fn containerd() {
    for daemon in Release::ALL.into_iter().filter_map(|release| Containerd::start(release, Options::default())) {
        let visible = |place: &Path| visible(&open_in(&daemon, place));
        exporter(
            &ExporterCase::new(
                &|| ExporterRegistry::default().with(ImageExporter),
                &|_: &Path| OutputSpec::parse("type=image,name=*").unwrap().unwrap(),
                &|place: &Path| assert!(visible(place).len() > 1, "nothing has a name"),
            )
            .with_store(StoreCase::new(&|place| Store::Images(Arc::new(open_in(&daemon, place))), &visible)),
        );
    }
}
