//! What the suites cannot ask of every store: sharing, resuming, labels, and errors of containerd.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use longshore_containerd::{Address, ContainerdStore, ContainerdStores};
use longshore_core::content::{
    BlobMeta, ContentStore, ImageStore, Origin, Provider, Snapshots, StoreKind, StoredImage, chain_ids,
};
use longshore_core::oci::{Descriptor, Digest, MediaType};
use longshore_core::{Error, ErrorKind};
use longshore_testkit::containerd::{Containerd, Options, Release};
use longshore_testkit::sample::Random;

fn daemons(options: Options) -> impl Iterator<Item = Containerd> {
    Release::ALL.into_iter().filter_map(move |release| Containerd::start(release, options))
}

fn address(daemon: &Containerd) -> Address {
    Address::default().with_socket(daemon.socket().to_str().unwrap()).unwrap()
}

fn open(daemon: &Containerd, namespace: &str) -> ContainerdStore {
    ContainerdStore::open(&address(daemon).with_namespace(namespace).unwrap()).unwrap()
}

fn put(store: &dyn ContentStore, bytes: &[u8], meta: BlobMeta) -> Digest {
    let mut writer = store.ingest(None).unwrap();
    writer.write_all(bytes).unwrap();
    writer.commit(meta).unwrap().digest
}

fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::from("application/octet-stream".to_owned()), bytes)
}

/// Asserts the kind of an error, and parts of its message and hint.
fn assert_error(error: &Error, kind: ErrorKind, message: &str, hint: &str) {
    let text = error.with_causes();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(message), "{text}");
    assert!(error.hint().is_some_and(|given| given.contains(hint)), "{:?} of {text}", error.hint());
}

#[test]
fn a_blob_that_exists_is_not_sent() {
    let bytes = Random::new(1).bytes(3_000_000);
    let expected = descriptor(&bytes);
    for daemon in daemons(Options::default().shared()) {
        let (store, other) = (open(&daemon, "one"), open(&daemon, "other"));
        put(&store, &bytes, BlobMeta::default());
        // Of the same namespace, and of another one.
        for store in [&store, &other] {
            let writer = store.ingest(Some(&expected)).unwrap();
            assert_eq!(writer.offset(), expected.size, "{:?}", daemon.release());
            let info = writer.commit(BlobMeta::default().with_diff_id(Some(Digest::of(b"diff")))).unwrap();
            assert_eq!(info.meta.diff_id, Some(Digest::of(b"diff")));
            assert_eq!(store.info(&expected.digest).unwrap(), Some(info));
        }
        let mut read = Vec::new();
        other.open(&expected.digest, 0).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        let wrong = Descriptor { size: expected.size + 1, ..expected.clone() };
        let error = other.ingest(Some(&wrong)).unwrap().commit(BlobMeta::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", error.with_causes());
    }
}

#[test]
fn an_interrupted_blob_is_resumed_over_another_connection() {
    let bytes = Random::new(2).bytes(5_000_000);
    let expected = descriptor(&bytes);
    for daemon in daemons(Options::default()) {
        let killed = open(&daemon, "n");
        let view = killed.lease().unwrap();
        let mut writer = view.ingest(Some(&expected)).unwrap();
        writer.write_all(&bytes[..3_000_001]).unwrap();
        writer.suspend().unwrap();
        let store = open(&daemon, "n");
        let later = store.lease().unwrap();
        let mut writer = later.ingest(Some(&expected)).unwrap();
        assert_eq!(writer.offset(), 3_000_001, "{:?}", daemon.release());
        writer.write_all(&bytes[3_000_001..]).unwrap();
        writer.commit(BlobMeta::default()).unwrap();
        let mut read = Vec::new();
        store.open(&expected.digest, 0).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        // With the lease that held the beginning, and the one that holds the blob, all is gone.
        drop(view);
        daemon.collect();
        assert!(store.info(&expected.digest).unwrap().is_some());
        drop(later);
        daemon.collect();
        assert_eq!(store.info(&expected.digest).unwrap(), None);
        assert_eq!(daemon.ctr_ok("n", &["content", "active"]).lines().count(), 1, "a header");
    }
}

/// Other clients read them.
#[test]
fn labels_are_those_of_containerd() {
    for daemon in daemons(Options::default()) {
        let store = open(&daemon, "n");
        let view = store.lease_images().unwrap();
        let layer = put(
            view.as_ref(),
            b"layer",
            BlobMeta::default()
                .with_diff_id(Some(Digest::of(b"diff")))
                .with_origins(vec![Origin { registry: "r.example".to_owned(), repository: "a/b".to_owned() }]),
        );
        let manifest = put(view.as_ref(), b"manifest", BlobMeta::default().with_references(vec![layer.clone()]));
        view.snapshots().unwrap().keep(&manifest, &Digest::of(b"chain")).unwrap();
        let listed = daemon.ctr_ok("n", &["content", "ls"]);
        let labels = |digest: &Digest| {
            let line = listed.lines().find(|line| line.starts_with(&digest.to_string())).unwrap();
            let mut labels: Vec<&str> = line.rsplit('\t').next().unwrap().split(',').collect();
            labels.sort_unstable();
            labels.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let diff = format!("containerd.io/uncompressed={}", Digest::of(b"diff"));
        assert_eq!(labels(&layer), ["containerd.io/distribution.source.r.example=a/b", &diff]);
        let reference = format!("containerd.io/gc.ref.content.0.{}={layer}", &layer.hex()[..12]);
        let snapshot = format!("containerd.io/gc.ref.snapshot.overlayfs={}", Digest::of(b"chain"));
        assert_eq!(labels(&manifest), [reference, snapshot]);
        let leases = daemon.ctr_ok("n", &["leases", "ls"]);
        assert!(leases.lines().any(|line| line.starts_with("longshore-") && line.contains("containerd.io/gc.expire=")));
        drop(view);
        assert_eq!(daemon.ctr_ok("n", &["leases", "ls", "-q"]), "");
    }
}

#[test]
fn names_of_other_clients_are_found() {
    for daemon in daemons(Options::default()) {
        let store = open(&daemon, "n");
        let view = store.lease_images().unwrap();
        let root = descriptor(b"manifest");
        put(view.as_ref(), b"manifest", BlobMeta::default());
        let image = StoredImage::new(root, Vec::new());
        let name = "app:1".parse().unwrap();
        view.tag(&[(name, image.clone())]).unwrap();
        // As a client that does not write names in full, and as Kubernetes.
        let full = "docker.io/library/app:1";
        daemon.ctr_ok("n", &["images", "tag", full, "short:2"]);
        daemon.ctr_ok("n", &["images", "tag", full, &image.root.digest.to_string()]);
        let short = "short:2".parse().unwrap();
        assert_eq!(store.image(&short).unwrap(), Some(image.clone()));
        let names: Vec<String> = store.images().unwrap().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, [full, "docker.io/library/short:2"]);
        assert_eq!(store.untag(std::slice::from_ref(&short)).unwrap(), [image]);
        assert_eq!(store.image(&short).unwrap(), None);
    }
}

#[test]
fn what_was_collected_is_not_found() {
    for daemon in daemons(Options::default()) {
        let store = open(&daemon, "n");
        let digest = put(&store, b"held by nothing", BlobMeta::default());
        daemon.collect();
        let error = store.open(&digest, 0).map(drop).unwrap_err();
        assert_error(&error, ErrorKind::NotFound, &digest.to_string(), "pull or import the image again");
    }
}

#[test]
fn a_lease_that_was_removed_is_said() {
    for daemon in daemons(Options::default()) {
        let store = open(&daemon, "n");
        let view = store.lease_images().unwrap();
        let found = put(&store, b"found", BlobMeta::default());
        let lease = daemon.ctr_ok("n", &["leases", "ls", "-q"]);
        daemon.ctr_ok("n", &["leases", "rm", lease.trim()]);
        let mut errors = vec![view.info(&found).unwrap_err()];
        errors.extend(view.snapshots().unwrap().prepare().map(drop).err());
        let written = view.ingest(None).and_then(|mut writer| {
            writer.write_all(b"new")?;
            writer.commit(BlobMeta::default())
        });
        errors.extend(written.err());
        assert_eq!(errors.len(), 3, "{:?}: {errors:?}", daemon.release());
        for error in errors {
            assert_error(&error, ErrorKind::Unavailable, "the lease of this run was removed", "run it again");
        }
    }
}

#[test]
fn a_namespace_that_is_missing_is_named() {
    for daemon in daemons(Options::default()) {
        let missing = address(&daemon).with_namespace("k8s.io").unwrap();
        let error = ContainerdStore::open_existing(&missing).unwrap_err();
        assert_error(&error, ErrorKind::NotFound, "has no namespace `k8s.io`", "import an image first");
        let store = ContainerdStore::open(&missing).unwrap();
        let _held = store.lease().unwrap();
        assert!(ContainerdStore::open_existing(&missing).unwrap().images().unwrap().is_empty());
        let other = missing.with_namespace("k8s").unwrap();
        let error = ContainerdStore::open_existing(&other).unwrap_err();
        assert_error(&error, ErrorKind::NotFound, "has no namespace `k8s`", "it has k8s.io");
    }
}

#[test]
fn a_snapshotter_that_is_missing_is_named() {
    for daemon in daemons(Options::default()) {
        let address = address(&daemon).with_snapshotter("stargz").unwrap();
        let store = ContainerdStore::open(&address).unwrap();
        let chain = chain_ids([&Digest::of(b"a")]).remove(0);
        for error in [
            Snapshots::mount(&store, &chain).unwrap_err(),
            Snapshots::prepare(&store).map(drop).unwrap_err(),
            store.unpack(&descriptor(b"a"), &Digest::of(b"a"), &chain, None).unwrap_err(),
        ] {
            assert_error(&error, ErrorKind::Unsupported, "has no snapshotter `stargz`", "native, overlayfs");
        }
    }
}

#[test]
fn a_service_that_is_missing_is_named() {
    for daemon in daemons(Options::default().without("io.containerd.grpc.v1.leases")) {
        let error = open(&daemon, "n").lease().map(drop).unwrap_err();
        assert_error(&error, ErrorKind::Unsupported, "containerd.services.leases.v1.Leases", "disabled_plugins");
    }
    for daemon in daemons(Options::default().without("io.containerd.grpc.v1.snapshots")) {
        let error = open(&daemon, "n").prepare().map(drop).unwrap_err();
        assert_error(&error, ErrorKind::Unsupported, "containerd.services.snapshots.v1.Snapshots", "disabled_plugins");
    }
}

#[test]
fn a_socket_of_something_else_is_named() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let error = ContainerdStores.open(path.as_os_str()).unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, &format!("cannot use containerd at {}", path.display()), "try again");
}

/// A call in flight, and those after it.
#[test]
fn a_daemon_that_ends_is_an_error() {
    for daemon in daemons(Options::default()) {
        let store = open(&daemon, "n");
        let mut writer = store.ingest(None).unwrap();
        drop(daemon);
        let written = writer.write_all(&vec![0; 8 << 20]).map_err(Error::from);
        let error = written.and_then(|()| writer.commit(BlobMeta::default())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.with_causes());
        let error = store.images().unwrap_err();
        assert_error(&error, ErrorKind::Unavailable, "lost the connection to containerd", "see whether it runs");
    }
}
