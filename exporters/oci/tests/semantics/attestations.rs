//! Attestations: manifests about the image in its index.

use longshore_core::ImageContent;
use longshore_core::attestation::{Attestation, AttestationKind, Dependency, Predicate, Provenance, SLSA_V1, SPDX};
use longshore_core::oci::{Descriptor, Digest, Manifest, MediaType};
use longshore_testkit::sample::{self, ExistingOptions};
use serde_json::{Value, json};

use super::{Layout, export, refusal};

const SBOM: &str = r#"{ "spdxVersion": "SPDX-2.3", "name": "<a&b>", "x": 1.50 }"#;

fn sbom() -> Attestation {
    Attestation::parse(&AttestationKind::Sbom, SBOM.as_bytes()).unwrap()
}

fn review() -> Attestation {
    let kind = AttestationKind::parse("https://example.com/review/v1").unwrap();
    Attestation::parse(&kind, br#"{"ok":true}"#).unwrap()
}

fn provenance() -> Attestation {
    let mut parameters = serde_json::Map::new();
    parameters.insert("sources".to_owned(), json!(["rootfs"]));
    let base = Dependency::new("pkg:docker/base@1", &Digest::of(b"base")).with_name("source");
    Attestation::new(SLSA_V1, Predicate::Provenance(Provenance::new(parameters, vec![base])))
}

/// The attestation manifests of an index, with the descriptors that list them.
fn attached(layout: &Layout) -> Vec<(Descriptor, Manifest)> {
    let listed = layout.index().manifests.into_iter();
    let listed = listed.filter(|listed| listed.annotations.contains_key("vnd.docker.reference.type"));
    listed.map(|listed| (listed.clone(), layout.read(&listed.digest))).collect()
}

fn statement(layout: &Layout, blob: &Descriptor) -> Value {
    assert_eq!(blob.media_type.as_str(), "application/vnd.in-toto+json");
    layout.read(&blob.digest)
}

/// C `testExportAttestationsOCIArtifact`, `testExportAttestationsDefaultOCIArtifact`.
#[test]
fn export_attestations_oci_artifact() {
    for options in ["name=app:1", "name=app:1,oci-artifact=true"] {
        let layout = export(vec![sample::image(1, 2).with_attestation(sbom())], options);
        layout.check_complete();
        let index = layout.index();
        assert_eq!(index.manifests.len(), 2);
        let image = &index.manifests[0];
        assert_eq!(image.platform.as_ref().unwrap().to_string(), "linux/amd64");
        let (listed, manifest) = attached(&layout).remove(0);
        assert_eq!(listed, index.manifests[1]);
        assert_eq!(listed.platform.as_ref().unwrap().to_string(), "unknown/unknown");
        assert_eq!(listed.annotations["vnd.docker.reference.type"], "attestation-manifest");
        assert_eq!(listed.annotations["vnd.docker.reference.digest"], image.digest.to_string());
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.docker.attestation.manifest.v1+json"));
        assert_eq!(manifest.config.media_type.as_str(), "application/vnd.oci.empty.v1+json");
        assert_eq!((manifest.config.data.as_deref(), manifest.config.size), (Some("e30="), 2));
        assert_eq!(layout.bytes(&manifest.config.digest), b"{}");
        let subject = manifest.subject.unwrap();
        let expected = Descriptor::new(image.media_type.clone(), image.digest.clone(), image.size);
        assert_eq!(subject, expected, "a subject has neither platform nor annotations");
    }
}

/// C `testExportAttestationsImageManifest`.
#[test]
fn export_attestations_image_manifest() {
    let image = sample::image(1, 2).with_attestation(sbom());
    let layout = export(vec![image], "name=app:1,oci-artifact=false");
    layout.check_complete();
    let (_, manifest) = attached(&layout).remove(0);
    assert_eq!((manifest.artifact_type, manifest.subject), (None, None));
    assert_eq!(manifest.config.media_type.as_str(), "application/vnd.oci.image.config.v1+json");
    let expected = format!(
        r#"{{"architecture":"unknown","os":"unknown","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        manifest.layers[0].digest
    );
    assert_eq!(String::from_utf8(layout.bytes(&manifest.config.digest)).unwrap(), expected);
}

/// C `testAttestationDefaultSubject`: the image under each of its names. C `testSBOMScan`: SBOMs come first.
#[test]
fn statements_are_about_the_image_under_its_names() {
    let image = sample::multi_platform(1, 2).with_attestation(review()).with_attestation(sbom());
    let layout = export(vec![image], "\"name=app:1,localhost:5000/team/app:v2\"");
    let index = layout.index();
    let attached = attached(&layout);
    assert_eq!(attached.len(), 2);
    for (at, platform) in ["amd64", "arm64"].into_iter().enumerate() {
        let (listed, manifest) = &attached[at];
        let digest = &index.manifests[at].digest;
        assert_eq!(listed.annotations["vnd.docker.reference.digest"], digest.to_string());
        let types: Vec<&str> =
            manifest.layers.iter().map(|blob| blob.annotations["in-toto.io/predicate-type"].as_str()).collect();
        assert_eq!(types, [SPDX, "https://example.com/review/v1"]);
        let bytes = String::from_utf8(layout.bytes(&manifest.layers[0].digest)).unwrap();
        let subject = |name: &str| {
            format!(
                r#"{{"name":"pkg:docker/{name}?platform=linux%2F{platform}","digest":{{"sha256":"{}"}}}}"#,
                digest.hex()
            )
        };
        // What Go writes: without white space, numbers as they were, `<`, `>` and `&` escaped.
        let predicate = r#"{"spdxVersion":"SPDX-2.3","name":"\u003ca\u0026b\u003e","x":1.50}"#;
        let expected = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"{SPDX}","subject":[{},{}],"predicate":{predicate}}}"#,
            subject("app@1").replace('&', "\\u0026"),
            subject("localhost:5000/team/app@v2")
        );
        assert_eq!(bytes, expected);
    }
}

#[test]
fn an_image_without_a_name_has_statements_without_subjects() {
    let layout = export(vec![sample::image(1, 1).with_attestation(sbom())], "");
    let (_, manifest) = attached(&layout).remove(0);
    assert_eq!(statement(&layout, &manifest.layers[0])["subject"], json!([]));
}

/// C `testAttestationBundle`: what a statement says about its subjects is kept.
#[test]
fn subjects_of_a_statement_are_kept() {
    let text = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"{SPDX}","subject":[{{"name":"bin/x","digest":{{"sha256":"00"}}}}],"predicate":{SBOM}}}"#
    );
    let own = Attestation::parse(&AttestationKind::Sbom, text.as_bytes()).unwrap();
    let layout = export(vec![sample::image(1, 1).with_attestation(own)], "name=app:1");
    let (_, manifest) = attached(&layout).remove(0);
    let statement = statement(&layout, &manifest.layers[0]);
    assert_eq!(statement["subject"], json!([{"name": "bin/x", "digest": {"sha256": "00"}}]));
    assert_eq!(statement["predicate"]["spdxVersion"], "SPDX-2.3");
}

#[test]
fn attestations_for_one_platform_are_about_it_alone() {
    let arm64 = "linux/arm64".parse().ok();
    let image = sample::multi_platform(1, 2).with_attestation(sbom().with_platform(arm64));
    let layout = export(vec![image], "name=app:1");
    let attached = attached(&layout);
    assert_eq!(attached.len(), 1);
    let about = &attached[0].0.annotations["vnd.docker.reference.digest"];
    assert_eq!(*about, layout.index().manifests[1].digest.to_string());
    let other = sample::image(1, 1).with_attestation(sbom().with_platform("linux/s390x".parse().ok()));
    let found = refusal(vec![other], "");
    assert!(found.contains("invalid attestation: no platform linux/s390x found in source"), "{found}");
}

/// An attestation that is inline only makes no index by itself, unless `attestation-inline` says so.
#[test]
fn inline_attestations_make_an_index_if_wanted() {
    let image = || vec![sample::image(1, 1).with_attestation(sbom().with_inline_only(true))];
    assert!(export(image(), "").entry().media_type.is_manifest());
    assert_eq!(attached(&export(image(), "attestation-inline=true")).len(), 1);
    let with_other = vec![image().remove(0).with_attestation(review())];
    let (_, manifest) = attached(&export(with_other, "")).remove(0);
    assert_eq!(manifest.layers.len(), 2, "an index for another reason lists them all");
    let multi = vec![sample::multi_platform(1, 2).with_attestation(sbom().with_inline_only(true))];
    assert_eq!(attached(&export(multi, "attestation-inline=false")).len(), 2);
}

#[test]
fn docker_types_have_no_attestations() {
    let image = || vec![sample::image(1, 1).with_attestation(sbom())];
    let found = refusal(image(), "oci-mediatypes=false");
    assert!(found.contains("cannot export attestations with \"oci-mediatypes=false\""), "{found}");
    let found = refusal(image(), "oci-mediatypes=false,oci-artifact=true");
    assert!(found.contains("exporter option \"oci-artifact=true\" conflicts with \"oci-mediatypes=false\""), "{found}");
}

/// Statements about an existing image were listed in an index by a manifest of Docker, which readers refuse.
#[test]
fn attestations_of_an_existing_image_are_never_of_dockers_types() {
    for (platforms, docker) in [(0, true), (2, true), (2, false)] {
        let options = ExistingOptions { platforms, docker, ..ExistingOptions::default() };
        let image = || vec![sample::existing(9, &options).with_attestation(sbom())];
        let found = refusal(image(), "oci-mediatypes=false");
        assert!(found.contains("cannot export attestations with \"oci-mediatypes=false\""), "{found}");
        let layout = export(image(), "");
        layout.check_complete();
        assert_eq!(layout.entry().media_type, MediaType::INDEX);
        assert!(attached(&layout).iter().all(|(listed, _)| listed.media_type == MediaType::MANIFEST));
    }
    // Without an index there is no place for them, so the types do not matter.
    let options = ExistingOptions { docker: true, ..ExistingOptions::default() };
    let image = sample::existing(9, &options).with_attestation(sbom().with_inline_only(true));
    let layout = export(vec![image], "oci-mediatypes=false");
    assert_eq!(layout.entry().media_type, MediaType::DOCKER_MANIFEST);
}

/// It was left out without a word where the manifests of the image change.
#[test]
fn a_statement_about_a_platform_that_an_existing_image_lacks_is_refused() {
    let about = || sbom().with_platform("linux/s390x".parse().ok());
    for options in ["", "force-compression=true"] {
        let image = sample::existing(9, &ExistingOptions::default()).with_attestation(about());
        let found = refusal(vec![image], options);
        assert!(found.contains("invalid attestation: no platform linux/s390x found in source"), "{options}: {found}");
    }
}

/// What an image was made from: its sources and layers by digest, its options, and nothing of the machine.
#[test]
fn provenance_names_sources_and_layers() {
    let image = || vec![sample::image(1, 2).with_attestation(provenance())];
    let layout = export(image(), "name=app:1,compression=zstd,source-date-epoch=7");
    let (_, manifest) = attached(&layout).remove(0);
    let predicate = &statement(&layout, &manifest.layers[0])["predicate"];
    let image_manifest: Manifest = layout.read(&layout.index().manifests[0].digest);
    let diff_ids = layout.config(&image_manifest).diff_ids().unwrap();
    let digest = |digest: &Digest| json!({"sha256": digest.hex()});
    let expected = json!({
        "buildDefinition": {
            "buildType": "https://longshore.dev/provenance/export/v1",
            "externalParameters": {
                "sources": ["rootfs"],
                "output": {"compression": "zstd", "source-date-epoch": 7},
            },
            "internalParameters": {"platform": "linux/amd64"},
            "resolvedDependencies": [
                {"uri": "pkg:docker/base@1", "digest": digest(&Digest::of(b"base")), "name": "source"},
                {"digest": digest(&diff_ids[0]), "name": "layer 1"},
                {"digest": digest(&diff_ids[1]), "name": "layer 2"},
            ],
        },
        "runDetails": {"builder": {"id": "", "version": {"longshore": env!("CARGO_PKG_VERSION")}}},
    });
    assert_eq!(*predicate, expected);
    let again = export(image(), "name=app:1,compression=zstd,source-date-epoch=7");
    assert_eq!(again.entry().digest, layout.entry().digest);
}

/// An SBOM is attached to an image that exists: its manifests keep their bytes.
#[test]
fn existing_images_are_attested() {
    for platforms in [0, 2] {
        let options = ExistingOptions { platforms, ..ExistingOptions::default() };
        let image = || sample::existing(9, &options);
        let ImageContent::Existing(existing) = image().content else { panic!("it exists") };
        let layout = export(vec![image().with_attestation(sbom())], "name=app:1");
        layout.check_complete();
        let index = layout.index();
        let attached = attached(&layout);
        assert_eq!((attached.len(), index.manifests.len()), (platforms.max(1), 2 * platforms.max(1)));
        if platforms == 0 {
            assert_eq!(index.manifests[0].digest, existing.root.digest);
            assert_eq!(index.manifests[0].platform.as_ref().unwrap().to_string(), "linux/amd64");
        }
        for ((listed, _), image) in attached.iter().zip(&index.manifests) {
            assert_eq!(listed.annotations["vnd.docker.reference.digest"], image.digest.to_string());
        }
        // Once more: those that are there stay.
        let more = layout.images().remove(0).with_attestation(review());
        let again = export(vec![more], "name=app:1").index();
        assert_eq!(again.manifests.len(), 3 * platforms.max(1));
        assert_eq!(again.manifests[..index.manifests.len()], index.manifests[..]);
    }
}

/// Attestations were left out where an image was assembled anew, though its manifests came out the same.
#[test]
fn attestations_stay_where_manifests_keep_their_digests() {
    let attested = export(vec![sample::multi_platform(1, 2).with_attestation(sbom())], "name=app:1");
    for options in ["prefer-nondist-layers=false", "force-compression=true", "annotation-index.a=1,oci-mediatypes=true"]
    {
        let layout = export(attested.images(), options);
        layout.check_complete();
        assert_eq!(layout.index().manifests, attested.index().manifests, "{options}");
        assert!(!layout.warnings.iter().any(|text| text.contains("skipped")), "{options}: {:?}", layout.warnings);
    }
    // One of the manifests changes, and one more statement is attached.
    let image = attested.images().remove(0).with_attestation(review());
    let layout = export(vec![image], "annotation[linux/arm64].a=1");
    layout.check_complete();
    let (before, after) = (attested.index().manifests, layout.index().manifests);
    assert_eq!(after.len(), 5);
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]), "those of the other platform stay");
    assert_ne!(after[1].digest, before[1].digest);
    let subject = |listed: &Descriptor| listed.annotations["vnd.docker.reference.digest"].clone();
    let expected = [&after[0], &after[0], &after[1]].map(|image| image.digest.to_string());
    assert_eq!(after[2..].iter().map(subject).collect::<Vec<_>>(), expected);
    let lost = format!("skipped attestation {}: the digest of its subject changes", before[3].digest);
    assert_eq!(layout.warnings.iter().filter(|text| text.contains("skipped")).count(), 1, "{:?}", layout.warnings);
    assert!(layout.warnings.iter().any(|text| text.contains(&lost)), "{:?}", layout.warnings);
}

/// `invalid` documents, each with what is wrong.
#[test]
fn attestations_are_checked() {
    let statement = |kind: &str| format!(r#"{{"_type":"{kind}","predicateType":"{SPDX}","predicate":{{}}}}"#);
    let v1 = statement("https://in-toto.io/Statement/v1");
    for (kind, text, expected) in [
        ("sbom", "[]".to_owned(), "an attestation is one JSON object"),
        ("sbom", "{}{}".to_owned(), "an attestation is one JSON object"),
        ("sbom", "{}".to_owned(), "neither an SPDX nor a CycloneDX document"),
        ("provenance", "{}".to_owned(), "no SLSA provenance"),
        ("provenance", v1.clone(), "expected https://slsa.dev/provenance/v1"),
        ("sbom", statement("https://example.com"), "not the type of an in-toto statement"),
        ("sbom", r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{}}"#.to_owned(), "no `predicateType`"),
        ("sbom", r#"{"payloadType":"application/vnd.in-toto+json","payload":""}"#.to_owned(), "signed envelope"),
    ] {
        let kind = AttestationKind::parse(kind).unwrap();
        let error = Attestation::parse(&kind, text.as_bytes()).unwrap_err();
        assert!(error.with_causes().contains(expected), "{text}: {}", error.with_causes());
    }
    assert!(Attestation::parse(&AttestationKind::Sbom, v1.as_bytes()).unwrap().is_sbom());
    let cyclonedx = br#"{"bomFormat":"CycloneDX"}"#;
    assert!(Attestation::parse(&AttestationKind::Sbom, cyclonedx).unwrap().is_sbom());
}
