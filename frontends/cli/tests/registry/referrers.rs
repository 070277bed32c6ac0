//! Signatures and SBOMs: they come along when they are asked for.

use longshore_core::oci::Digest;
use longshore_testkit::registry::Registry;
use serde_json::{Value, json};

use super::docker_registry::DockerRegistry;
use super::machine::{Machine, digest_of, document};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SBOM: &str = "application/vnd.example.sbom.v1+json";

/// Puts a manifest that refers to another one, with one layer that says `what`.
fn attach(registry: &Registry, repository: &str, subject: &Digest, subject_type: &str, what: &str) -> Digest {
    let blob = |bytes: &[u8]| json!({ "digest": registry.put_blob(repository, bytes), "size": bytes.len() });
    let mut config = blob(b"{}");
    config["mediaType"] = "application/vnd.oci.empty.v1+json".into();
    let mut layer = blob(what.as_bytes());
    layer["mediaType"] = SBOM.into();
    let (_, subject_bytes) = registry.manifest(repository, &subject.to_string()).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SBOM, "config": config, "layers": [layer],
        "subject": { "mediaType": subject_type, "digest": subject, "size": subject_bytes.len() },
        "annotations": { "what": what },
    });
    registry.put_manifest(repository, None, MANIFEST, manifest.to_string().as_bytes())
}

/// `app:1`, something that refers to it, and something that refers to that.
fn signed(machine: &Machine, registry: &Registry) -> (Digest, [Digest; 2]) {
    let output = format!("type=registry,name={}/app:1", registry.host());
    let (_, image) = machine.export_one(&["rootfs:tree", "--no-store", "-o", &output]);
    let sbom = attach(registry, "app", &image, MANIFEST, "sbom");
    let signature = attach(registry, "app", &sbom, MANIFEST, "signature");
    (image, [sbom, signature])
}

/// The tag that stands for what refers to a manifest (distribution-spec 1.1, "Referrers Tag Schema").
fn list_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm(), subject.hex())
}

fn assert_whole(registry: &Registry, repository: &str, digest: &Digest) {
    let manifest = document(registry, repository, &digest.to_string());
    for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let digest = blob["digest"].as_str().unwrap().parse().unwrap();
        assert_eq!(Digest::of(&registry.blob(repository, &digest).unwrap()), digest);
    }
}

#[test]
fn what_refers_to_an_image_comes_along_with_all_and_stays_behind_without() {
    let [one, with, without] = [Registry::start(), Registry::start(), Registry::start()];
    let machine = Machine::new();
    let (image, referrers) = signed(&machine, &one);
    let source = format!("docker://{}/app:1", one.host());
    let output = format!("type=registry,name={}/copy:1", without.host());
    machine.ok(&["export", &source, "-o", &output]);
    let output = format!("type=registry,name={}/copy:1", with.host());
    let (_, copied) = machine.export_one(&["--all", &source, "-o", &output]);
    assert_eq!((&copied, digest_of(&with, "copy", "1")), (&image, Some(image.clone())));
    assert_eq!(digest_of(&without, "copy", "1"), Some(image.clone()));
    for referrer in &referrers {
        assert_eq!(with.manifest("copy", &referrer.to_string()), one.manifest("app", &referrer.to_string()));
        assert_whole(&with, "copy", referrer);
        assert!(without.manifest("copy", &referrer.to_string()).is_none());
    }
    assert_eq!(with.tags("copy"), ["1"], "this registry lists referrers itself");
}

#[test]
fn a_registry_that_lists_no_referrers_has_them_under_tags() {
    let one = Registry::start();
    let other = Registry::builder().no_referrers().start();
    let machine = Machine::new();
    let (image, [sbom, signature]) = signed(&machine, &one);
    let output = format!("type=registry,name={}/copy:1", other.host());
    let copy = ["export", &format!("docker://{}/app:1", one.host()), "--all", "-o", &output];
    // The second time nothing is listed twice.
    for _ in 0..2 {
        machine.ok(&copy);
        for (subject, referrer, what) in [(&image, &sbom, "sbom"), (&sbom, &signature, "signature")] {
            let list = document(&other, "copy", &list_tag(subject));
            assert_eq!(list["mediaType"], "application/vnd.oci.image.index.v1+json");
            assert_eq!(list["manifests"].as_array().unwrap().len(), 1, "{list:#}");
            let listed = &list["manifests"][0];
            assert_eq!((&listed["digest"], &listed["artifactType"]), (&json!(referrer), &json!(SBOM)));
            assert_eq!(listed["annotations"], json!({ "what": what }));
        }
    }
    // From there they are found by those tags.
    let back = format!("type=registry,name={}/back:1", one.host());
    machine.ok(&["export", &format!("docker://{}/copy:1", other.host()), "--all", "-o", &back]);
    for referrer in [sbom, signature] {
        assert_eq!(one.manifest("back", &referrer.to_string()), one.manifest("app", &referrer.to_string()));
    }
}

#[test]
fn the_registry_of_debian_keeps_what_refers_to_an_image() {
    let Some(real) = DockerRegistry::start() else { return };
    let [one, other] = [Registry::start(), Registry::start()];
    let machine = Machine::new();
    let (image, referrers) = signed(&machine, &one);
    let through = format!("{}/copy:1", real.host());
    machine.ok(&[
        "export",
        &format!("docker://{}/app:1", one.host()),
        "--all",
        "-o",
        &format!("type=registry,name={through}"),
    ]);
    assert_eq!(real.tag("copy", "1"), Some(image.clone()));
    let list: Value =
        serde_json::from_slice(&real.blob(&real.tag("copy", &list_tag(&image)).unwrap()).unwrap()).unwrap();
    assert_eq!(list["manifests"][0]["digest"], json!(referrers[0]));
    let output = format!("type=registry,name={}/back:1", other.host());
    machine.ok(&["export", &format!("docker://{through}"), "--all", "-o", &output]);
    for referrer in &referrers {
        assert!(real.has_manifest("copy", referrer));
        assert_eq!(other.manifest("back", &referrer.to_string()), one.manifest("app", &referrer.to_string()));
    }
}

#[test]
fn the_image_store_keeps_what_refers_to_an_image() {
    let [one, other] = [Registry::start(), Registry::start()];
    let machine = Machine::new();
    let (image, referrers) = signed(&machine, &one);
    machine.ok(&["export", &format!("docker://{}/app:1", one.host()), "--all", "-o", "type=image,name=app:1"]);
    let output = format!("type=registry,name={}/back:1", other.host());
    let (_, back) = machine.export_one(&["image:app:1", "-o", &output]);
    assert_eq!(back, image);
    for referrer in &referrers {
        assert_eq!(other.manifest("back", &referrer.to_string()), one.manifest("app", &referrer.to_string()));
    }
}
