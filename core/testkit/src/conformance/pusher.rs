//! The contract of pushers, against the registry of this crate.

use std::io::Write;
use std::sync::Arc;
use std::thread;

use longshore_core::content::{
    Delivery, MemoryStore, Origin, PushBlob, PushSession, Pusher, RegistryOptions, Work, read,
};
use longshore_core::oci::{Descriptor, ImageName, MediaType};
use longshore_core::{ErrorKind, Result};
use serde_json::{Value, json};

use crate::faults::{Fault, FaultyProvider};
use crate::registry::{Registry, Rule};
use crate::sample::Random;

/// Checks every line of the contract of [`Pusher`] and [`PushSession`] that can be seen from outside. `make` is called
/// for each case and gives a pusher of a new run, which reaches registries on loopback without encryption and tries again
/// after short waits.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn pusher(make: &dyn Fn() -> Arc<dyn Pusher>) {
    super::run("pusher", PUSHER_CASES.iter().map(|(name, case)| (*name, || case(make().as_ref()))));
}

/// A case of [`pusher`].
pub type PusherCheck = fn(&dyn Pusher);

/// The cases of [`pusher`], by name.
pub const PUSHER_CASES: &[(&str, PusherCheck)] = &[
    ("opening a repository makes no request", opening_a_repository_makes_no_request),
    ("a blob is sent once", a_blob_is_sent_once),
    ("many threads send a blob once", many_threads_send_a_blob_once),
    ("a blob is mounted from where it is known to be", a_blob_is_mounted_from_where_it_is_known_to_be),
    ("an origin without the blob does no harm", an_origin_without_the_blob_does_no_harm),
    ("a blob that is not what it says is refused", a_blob_that_is_not_what_it_says_is_refused),
    ("a registry that is busy is asked again", a_registry_that_is_busy_is_asked_again),
    ("reuse sends nothing", reuse_sends_nothing),
    ("a stream is a blob", a_stream_is_a_blob),
    ("a stream that fails leaves nothing", a_stream_that_fails_leaves_nothing),
    ("a registry without streams is sent nothing", a_registry_without_streams_is_sent_nothing),
    ("what was pushed is read back", what_was_pushed_is_read_back),
    ("a manifest shows under its digest alone", a_manifest_shows_under_its_digest_alone),
    ("a manifest that is there is left alone", a_manifest_that_is_there_is_left_alone),
    ("a tag moves and says so", a_tag_moves_and_says_so),
    ("one tag is reserved for one manifest", one_tag_is_reserved_for_one_manifest),
    ("referrers are listed where the registry does not", referrers_are_listed_where_the_registry_does_not),
    ("a registry that refuses is found out early", a_registry_that_refuses_is_found_out_early),
    ("a cancelled run sends nothing", a_cancelled_run_sends_nothing),
];

const REPOSITORY: &str = "suite/app";

fn session(pusher: &dyn Pusher, registry: &Registry, repository: &str) -> Arc<dyn PushSession> {
    let name: ImageName = format!("{}/{repository}", registry.host()).parse().expect("a name");
    pusher.repository(&name, RegistryOptions::default()).expect("a repository")
}

fn layer(bytes: &[u8]) -> (Descriptor, MemoryStore) {
    let store = MemoryStore::default();
    let media_type = MediaType::from("application/vnd.oci.image.layer.v1.tar+gzip".to_owned());
    (store.put(media_type, bytes), store)
}

fn push(session: &dyn PushSession, bytes: &[u8], origins: &[Origin]) -> Result<Delivery> {
    let (descriptor, store) = layer(bytes);
    let blob = PushBlob::new(&descriptor, &store).with_origins(origins).with_verified(true);
    session.blob(&blob, &Work::default())
}

fn stream(session: &dyn PushSession, bytes: &[u8]) -> Result<Option<Descriptor>> {
    let make = |out: &mut (dyn Write + Send)| {
        out.write_all(bytes)?;
        Ok(layer(bytes).0)
    };
    session.stream("layer", &make, &Work::default())
}

/// Returns a manifest with a pushed configuration, and its bytes.
fn manifest(session: &dyn PushSession, seed: u64, subject: Option<&Descriptor>) -> (Descriptor, Vec<u8>) {
    let config = format!("{{\"seed\":{seed}}}");
    push(session, config.as_bytes(), &[]).expect("the configuration");
    let mut document = json!({
        "schemaVersion": 2, "mediaType": MediaType::MANIFEST,
        "config": Descriptor::of(MediaType::CONFIG, config.as_bytes()), "layers": [],
    });
    if let Some(subject) = subject {
        document["subject"] = json!(subject);
    }
    let bytes = document.to_string().into_bytes();
    (Descriptor::of(MediaType::MANIFEST, &bytes), bytes)
}

/// Returns the total bytes of all upload bodies.
fn uploaded(registry: &Registry) -> u64 {
    registry.requests().iter().filter(|request| request.path.contains("/uploads/")).map(|each| each.body_bytes).sum()
}

fn opening_a_repository_makes_no_request(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let expected = Origin { registry: registry.host().to_owned(), repository: REPOSITORY.to_owned() };
    assert_eq!(session.origin(), expected);
    assert_eq!(registry.requests(), []);
}

fn a_blob_is_sent_once(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    for bytes in [Random::new(1).bytes(300_000), Vec::new()] {
        registry.clear_requests();
        assert_eq!(push(session.as_ref(), &bytes, &[]).expect("push"), Delivery::Sent { resumed: 0 });
        assert_eq!(registry.blob(REPOSITORY, &layer(&bytes).0.digest), Some(bytes.clone()));
        assert_eq!(push(session.as_ref(), &bytes, &[]).expect("push"), Delivery::Present);
        assert_eq!(uploaded(&registry), bytes.len() as u64);
    }
    let there = registry.put_blob(REPOSITORY, b"put by another client");
    assert_eq!(push(session.as_ref(), b"put by another client", &[]).expect("push"), Delivery::Present, "{there}");
}

fn many_threads_send_a_blob_once(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let bytes = Random::new(2).bytes(200_000);
    thread::scope(|scope| {
        for _ in 0..8 {
            // Several outputs of a run may open one repository.
            let session = session(pusher, &registry, REPOSITORY);
            let bytes = &bytes;
            scope.spawn(move || push(session.as_ref(), bytes, &[]).expect("push"));
        }
    });
    assert_eq!(uploaded(&registry), 200_000);
    assert_eq!(registry.blob(REPOSITORY, &layer(&bytes).0.digest), Some(bytes));
}

fn a_blob_is_mounted_from_where_it_is_known_to_be(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let digest = registry.put_blob("suite/base", b"a layer of the base");
    let session = session(pusher, &registry, REPOSITORY);
    let origin = Origin { registry: registry.host().to_owned(), repository: "suite/base".to_owned() };
    let delivery = push(session.as_ref(), b"a layer of the base", &[origin]).expect("push");
    assert_eq!(delivery, Delivery::Mounted("suite/base".to_owned()));
    assert_eq!(registry.blob(REPOSITORY, &digest).as_deref(), Some(&b"a layer of the base"[..]));
    assert_eq!(uploaded(&registry), 0);
}

fn an_origin_without_the_blob_does_no_harm(pusher: &dyn Pusher) {
    for registry in [Registry::start(), Registry::builder().refuse_mounts().start()] {
        let session = session(pusher, &registry, REPOSITORY);
        let origins = [registry.host(), "elsewhere.example"]
            .map(|host| Origin { registry: host.to_owned(), repository: "suite/base".to_owned() });
        let delivery = push(session.as_ref(), b"a layer", &origins).expect("push");
        assert_eq!(delivery, Delivery::Sent { resumed: 0 });
        assert_eq!(registry.blob(REPOSITORY, &layer(b"a layer").0.digest).as_deref(), Some(&b"a layer"[..]));
    }
}

fn a_blob_that_is_not_what_it_says_is_refused(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let (descriptor, store) = layer(&Random::new(3).bytes(100_000));
    let store = Arc::new(store);
    for fault in [Fault::Flipped, Fault::Cut, Fault::Longer, Fault::Missing] {
        let provider = FaultyProvider::new(store.clone(), descriptor.digest.clone(), fault);
        let blob = PushBlob::new(&descriptor, provider.as_ref());
        let error = session.blob(&blob, &Work::default()).expect_err("push");
        let expected = if fault == Fault::Missing { ErrorKind::NotFound } else { ErrorKind::Corrupt };
        assert_eq!(error.kind(), expected, "{fault:?}: {}", error.with_causes());
        assert!(error.with_causes().contains(&descriptor.digest.to_string()), "{fault:?}: {}", error.with_causes());
        assert_eq!(registry.blob(REPOSITORY, &descriptor.digest), None, "{fault:?}");
    }
}

fn a_registry_that_is_busy_is_asked_again(pusher: &dyn Pusher) {
    let registry = Registry::start();
    for method in ["HEAD", "POST", "PUT"] {
        registry.fail(Rule::on(method, "").status(503));
        registry.fail(Rule::on(method, "").drop_before_answer());
    }
    let session = session(pusher, &registry, REPOSITORY);
    push(session.as_ref(), b"a layer", &[]).expect("push");
    assert!(registry.blob(REPOSITORY, &layer(b"a layer").0.digest).is_some());
    let (descriptor, bytes) = manifest(session.as_ref(), 1, None);
    session.tag("1", &descriptor, &bytes, &Work::default()).expect("tag");
    assert_eq!(registry.tags(REPOSITORY), ["1"]);
}

fn reuse_sends_nothing(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let own = registry.put_blob(REPOSITORY, b"in the repository");
    let other = registry.put_blob("suite/base", b"in another one");
    let origins = [Origin { registry: registry.host().to_owned(), repository: "suite/base".to_owned() }];
    let reuse = |digest, origins: &[Origin]| session.reuse(digest, origins, &Work::default()).expect("reuse");
    assert_eq!(reuse(&own, &[]), Some(17));
    assert_eq!(reuse(&other, &origins), Some(14));
    assert!(registry.blob(REPOSITORY, &other).is_some(), "a blob that is reused is in the repository");
    let missing = layer(b"nowhere").0.digest;
    assert_eq!(reuse(&missing, &origins), None);
    assert_eq!((uploaded(&registry), registry.open_uploads()), (0, 0));
}

fn a_stream_is_a_blob(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let bytes = Random::new(4).bytes(500_000);
    let descriptor = layer(&bytes).0;
    assert_eq!(stream(session.as_ref(), &bytes).expect("stream"), Some(descriptor.clone()));
    assert!(registry.blob(REPOSITORY, &descriptor.digest) == Some(bytes.clone()));
    assert_eq!(push(session.as_ref(), &bytes, &[]).expect("push"), Delivery::Present);
}

fn a_stream_that_fails_leaves_nothing(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let make = |out: &mut (dyn Write + Send)| {
        out.write_all(&[7; 100_000])?;
        Err(longshore_core::Error::corrupt("the source broke, on purpose"))
    };
    let error = session.stream("layer", &make, &Work::default()).expect_err("stream");
    assert!(error.with_causes().contains("on purpose"), "not the error of the source: {}", error.with_causes());
    let all = layer(&[7; 100_000]).0.digest;
    assert_eq!((registry.blob(REPOSITORY, &all), registry.open_uploads()), (None, 0));
}

fn a_registry_without_streams_is_sent_nothing(pusher: &dyn Pusher) {
    let registry = Registry::builder().refuse_streaming().start();
    let session = session(pusher, &registry, REPOSITORY);
    assert_eq!(stream(session.as_ref(), b"a layer").expect("stream"), None);
    assert_eq!(registry.blob(REPOSITORY, &layer(b"a layer").0.digest), None);
    push(session.as_ref(), b"a layer", &[]).expect("a blob whose size is known");
}

fn what_was_pushed_is_read_back(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let bytes = Random::new(5).bytes(50_000);
    push(session.as_ref(), &bytes, &[]).expect("push");
    let provider = session.provider(&Work::default());
    assert!(read(provider.as_ref(), &layer(&bytes).0, 1 << 20).expect("read") == bytes);
    let mut rest = Vec::new();
    let mut reader = provider.open(&layer(&bytes).0.digest, 40_000).expect("open");
    std::io::Read::read_to_end(&mut reader, &mut rest).expect("read");
    assert!(rest == bytes[40_000..]);
    let error = provider.open(&layer(b"nowhere").0.digest, 0).map(drop).expect_err("open");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.with_causes());
}

fn a_manifest_shows_under_its_digest_alone(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let (descriptor, bytes) = manifest(session.as_ref(), 1, None);
    let put = || session.manifest(&descriptor, &bytes, &Work::default()).expect("manifest");
    assert_eq!(put(), Delivery::Sent { resumed: 0 });
    let found = registry.manifest(REPOSITORY, &descriptor.digest.to_string());
    assert_eq!(found, Some((MediaType::MANIFEST.to_string(), bytes.clone())));
    put();
    assert_eq!(registry.tags(REPOSITORY), Vec::<String>::new());
}

fn a_manifest_that_is_there_is_left_alone(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let config = registry.put_blob(REPOSITORY, b"{}");
    let config = Descriptor::new(MediaType::CONFIG, config, 2);
    let document = json!({"schemaVersion": 2, "mediaType": MediaType::MANIFEST, "config": config, "layers": []});
    let bytes = document.to_string().into_bytes();
    let descriptor = Descriptor::of(MediaType::MANIFEST, &bytes);
    registry.put_manifest(REPOSITORY, None, MediaType::MANIFEST.as_str(), &bytes);
    let session = session(pusher, &registry, REPOSITORY);
    let delivery = session.manifest(&descriptor, &bytes, &Work::default()).expect("manifest");
    assert_eq!(delivery, Delivery::Present);
    assert!(registry.requests().iter().all(|request| request.method != "PUT"), "{:?}", registry.requests());
}

fn a_tag_moves_and_says_so(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let [one, other] = [1, 2].map(|seed| manifest(session.as_ref(), seed, None));
    for (descriptor, bytes) in [&one, &other] {
        session.manifest(descriptor, bytes, &Work::default()).expect("manifest");
    }
    let tag = |(descriptor, bytes): &(Descriptor, Vec<u8>)| {
        session.tag("1", descriptor, bytes, &Work::default()).expect("tag")
    };
    assert_eq!(tag(&one), Delivery::Sent { resumed: 0 });
    assert_eq!(tag(&one), Delivery::Present, "a tag that points there already");
    assert_eq!(tag(&other), Delivery::Sent { resumed: 0 });
    assert_eq!(registry.manifest(REPOSITORY, "1").map(|(_, bytes)| bytes), Some(other.1));
    assert_eq!(registry.tags(REPOSITORY), ["1"]);
}

fn one_tag_is_reserved_for_one_manifest(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let [one, other] = [&b"one"[..], b"other"].map(|bytes| Descriptor::of(MediaType::MANIFEST, bytes));
    // Outputs of one run share reservations.
    let [first, second] = [(); 2].map(|()| session(pusher, &registry, REPOSITORY));
    first.reserve("1", &one).expect("reserve");
    second.reserve("1", &one).expect("the same again");
    second.reserve("2", &other).expect("another tag");
    let error = second.reserve("1", &other).expect_err("reserve");
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{}", error.with_causes());
    session(pusher, &registry, "suite/other").reserve("1", &other).expect("a tag of another repository");
    assert_eq!(registry.repositories(), Vec::<String>::new(), "nothing is visible");
}

fn referrers_are_listed_where_the_registry_does_not(pusher: &dyn Pusher) {
    let registry = Registry::builder().no_referrers().start();
    let session = session(pusher, &registry, REPOSITORY);
    let (subject, bytes) = manifest(session.as_ref(), 1, None);
    session.tag("1", &subject, &bytes, &Work::default()).expect("tag");
    let (referrer, bytes) = manifest(session.as_ref(), 2, Some(&subject));
    session.manifest(&referrer, &bytes, &Work::default()).expect("manifest");
    assert_eq!(registry.tags(REPOSITORY), ["1"]);
    session.list_referrers(&Work::default()).expect("list");
    let list = format!("sha256-{}", subject.digest.hex());
    let (media_type, bytes) = registry.manifest(REPOSITORY, &list).expect("the list of referrers");
    let list: Value = serde_json::from_slice(&bytes).expect("JSON");
    let digests: Vec<_> = list["manifests"].as_array().into_iter().flatten().map(|each| &each["digest"]).collect();
    assert_eq!((media_type, digests), (MediaType::INDEX.to_string(), vec![&json!(referrer.digest)]));
}

fn a_registry_that_refuses_is_found_out_early(pusher: &dyn Pusher) {
    let registry = Registry::start();
    session(pusher, &registry, REPOSITORY).check(&Work::default()).expect("a registry that is open to everyone");
    let closed = Registry::builder().basic("user", "password").start();
    let error = session(pusher, &closed, REPOSITORY).check(&Work::default()).expect_err("check");
    assert_eq!(error.kind(), ErrorKind::Denied, "{}", error.with_causes());
    assert!(error.with_causes().contains(closed.host()), "the error names the registry: {}", error.with_causes());
    for registry in [&registry, &closed] {
        assert_eq!((registry.repositories(), registry.open_uploads()), (Vec::new(), 0));
    }
}

fn a_cancelled_run_sends_nothing(pusher: &dyn Pusher) {
    let registry = Registry::start();
    let session = session(pusher, &registry, REPOSITORY);
    let work = Work::default();
    work.cancel.cancel();
    let (descriptor, store) = layer(b"a layer");
    let blob = PushBlob::new(&descriptor, &store).with_verified(true);
    let make = |out: &mut (dyn Write + Send)| Ok(out.write_all(b"a layer").map(|()| descriptor.clone())?);
    let errors = [
        session.blob(&blob, &work).map(drop),
        session.reuse(&descriptor.digest, &[], &work).map(drop),
        session.stream("layer", &make, &work).map(drop),
        session.manifest(&Descriptor::of(MediaType::MANIFEST, b"{}"), b"{}", &work).map(drop),
        session.tag("1", &Descriptor::of(MediaType::MANIFEST, b"{}"), b"{}", &work).map(drop),
    ];
    for error in errors.map(|done| done.expect_err("a cancelled call")) {
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.with_causes());
    }
    assert_eq!((registry.repositories(), uploaded(&registry)), (Vec::new(), 0));
}
