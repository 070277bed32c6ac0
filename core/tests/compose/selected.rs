use longshore_core::content::MemoryStore;
use longshore_core::oci::{Descriptor, MediaType, Platform, json as document};
use longshore_core::{ErrorKind, Existing, Work};
use longshore_testkit::Warnings;
use serde_json::json;

use super::pieces::{
    attestation, composed, digests, existing, image, index, listed, platform, put, read_index, referrer, source,
};

fn selected(existing: Existing, platforms: &[&str]) -> Existing {
    composed(vec![source("a", None, existing)], platforms, &Work::default()).unwrap()
}

#[test]
fn what_is_left_out_is_removed_with_its_attestations() {
    let store = MemoryStore::default();
    let [amd, arm, s390x] =
        [(1, "linux/amd64"), (2, "linux/arm64"), (3, "linux/s390x")].map(|(seed, text)| listed(&store, seed, text));
    let amd = amd.annotated("kept", "yes");
    let [of_amd, of_arm, of_s390x] = [&amd, &arm, &s390x].map(|about| attestation(&store, about));
    let signature = put(
        &store,
        MediaType::MANIFEST,
        &json!({"schemaVersion": 2, "artifactType": "x/y", "config": image(&store, 9, json!({}), false), "layers": []}),
    );
    let subject = listed(&store, 4, "linux/riscv64");
    let root = put(
        &store,
        MediaType::INDEX,
        &json!({
            "schemaVersion": 2, "mediaType": MediaType::INDEX, "artifactType": "x/z",
            "manifests": [of_s390x, amd, arm, s390x, of_amd, of_arm, signature],
            "subject": subject, "annotations": {"a": "b"}, "later": {"z": 1, "a": [null]},
        }),
    );
    let before = read_index(&existing(&store, &root));
    let new = selected(existing(&store, &root), &["linux/arm64", "amd64"]);
    let after = read_index(&new);
    assert_eq!(after.manifests, [amd, arm, of_amd, of_arm, signature], "in the order of the index");
    let kept = longshore_core::oci::Index { manifests: after.manifests.clone(), ..before };
    assert_eq!(after, kept, "fields of the index");
    assert_eq!(new.root, Descriptor::of(MediaType::INDEX, &document::indented(&after).unwrap()));
    assert_eq!(new.root, selected(existing(&store, &root), &["linux/amd64", "linux/arm64", "linux/amd64"]).root);
}

#[test]
fn an_index_of_which_everything_is_selected_keeps_its_digest() {
    let store = MemoryStore::default();
    let (amd, arm) = (listed(&store, 1, "linux/amd64"), listed(&store, 2, "linux/arm64"));
    let listed = json!({"manifests": [amd, attestation(&store, &amd), arm], "schemaVersion": 2});
    let root = store.put(MediaType::INDEX, format!("{listed}  ").as_bytes());
    let referrers = vec![referrer(&store, &root)];
    let (work, warnings) = Warnings::listen();
    let all = existing(&store, &root).with_referrers(referrers.clone());
    let new = composed(vec![source("a", None, all)], &["linux/arm64", "linux/amd64"], &work).unwrap();
    assert_eq!((new.root, new.referrers), (root, referrers));
    assert!(warnings.messages().is_empty());
    // A manifest is all that there is of a platform.
    let new = selected(existing(&store, &amd), &["linux/amd64", "linux/amd64/v2"]);
    assert_eq!(new.root, amd);
}

/// One of a platform twice is no reason to drop one: an index lists layers in two compressions so, and Windows in two
/// versions.
#[test]
fn all_images_for_a_platform_are_kept() {
    let store = MemoryStore::default();
    let version = |seed, version: &str| {
        let platform = Platform { os_version: Some(version.to_owned()), ..platform("windows/amd64") };
        Descriptor { platform: Some(platform), ..listed(&store, seed, "windows/amd64") }
    };
    let windows = [version(1, "10.0.20348.1"), version(2, "10.0.17763.1")];
    let linux = [listed(&store, 3, "linux/amd64"), listed(&store, 4, "linux/amd64")];
    let (v6, v7) = (listed(&store, 5, "linux/arm/v6"), listed(&store, 6, "linux/arm/v7"));
    let unlisted = Descriptor { platform: None, ..listed(&store, 7, "linux/amd64") };
    let other = Descriptor { platform: None, ..listed(&store, 8, "linux/s390x") };
    let all = [&windows[..], &linux[..], &[v6, v7.clone(), unlisted.clone(), other]].concat();
    let (work, warnings) = Warnings::listen();
    let image = existing(&store, &index(&store, &all));
    let wanted = ["linux/amd64", "windows/amd64", "linux/arm/v7"];
    let new = composed(vec![source("a", None, image)], &wanted, &work).unwrap();
    let expected = [&windows[..], &linux[..], &[v7, unlisted]].concat();
    assert_eq!(read_index(&new).manifests, expected);
    assert!(warnings.messages().is_empty(), "{:?}", warnings.messages());
}

#[test]
fn indexes_in_an_index_lose_what_is_left_out_too() {
    let store = MemoryStore::default();
    let [amd, arm, s390x, riscv] = [(1, "linux/amd64"), (2, "linux/arm64"), (3, "linux/s390x"), (4, "linux/riscv64")]
        .map(|(seed, text)| listed(&store, seed, text));
    let of_s390x = attestation(&store, &s390x);
    let whole = index(&store, std::slice::from_ref(&amd)).annotated("is", "whole");
    let part = index(&store, &[arm.clone(), s390x.clone()]);
    let part = Descriptor { data: Some("e30=".to_owned()), ..part.annotated("is", "part") };
    let gone = index(&store, &[riscv]);
    let root = index(&store, &[of_s390x, whole.clone(), part.clone(), gone, part.clone()]);
    let new = selected(existing(&store, &root), &["linux/amd64", "linux/arm64"]);
    let found = read_index(&new).manifests;
    assert_eq!((found.len(), &found[0]), (3, &whole), "what stays whole stays as it is");
    let inner = read_index(&Existing::new(found[1].clone(), new.provider.clone()));
    assert_eq!(inner.manifests, [arm]);
    let expected = Descriptor::of(MediaType::INDEX, &document::indented(&inner).unwrap());
    assert_eq!(found[1], Descriptor { annotations: part.annotations.clone(), ..expected }, "without the old data");
    assert_eq!(found[1], found[2]);
}

#[test]
fn a_platform_that_is_missing_is_named_with_those_that_exist() {
    let store = MemoryStore::default();
    let root = index(&store, &[listed(&store, 1, "linux/amd64"), listed(&store, 2, "linux/arm64")]);
    let sources = || vec![source("a", None, existing(&store, &root))];
    let error = composed(sources(), &["linux/amd64", "linux/s390x"], &Work::default()).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "no image for platform linux/s390x"));
    assert_eq!(error.hint(), Some("choose one of linux/amd64, linux/arm64"));
}

#[test]
fn referrers_of_what_remains_are_kept() {
    let store = MemoryStore::default();
    let [amd, arm, s390x] =
        [(1, "linux/amd64"), (2, "linux/arm64"), (3, "linux/s390x")].map(|(seed, text)| listed(&store, seed, text));
    let root = index(&store, &[amd.clone(), arm, s390x.clone()]);
    let [of_root, of_amd, of_s390x] = [&root, &amd, &s390x].map(|subject| referrer(&store, subject));
    let (work, warnings) = Warnings::listen();
    let all = existing(&store, &root).with_referrers(vec![of_root, of_s390x, of_amd.clone()]);
    let new = composed(vec![source("a", None, all)], &["linux/amd64", "linux/arm64"], &work).unwrap();
    assert_eq!(digests(&new.referrers), digests(&[of_amd]));
    let expected = format!("{}: 2 of its referrers are left out, as their subjects are", root.digest);
    assert_eq!(warnings.messages(), [expected]);
}
