//! Layers of entries, and what they become on a disk.

use std::path::Path;
use std::sync::Arc;

use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{MemoryStore, Mount};
use longshore_core::layer::BlobSource;
use longshore_core::oci::{Digest, MediaType};
use longshore_core::unpack::{unpack, unpack_snapshots};
use longshore_core::{Budget, Result, Work};
use longshore_store::EmbeddedStore;
use longshore_testkit::stack::{Item, tar};

/// A layer of a tar stream, compressed in one of the ways there are.
pub(crate) fn layer_of(tar: &[u8], algorithm: Algorithm) -> BlobSource {
    let store = MemoryStore::default();
    let encoding = Encoding::new(algorithm, None).unwrap();
    let blob = tar.chunks(1 << 20).flat_map(|block| encoding.encode(block).unwrap()).collect::<Vec<u8>>();
    let descriptor = store.put(MediaType::layer(algorithm), &blob);
    BlobSource::new(descriptor, Digest::of(tar), Arc::new(store))
}

pub(crate) fn layers(stack: &[Vec<Item>]) -> Vec<BlobSource> {
    let algorithms = [Algorithm::Gzip, Algorithm::Uncompressed, Algorithm::Zstd];
    stack
        .iter()
        .zip(algorithms.into_iter().cycle())
        .map(|(items, algorithm)| layer_of(&tar(items), algorithm))
        .collect()
}

fn work() -> Work {
    Work::default().with_budget(Budget::new(std::num::NonZeroUsize::new(2).unwrap()))
}

pub(crate) fn unpack_to(layers: &[BlobSource], to: &Path) -> Result<()> {
    unpack(layers, to, &work())
}

pub(crate) fn snapshots(layers: &[BlobSource], store: &EmbeddedStore) -> Result<Option<Mount>> {
    unpack_snapshots(layers, store, &work())
}
