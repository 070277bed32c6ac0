use std::sync::Arc;

use longshore_core::content::{MemoryStore, Origin, Provider};
use longshore_core::oci::{Descriptor, Digest, MediaType, Platform, json as document};
use longshore_core::{ErrorKind, Existing, Result, Work};
use longshore_testkit::Warnings;
use serde_json::json;

use super::pieces::{
    attestation, composed, digests, existing, has, image, index, listed, platform, put, read_index, referrer, source,
};

fn refused(sources: Vec<longshore_core::compose::SourceImages>) -> (ErrorKind, String) {
    let error = composed(sources, &[], &Work::default()).unwrap_err();
    (error.kind(), error.with_causes())
}

/// As `docker buildx imagetools create` writes it, but for the order: images, then attestations.
#[test]
fn manifests_keep_their_bytes_and_attestations_follow_all_of_them() {
    let [one, other] = [MemoryStore::default(), MemoryStore::default()];
    let amd = listed(&one, 1, "linux/amd64").annotated("kept", "yes");
    let not_taken = listed(&one, 2, "linux/s390x");
    let of_amd = [attestation(&one, &amd), attestation(&one, &not_taken)];
    let first = index(&one, &[of_amd[0].clone(), amd.clone(), not_taken.clone(), of_amd[1].clone()]);
    // Nested, and the attestation in another index than its image.
    let arm = listed(&other, 3, "linux/arm64");
    let of_arm = attestation(&other, &arm);
    let second = index(&other, &[index(&other, std::slice::from_ref(&arm)), of_arm.clone()]);
    let sources = |order: [usize; 2]| {
        let all = [("a", "linux/amd64", existing(&one, &first)), ("b", "arm64", existing(&other, &second))];
        order.map(|at| source(all[at].0, Some(all[at].1), all[at].2.clone())).into()
    };
    let joined = composed(sources([0, 1]), &[], &Work::default()).unwrap();
    let found = read_index(&joined);
    assert_eq!(found.manifests, [amd.clone(), arm.clone(), of_amd[0].clone(), of_arm.clone()]);
    assert_eq!((&found.media_type, &joined.root.media_type), (&Some(MediaType::INDEX), &MediaType::INDEX));
    assert_eq!(joined.root, Descriptor::of(MediaType::INDEX, &document::indented(&found).unwrap()));
    assert!(found.annotations.is_empty() && found.subject.is_none());
    let reversed = read_index(&composed(sources([1, 0]), &[], &Work::default()).unwrap());
    assert_eq!(reversed.manifests, [arm, amd, of_arm, of_amd[0].clone()]);
    assert!(!has(&one, &joined.root.digest) && !has(&other, &joined.root.digest), "nothing is written to sources");
}

#[test]
fn an_index_of_manifests_of_docker_is_a_list_of_docker() {
    let store = MemoryStore::default();
    let config = |text: &str| serde_json::to_value(platform(text)).unwrap();
    let amd = image(&store, 1, config("linux/amd64"), true);
    let arm = image(&store, 2, config("linux/arm64"), true);
    let oci = image(&store, 3, config("linux/s390x"), false);
    let part = |text, root: &Descriptor| source(text, Some(text), existing(&store, root));
    let docker = vec![part("linux/amd64", &amd), part("linux/arm64", &arm)];
    let joined = composed(docker.clone(), &[], &Work::default()).unwrap();
    assert_eq!(joined.root.media_type, MediaType::DOCKER_LIST);
    let listed = read_index(&joined);
    assert_eq!(listed.media_type, Some(MediaType::DOCKER_LIST));
    assert_eq!(
        listed.manifests,
        [
            Descriptor { platform: Some(platform("linux/amd64")), ..amd },
            Descriptor { platform: Some(platform("linux/arm64")), ..arm },
        ]
    );
    let mixed = composed([docker, vec![part("linux/s390x", &oci)]].concat(), &[], &Work::default()).unwrap();
    assert_eq!(mixed.root.media_type, MediaType::INDEX);
}

/// Annotations in the index of a source came into a manifest list, whose type has none.
#[test]
fn annotated_docker_manifests_are_joined_in_an_index() {
    let store = MemoryStore::default();
    let docker = |seed, text: &str| {
        let own = serde_json::to_value(platform(text)).unwrap();
        Descriptor { platform: Some(platform(text)), ..image(&store, seed, own, true) }
    };
    let (amd, arm) = (docker(1, "linux/amd64").annotated("a", "1"), docker(2, "linux/arm64"));
    let sources = [("linux/amd64", &amd), ("linux/arm64", &arm)].map(|(text, listed)| {
        let root = index(&store, std::slice::from_ref(listed));
        source(text, Some(text), existing(&store, &root))
    });
    let joined = composed(sources.into(), &[], &Work::default()).unwrap();
    assert_eq!(joined.root.media_type, MediaType::INDEX);
    assert_eq!(read_index(&joined).manifests, [amd, arm]);
}

#[test]
fn a_platform_keeps_what_the_source_says_beyond_the_prefix() {
    let store = MemoryStore::default();
    let windows = |seed, version: &str| {
        let own = json!({"os": "windows", "architecture": "amd64", "os.version": version, "os.features": ["win32k"]});
        image(&store, seed, own, false)
    };
    let (newer, older) = (windows(1, "10.0.20348.1"), windows(2, "10.0.17763.1"));
    let v8 = Platform { variant: Some("v8".into()), ..platform("linux/arm64") };
    let arm = Descriptor { platform: Some(v8.clone()), ..listed(&store, 3, "linux/arm64") };
    let silent = image(&store, 4, json!({"os": "linux", "architecture": "arm"}), false);
    let v2 = image(&store, 5, json!({"os": "linux", "architecture": "amd64", "variant": "v1"}), false);
    let newer_listed = Platform { os_version: Some("10.0.20348.1".into()), ..platform("windows/amd64") };
    let newer_in = index(&store, &[Descriptor { platform: Some(newer_listed), ..newer.clone() }]);
    let features = |version: &str| Platform {
        os_version: Some(version.to_owned()),
        os_features: vec!["win32k".to_owned()],
        ..platform("windows/amd64")
    };
    let part = |text: &str, root: &Descriptor| source(text, Some(text), existing(&store, root));
    let sources = vec![
        part("windows/amd64", &newer_in),
        part("windows/amd64", &older),
        part("linux/arm64", &index(&store, &[arm])),
        part("linux/arm", &silent),
        part("linux/amd64", &v2),
    ];
    // A machine has the features of its image only if it says so.
    let wanted = Platform { os_features: vec!["win32k".to_owned()], ..platform("windows/amd64") };
    let sources = sources.into_iter().map(|part| match part.source.starts_with("windows") {
        true => part.with_platform(Some(wanted.clone())),
        false => part,
    });
    let joined = read_index(&composed(sources.collect(), &[], &Work::default()).unwrap());
    let platforms: Vec<Platform> = joined.manifests.into_iter().filter_map(|listed| listed.platform).collect();
    let expected =
        [features("10.0.20348.1"), features("10.0.17763.1"), v8, platform("linux/arm/v7"), platform("linux/amd64")];
    assert_eq!(platforms, expected);
}

#[test]
fn annotations_of_the_place_where_a_manifest_was_are_not_those_of_the_image() {
    let store = MemoryStore::default();
    let found = listed(&store, 1, "linux/amd64").annotated("org.example.created", "today");
    let other = listed(&store, 2, "linux/arm64");
    let sources = vec![
        source("a", Some("linux/amd64"), existing(&store, &found)),
        source("b", Some("linux/arm64"), existing(&store, &other)),
    ];
    let joined = read_index(&composed(sources, &[], &Work::default()).unwrap());
    assert!(joined.manifests[0].annotations.is_empty());
}

#[test]
fn what_cannot_be_joined_is_said_with_its_source() {
    let store = MemoryStore::default();
    let amd = listed(&store, 1, "linux/amd64");
    let v6 = listed(&store, 2, "linux/arm/v6");
    let liar = Descriptor { platform: Some(platform("linux/arm64")), ..amd.clone() };
    let artifact = referrer(&store, &amd);
    let part = |text: &str, platform: &str, root: &Descriptor| source(text, Some(platform), existing(&store, root));
    let first = || part("oci:one", "linux/amd64", &amd);
    let config = |digest: &Digest| {
        let read =
            longshore_core::content::read(&store, &Descriptor { digest: digest.clone(), ..amd.clone() }, 1 << 20);
        let manifest: serde_json::Value = serde_json::from_slice(&read.unwrap()).unwrap();
        manifest["config"]["digest"].as_str().unwrap().to_owned()
    };
    for (second, kind, expected) in [
        (
            part("oci:two", "linux/x86_64", &amd),
            ErrorKind::InvalidOption,
            "two sources are for linux/amd64: oci:one and oci:two".to_owned(),
        ),
        (
            part("oci:two", "linux/arm64", &amd),
            ErrorKind::NotFound,
            "cannot join oci:two: no image for platform linux/arm64".to_owned(),
        ),
        (
            part("oci:two", "linux/arm64", &index(&store, &[liar])),
            ErrorKind::InvalidInput,
            format!("cannot join oci:two: config {} is for linux/amd64, not for linux/arm64", config(&amd.digest)),
        ),
        (
            part("oci:two", "linux/arm/v7", &index(&store, std::slice::from_ref(&v6))),
            ErrorKind::InvalidInput,
            format!("cannot join oci:two: config {} is for linux/arm/v6, not for linux/arm/v7", config(&v6.digest)),
        ),
        (
            part("oci:two", "linux/arm64", &artifact),
            ErrorKind::Unsupported,
            format!("cannot join oci:two: {} is an artifact, not an image", artifact.digest),
        ),
    ] {
        let (found, message) = refused(vec![first(), second]);
        assert_eq!(found, kind, "{message}");
        assert!(message.starts_with(&expected), "{message}\n{expected}");
    }
    let mut several = first();
    several.images.extend(several.images.clone());
    let (_, message) = refused(vec![several, part("oci:two", "linux/arm64", &amd)]);
    assert_eq!(message, "cannot join oci:one: it has 2 images");
}

#[test]
fn a_missing_attestation_is_skipped_and_said() {
    let store = MemoryStore::default();
    let (amd, arm) = (listed(&store, 1, "linux/amd64"), listed(&store, 2, "linux/arm64"));
    let missing = attestation(&MemoryStore::default(), &amd);
    let root = index(&store, &[amd.clone(), missing.clone()]);
    let (work, warnings) = Warnings::listen();
    let sources = vec![
        source("a", Some("linux/amd64"), existing(&store, &root)),
        source("b", Some("linux/arm64"), existing(&store, &arm)),
    ];
    let joined = composed(sources, &[], &work).unwrap();
    assert_eq!(digests(&read_index(&joined).manifests), digests(&[amd, arm]));
    assert_eq!(warnings.messages(), [format!("{}: skipped attestation {}: not found", root.digest, missing.digest)]);
}

#[test]
fn referrers_of_what_is_joined_come_along() {
    let store = MemoryStore::default();
    let (amd, arm) = (listed(&store, 1, "linux/amd64"), listed(&store, 2, "linux/arm64"));
    let root = index(&store, &[amd.clone(), arm.clone()]);
    let signature = referrer(&store, &amd);
    let of_signature = referrer(&store, &signature);
    let others = [referrer(&store, &root), referrer(&store, &arm)];
    let all = vec![of_signature.clone(), others[0].clone(), signature.clone(), others[1].clone()];
    let (work, warnings) = Warnings::listen();
    let sources = vec![
        source("a", Some("linux/amd64"), existing(&store, &root).with_referrers(all)),
        source("b", Some("linux/arm64"), existing(&store, &arm)),
    ];
    let joined = composed(sources, &[], &work).unwrap();
    assert_eq!(joined.referrers, [signature, of_signature]);
    let expected = format!("{}: 2 of its referrers are left out, as their subjects are", root.digest);
    assert_eq!(warnings.messages(), [expected]);
}

/// A provider that knows a repository for everything that it has.
#[derive(Debug)]
struct Repository(MemoryStore, &'static str);

impl Provider for Repository {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn std::io::Read + Send + '_>> {
        self.0.open(digest, from)
    }

    fn origins(&self, _: &Digest) -> Result<Vec<Origin>> {
        Ok(vec![Origin { registry: "r.example".to_owned(), repository: self.1.to_owned() }])
    }
}

#[test]
fn repositories_that_have_a_blob_are_known_for_mounts() {
    let store = MemoryStore::default();
    let (amd, arm) = (listed(&store, 1, "linux/amd64"), listed(&store, 2, "linux/arm64"));
    // Both images have this layer.
    let shared = store.put(MediaType::layer(longshore_core::compression::Algorithm::Uncompressed), b"shared");
    let with_layer = |seed: u64, text: &str| {
        let config = put(&store, MediaType::CONFIG, &serde_json::to_value(platform(text)).unwrap());
        put(&store, MediaType::MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [shared], "x": seed}))
    };
    let roots = [with_layer(3, "linux/amd64"), with_layer(4, "linux/arm64")];
    let part = |name: &'static str, platform: &str, root: &Descriptor| {
        let provider = Arc::new(Repository(store.clone(), name));
        source(name, Some(platform), Existing::new(root.clone(), provider))
    };
    let sources = vec![part("one", "linux/amd64", &roots[0]), part("other", "linux/arm64", &roots[1])];
    let joined = composed(sources, &[], &Work::default()).unwrap();
    let repositories = |digest: &Digest| {
        let origins = joined.provider.origins(digest).unwrap();
        origins.into_iter().map(|origin| origin.repository).collect::<Vec<_>>()
    };
    assert_eq!(repositories(&shared.digest), ["one", "other"]);
    assert_eq!(repositories(&roots[1].digest), ["other"]);
    assert!(repositories(&joined.root.digest).is_empty());
    let unrelated = joined.provider.open(&amd.digest, 0).err().map(|error| error.kind());
    assert_eq!(unrelated, Some(ErrorKind::NotFound), "only what was joined: {}", arm.digest);
}
