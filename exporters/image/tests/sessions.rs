//! Sessions of one process that share a store.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use longshore_core::content::{Collector, ContentStore, Provider, PruneOptions};
use longshore_core::layer::{Layer, TarStream};
use longshore_core::oci::Digest;
use longshore_core::{ExporterRegistry, OutputSpec, Response, Session, Store};
use longshore_exporter_image::ImageExporter;
use longshore_store::EmbeddedStore;
use longshore_testkit::faults::HalfwayTar;
use longshore_testkit::sample::{self, MemoryTar, TarOptions};

fn tar(seed: u64) -> Vec<u8> {
    sample::tar_bytes(seed, TarOptions::default())
}

fn layer(seed: u64) -> Arc<Layer> {
    sample::layer_of(Arc::new(MemoryTar::new(seed.to_string(), tar(seed))))
}

/// Exports an image without a name: nothing but the run itself keeps it.
fn export(store: &EmbeddedStore, layers: Vec<Arc<Layer>>) -> Response {
    let exporters = ExporterRegistry::default().with(ImageExporter);
    let specs = [OutputSpec::parse("type=image,compression=uncompressed").unwrap().unwrap()];
    let result = sample::result(vec![sample::image_of(layers)]);
    let resolved = Session::new(&exporters).resolve(&specs).unwrap();
    resolved.export(&result, Store::Images(Arc::new(store.clone()))).unwrap().remove(0)
}

/// Waits for a layer that another thread stores.
fn wait_for(store: &EmbeddedStore, blob: &Digest) {
    while store.open(blob, 0).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// A lease per process kept what one session used until all of them had ended.
#[test]
fn a_session_that_ends_lets_go_of_what_only_it_used() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(place.path()).unwrap();
    let [shared, own, late] = [1, 2, 3].map(|seed| Digest::of(&tar(seed)));
    let pruned = Arc::new(std::sync::Mutex::new(Vec::new()));
    // While the longer session reads its last layer, the shorter one begins, ends, and is collected.
    let shorter = {
        let (store, pruned, shared) = (store.clone(), pruned.clone(), shared.clone());
        move || {
            wait_for(&store, &shared);
            let response = export(&store, vec![layer(1), layer(2)]);
            let gone = store.prune(&PruneOptions::default())?;
            pruned.lock().unwrap().push((response, gone.blobs));
            Ok(())
        }
    };
    let stream: Arc<dyn TarStream> = Arc::new(MemoryTar::new("late", tar(3)));
    let longer = export(&store, vec![layer(1), sample::layer_of(HalfwayTar::new(stream, 100, shorter))]);
    let (response, gone) = pruned.lock().unwrap().remove(0);
    let gone: Vec<Digest> = gone.into_iter().map(|(digest, _)| digest).collect();
    let image = &response.images[0];
    let mut expected = vec![own, image.config.clone().unwrap(), image.root.digest.clone()];
    expected.sort();
    assert_eq!(gone, expected, "what the session that ended used alone");
    for digest in [&shared, &late, &longer.images[0].root.digest] {
        assert!(store.info(digest).unwrap().is_some(), "{digest} of the session that went on");
    }
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().blobs.len(), 4, "both have ended");
}
