//! What comes after what, as a registry sees it.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use longshore_core::attestation::{Attestation, AttestationKind};
use longshore_core::content::MemoryStore;
use longshore_core::oci::{Descriptor, Digest, Index, Manifest};
use longshore_core::{BuildResult, Error, ExporterRegistry, Image, ImageContent, OutputSpec, Response, Session, Store};
use longshore_distribution::{Client, ClientOptions, RetryPolicy};
use longshore_exporter_registry::RegistryExporter;
use longshore_testkit::registry::{Recorded, Registry, Rule};
use longshore_testkit::sample::{self, CountingTar, ExistingOptions, LargeTar};

/// Pushes a result as an output says.
fn export(output: &str, result: &BuildResult) -> Result<Vec<Response>, Error> {
    let short = Duration::from_millis(1);
    let retry = RetryPolicy::default().with_first(short).with_longest(short);
    let client = Client::new(ClientOptions::default().with_retry(retry));
    let exporters = ExporterRegistry::default().with(RegistryExporter);
    let session = Session::new(&exporters).with_pusher(Arc::new(client.pusher()));
    let spec = OutputSpec::parse(output).unwrap().unwrap();
    session.resolve(&[spec]).unwrap().export(result, Store::Spool).map_err(|failure| failure.error)
}

/// An image for two platforms, and what refers to it: its root, and the referrer.
fn referred() -> (Image, Digest, Digest) {
    let image = sample::existing(7, &ExistingOptions { platforms: 2, referrer: true, ..ExistingOptions::default() });
    let ImageContent::Existing(existing) = &image.content else { panic!("the sample exists") };
    let (root, referrer) = (existing.root.digest.clone(), existing.referrers[0].digest.clone());
    (image, root, referrer)
}

/// The requests that put something, in their order.
fn puts(registry: &Registry) -> Vec<Recorded> {
    registry.requests().into_iter().filter(|request| request.method == "PUT").collect()
}

#[track_caller]
fn place(puts: &[Recorded], reference: &str) -> usize {
    let path = format!("/manifests/{reference}");
    let places: Vec<usize> = (0..puts.len()).filter(|at| puts[*at].path.ends_with(&path)).collect();
    assert_eq!(places.len(), 1, "{reference} is put once: {places:?}");
    places[0]
}

#[test]
fn what_refers_to_an_image_comes_after_it_and_before_its_tag() {
    for mut builder in [Registry::builder(), Registry::builder().no_referrers()] {
        builder = builder.refuse_mounts();
        let (registry, (image, root, referrer)) = (builder.start(), referred());
        let result = sample::result(vec![image]);
        let responses = export(&format!("type=registry,name={}/team/app:1.0", registry.host()), &result).unwrap();
        assert_eq!(responses[0].images[0].names, [format!("{}/team/app:1.0", registry.host())]);
        let puts = puts(&registry);
        let (subject, referring) = (place(&puts, &root.to_string()), place(&puts, &referrer.to_string()));
        assert!(subject < referring && referring < place(&puts, "1.0"), "{puts:?}");
        let last_blob = puts.iter().rposition(|put| put.path.contains("/blobs/")).unwrap();
        assert!(last_blob < subject);
    }
}

#[test]
fn without_a_tag_the_root_and_what_refers_to_it_are_put_last() {
    let (registry, (image, root, referrer)) = (Registry::start(), referred());
    let output = format!("type=registry,name={}/team/app,push-by-digest=true", registry.host());
    let responses = export(&output, &sample::result(vec![image])).unwrap();
    assert_eq!(responses[0].images[0].names, [format!("{}/team/app@{root}", registry.host())]);
    let puts = puts(&registry);
    assert_eq!(place(&puts, &root.to_string()), puts.len() - 2, "{puts:?}");
    assert_eq!(place(&puts, &referrer.to_string()), puts.len() - 1, "{puts:?}");
    assert!(registry.tags("team/app").is_empty());
    assert!(registry.manifest("team/app", &root.to_string()).is_some());
}

/// An image of a registry, in memory.
fn fetched(registry: &Registry, tag: &str) -> Image {
    let store = MemoryStore::default();
    let (media_type, bytes) = registry.manifest("team/app", tag).unwrap();
    let root = store.put(media_type.into(), &bytes);
    let mut left: Vec<Descriptor> = serde_json::from_slice::<Index>(&bytes).unwrap().manifests;
    while let Some(descriptor) = left.pop() {
        if descriptor.media_type.is_manifest() {
            let (media_type, bytes) = registry.manifest("team/app", &descriptor.digest.to_string()).unwrap();
            store.put(media_type.into(), &bytes);
            let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
            left.extend([manifest.config].into_iter().chain(manifest.layers));
        } else {
            store.put(descriptor.media_type, &registry.blob("team/app", &descriptor.digest).unwrap());
        }
    }
    Image::new(ImageContent::Existing(longshore_core::Existing::new(root, Arc::new(store))))
}

/// A registry may refuse a manifest whose subject it does not have: both were put at the same time.
#[test]
fn attestations_come_after_the_manifest_that_they_are_about() {
    let sbom = || {
        let text = br#"{"spdxVersion":"SPDX-2.3"}"#;
        Attestation::parse(&AttestationKind::Sbom, text).unwrap()
    };
    let about = |registry: &Registry| -> Vec<(String, String)> {
        let (_, index) = registry.manifest("team/app", "1.0").unwrap();
        let index: Index = serde_json::from_slice(&index).unwrap();
        let listed = index.manifests.iter();
        let pair = |listed: &Descriptor| {
            Some((listed.annotations.get("vnd.docker.reference.digest")?.clone(), listed.digest.to_string()))
        };
        listed.filter_map(pair).collect()
    };
    let first = Registry::start();
    let result = sample::result(vec![sample::multi_platform(3, 3).with_attestation(sbom())]);
    let name = |registry: &Registry| format!("type=registry,name={}/team/app:1.0", registry.host());
    export(&name(&first), &result).unwrap();
    // Copied as they are, too.
    let second = Registry::start();
    export(&name(&second), &sample::result(vec![fetched(&first, "1.0")])).unwrap();
    for registry in [&first, &second] {
        let about = about(registry);
        assert_eq!(about.len(), 3);
        let puts = puts(registry);
        for (subject, statement) in about {
            assert!(place(&puts, &subject) < place(&puts, &statement), "{puts:?}");
        }
    }
}

/// Pushes an image whose layer counts how often it is read, which fails before that.
fn fail_unread(host: &str) -> Vec<Error> {
    let options = ["", ",push-streaming=true"];
    let errors = options.map(|options| {
        let layer = CountingTar::new(Arc::new(LargeTar::new(1, 1 << 20)));
        let result = sample::result(vec![sample::image_of(vec![sample::layer_of(layer.clone())])]);
        let error = export(&format!("type=registry,name={host}/team/app:1.0{options}"), &result).unwrap_err();
        assert_eq!(layer.opens(), 0, "{options}");
        error
    });
    errors.into()
}

#[test]
fn a_registry_that_is_not_there_fails_before_a_layer_is_read() {
    let gone = Registry::start().host().to_owned();
    for error in fail_unread(&gone) {
        assert!(error.with_causes().contains(&gone), "{}", error.with_causes());
    }
}

#[test]
fn a_registry_that_refuses_who_asks_fails_before_a_layer_is_read() {
    let registry = Registry::builder().basic("user", "password").start();
    for error in fail_unread(registry.host()) {
        assert_eq!(error.kind(), longshore_core::ErrorKind::Denied, "{}", error.with_causes());
    }
    assert!(puts(&registry).is_empty());
}

/// A registry that removes what no manifest refers to yet.
#[test]
fn blobs_that_a_registry_loses_are_sent_again_once() {
    for lost in [1, 100] {
        let (registry, (image, root, _)) = (Registry::start(), referred());
        registry.fail(Rule::on("PUT", "/manifests/sha256:").lose_blobs().times(lost));
        let pushed =
            export(&format!("type=registry,name={}/team/app:1.0", registry.host()), &sample::result(vec![image]));
        if lost == 1 {
            pushed.unwrap();
            assert_eq!(registry.tags("team/app"), ["1.0"]);
            assert!(registry.manifest("team/app", &root.to_string()).is_some());
        } else {
            let said = pushed.unwrap_err().with_causes();
            assert!(said.contains("delivered again") && said.contains("MANIFEST_BLOB_UNKNOWN"), "{said}");
            assert!(registry.tags("team/app").is_empty());
        }
    }
}
