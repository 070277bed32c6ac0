//! What is read of a graph: nothing before it is needed, and each document once.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use longshore_core::content::{Cancel, MemoryStore, Provider, Work};
use longshore_core::image::{Detail, Graph, GraphLimits, inspect, take_apart, verbatim, verify};
use longshore_core::oci::{Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform, json};
use longshore_core::{ErrorKind, Existing, ImageContent, Result};
use longshore_testkit::sample::{self, ExistingOptions};
use parking_lot::Mutex;

/// Counts how often each blob is opened.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn Provider>,
    opened: Mutex<BTreeMap<Digest, usize>>,
}

impl Provider for Counting {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        *self.opened.lock().entry(digest.clone()).or_default() += 1;
        self.inner.open(digest, from)
    }
}

fn counted(existing: Existing) -> (Existing, Arc<Counting>) {
    let counting = Arc::new(Counting { inner: existing.provider.clone(), opened: Mutex::default() });
    (existing.with_provider(counting.clone()), counting)
}

impl Counting {
    /// How many blobs were opened since the last call; none of them twice.
    fn opened(&self, what: &str) -> usize {
        let opened = std::mem::take(&mut *self.opened.lock());
        assert!(opened.values().all(|times| *times == 1), "{what}: {opened:?}");
        opened.len()
    }
}

fn existing(options: &ExistingOptions) -> Existing {
    match sample::existing(1, options).content {
        ImageContent::Existing(existing) => existing,
        ImageContent::Built(_) => unreachable!("the sample exists"),
    }
}

#[test]
fn each_document_is_read_once_and_layers_only_to_verify_them() {
    let options = ExistingOptions { platforms: 3, referrer: true, ..ExistingOptions::default() };
    let (image, counting) = counted(existing(&options));
    let work = Work::default();
    let graph = Graph::of(&image, &work);
    assert_eq!(counting.opened("nothing was asked"), 0);
    assert_eq!(graph.listed().unwrap().len(), 3);
    assert_eq!(counting.opened("the index"), 1);
    let arm = Platform::new("linux", "arm64", None);
    let chosen = graph.platform(&arm).unwrap();
    assert_eq!(counting.opened("the chosen manifest"), 1);
    graph.entry(&chosen).unwrap();
    assert_eq!(counting.opened("its configuration"), 1);
    assert_eq!(graph.entries().unwrap().present.len(), 3);
    assert_eq!(counting.opened("two more manifests with their configurations"), 4);
    assert_eq!(graph.walk().unwrap().blobs.len(), 1 + 3 * 5 + 3);
    assert_eq!(counting.opened("the referrer"), 1);
    assert_eq!(graph.walk().unwrap().blobs.len(), 1 + 3 * 5 + 3);
    assert_eq!(counting.opened("nothing new"), 0);

    inspect(&image, Detail::Documents, &work).unwrap();
    assert_eq!(counting.opened("inspect"), 7);
    inspect(&image, Detail::Files, &work).unwrap();
    assert_eq!(counting.opened("inspect with files"), 7 + 9);
    assert_eq!(verify(&image, &work).unwrap().problems, [""; 0]);
    assert_eq!(counting.opened("verify"), 19);
    verbatim(&image, &work).unwrap();
    assert_eq!(counting.opened("verbatim"), 5);
    take_apart(&image, &work).unwrap();
    assert_eq!(counting.opened("taking apart"), 7);
}

/// A configuration, a manifest, and indexes in each other, each of which lists the next one `times` times.
fn nested(levels: usize, times: usize) -> Existing {
    let store = MemoryStore::default();
    let config = ImageConfig::new(&Platform::new("linux", "amd64", None));
    let config = store.put(MediaType::CONFIG, &config.to_bytes().unwrap());
    let manifest = Manifest::new(config, Vec::new());
    let mut root = store.put(MediaType::MANIFEST, &json::indented(&manifest).unwrap());
    for _ in 0..levels {
        let index = Index::new(vec![root; times]);
        root = store.put(MediaType::INDEX, &json::indented(&index).unwrap());
    }
    Existing::new(root, Arc::new(store))
}

/// `inspect` visited an index as often as it was listed: 20^10 times.
#[test]
fn an_index_that_is_listed_very_often_is_visited_once() {
    let (image, counting) = counted(nested(10, 20));
    let work = Work::default();
    assert_eq!(inspect(&image, Detail::Files, &work).unwrap().manifests.len(), 1);
    assert_eq!(counting.opened("inspect"), 12);
    assert_eq!(verify(&image, &work).unwrap().problems, [""; 0]);
    assert_eq!(counting.opened("verify"), 12);
    assert_eq!(take_apart(&image, &work).unwrap().artifacts().len(), 1);
    assert_eq!(verbatim(&image, &work).unwrap().blobs.len(), 12);
}

/// The digests of all that was missing were cloned for each index.
#[test]
fn many_indexes_with_a_missing_manifest_each_are_listed() {
    let store = MemoryStore::default();
    let config = store.put(MediaType::CONFIG, &ImageConfig::new(&Platform::host()).to_bytes().unwrap());
    let manifest = store.put(MediaType::MANIFEST, &json::indented(&Manifest::new(config, Vec::new())).unwrap());
    let missing = |at: usize| Descriptor::of(MediaType::MANIFEST, at.to_string().as_bytes());
    let put = |listed: Vec<Descriptor>| store.put(MediaType::INDEX, &json::compact(&Index::new(listed)).unwrap());
    let indexes: Vec<Descriptor> = (0..20_000).map(|at| put(vec![missing(at), manifest.clone()])).collect();
    let root = put(indexes.chunks(1000).map(|chunk| put(chunk.to_vec())).collect());
    let image = Existing::new(root, Arc::new(store));
    let inspection = inspect(&image, Detail::Documents, &Work::default()).unwrap();
    assert_eq!((inspection.manifests.len(), inspection.missing.len()), (1, 20_000));
    assert_eq!(verify(&image, &Work::default()).unwrap().missing, inspection.missing);
}

#[test]
fn a_graph_beyond_a_limit_is_refused_with_the_limit() {
    let work = Work::default();
    let message = |image: &Existing, limits: GraphLimits| {
        let walked = Graph::of(image, &work).with_limits(limits).walk().unwrap_err().with_causes();
        let listed = Graph::of(image, &work).with_limits(limits).entries().unwrap_err().with_causes();
        assert_eq!(walked, listed);
        walked.strip_prefix(&format!("cannot read image {}: ", image.root.digest)).unwrap().to_owned()
    };
    let limits = GraphLimits::default();
    let image = nested(5, 1);
    let depth = "indexes are nested deeper than the limit of 3";
    assert_eq!(message(&image, limits.with_depth(3)), depth);
    assert_eq!(message(&image, limits.with_blobs(4)), "more blobs than the limit of 4");
    let bytes = "manifests and configurations have more bytes than the limit of 700";
    assert_eq!(message(&image, limits.with_bytes(700)), bytes);

    // What a manifest lists is no index: a walk called it deeper than the manifest.
    let just = nested(limits.depth, 1);
    assert_eq!(verify(&just, &work).unwrap().problems, [""; 0]);
    assert_eq!(inspect(&just, Detail::Documents, &work).unwrap().manifests.len(), 1);

    let deep = nested(limits.depth + 2, 1);
    let expected = format!("indexes are nested deeper than the limit of {}", limits.depth);
    assert_eq!(verify(&deep, &work).unwrap().problems, [expected]);
    assert_eq!(inspect(&deep, Detail::Documents, &work).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_cancelled_run_ends_every_walk() {
    let image = nested(3, 2);
    let cancel = Cancel::default();
    let work = Work::default().with_cancel(cancel.clone());
    cancel.cancel();
    let graph = Graph::of(&image, &work);
    let platform = Platform::host();
    for error in [
        graph.walk().map(drop).unwrap_err(),
        graph.entries().map(drop).unwrap_err(),
        graph.platform(&platform).map(drop).unwrap_err(),
        verify(&image, &work).map(drop).unwrap_err(),
        verbatim(&image, &work).map(drop).unwrap_err(),
        inspect(&image, Detail::Documents, &work).map(drop).unwrap_err(),
        take_apart(&image, &work).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    }
}

/// Another size of a digest that was read is a claim like any other.
#[test]
fn a_reference_with_another_size_is_not_taken_for_the_one_that_was_read() {
    let image = nested(0, 0);
    let work = Work::default();
    let lie = Descriptor { size: image.root.size + 1, ..image.root.clone() };
    let graph = Graph::of(&image, &work);
    graph.entry(&image.root).unwrap();
    assert_eq!(graph.entry(&lie).unwrap_err().kind(), ErrorKind::Corrupt);
}
