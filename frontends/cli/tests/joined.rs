//! Existing images as the platforms of one image, and several platforms of one.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_core::oci::{Descriptor, Digest, MediaType, Platform};
use longshore_testkit::registry::Registry;
use longshore_testkit::validate;
use run::Workdir;
use serde_json::{Value, json};

const REFERENCE: &str = "vnd.docker.reference.digest";

/// A directory with layouts: `amd`, an index of one image and its attestation, as BuildKit pushes a build for one
/// platform; `arm`, a manifest alone; `three`, an index of three images and their attestations. Each has the tag `v1`.
struct Images {
    work: Workdir,
}

impl Images {
    fn new() -> Self {
        let images = Self { work: Workdir::new() };
        for architecture in ["amd64", "arm64", "s390x"] {
            images.work.write(&format!("{architecture}/file"), architecture);
        }
        images.export(&["linux/amd64=rootfs:amd64", "-o", "type=oci,tar=false,dest=amd"]);
        images.export(&["linux/arm64=rootfs:arm64", "-o", "type=oci,tar=false,dest=arm"]);
        let three = ["linux/amd64=rootfs:amd64", "linux/arm64=rootfs:arm64", "linux/s390x=rootfs:s390x"];
        images.export(&[&three[..], &["-o", "type=oci,tar=false,dest=three"]].concat());
        images.attest("amd");
        images.attest("three");
        let arm = images.root("arm");
        images.tag("arm", &arm);
        images
    }

    fn export(&self, arguments: &[&str]) -> String {
        self.work.ok(&[&["export", "--no-store"], arguments].concat()).stderr
    }

    fn root(&self, layout: &str) -> Descriptor {
        let index: Value = serde_json::from_slice(&self.work.read(&format!("{layout}/index.json"))).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        let mut root: Descriptor = serde_json::from_value(index["manifests"][0].clone()).unwrap();
        root.annotations.clear();
        root
    }

    fn document(&self, layout: &str, digest: &Digest) -> Value {
        serde_json::from_slice(&self.work.read(&format!("{layout}/{}", digest.layout_path()))).unwrap()
    }

    fn put(&self, layout: &str, media_type: MediaType, document: &Value) -> Descriptor {
        let bytes = document.to_string();
        let descriptor = Descriptor::of(media_type, bytes.as_bytes());
        self.work.write(&format!("{layout}/{}", descriptor.digest.layout_path()), bytes);
        descriptor
    }

    fn tag(&self, layout: &str, root: &Descriptor) {
        let entry = root.clone().annotated("org.opencontainers.image.ref.name", "v1");
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        std::fs::remove_file(self.work.path(&format!("{layout}/index.json"))).unwrap();
        self.work.write(&format!("{layout}/index.json"), index.to_string());
    }

    /// Puts an attestation about each image of a layout into its index.
    fn attest(&self, layout: &str) {
        let root = self.root(layout);
        let document = self.document(layout, &root.digest);
        let mut manifests: Vec<Descriptor> = match root.media_type.is_index() {
            true => serde_json::from_value(document["manifests"].clone()).unwrap(),
            false => vec![Descriptor { platform: Some("linux/amd64".parse().unwrap()), ..root }],
        };
        let attestations: Vec<Descriptor> = manifests.iter().map(|image| self.attestation(layout, image)).collect();
        manifests.extend(attestations);
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::INDEX, "manifests": manifests});
        let index = self.put(layout, MediaType::INDEX, &index);
        self.tag(layout, &index);
    }

    fn attestation(&self, layout: &str, about: &Descriptor) -> Descriptor {
        let in_toto = MediaType::from("application/vnd.in-toto+json".to_owned());
        let statement = self.put(layout, in_toto, &json!({"subject": about.digest}));
        let unknown = Platform::new("unknown", "unknown", None);
        let config = json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": [statement.digest]}});
        let config = self.put(layout, MediaType::CONFIG, &config);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MediaType::MANIFEST, "config": config, "layers": [statement]});
        let manifest = self.put(layout, MediaType::MANIFEST, &manifest);
        let manifest = manifest.annotated("vnd.docker.reference.type", "attestation-manifest");
        Descriptor { platform: Some(unknown), ..manifest.annotated(REFERENCE, about.digest.to_string()) }
    }

    /// The manifests of the index of a layout with one image.
    fn listed(&self, layout: &str) -> Vec<Descriptor> {
        let root = self.root(layout);
        serde_json::from_value(self.document(layout, &root.digest)["manifests"].clone()).unwrap()
    }
}

/// Returns a manifest of a registry.
fn manifest(registry: &Registry, repository: &str, reference: &str) -> (Descriptor, Value) {
    let (media_type, bytes) = registry.manifest(repository, reference).unwrap();
    (Descriptor::of(media_type.into(), &bytes), serde_json::from_slice(&bytes).unwrap())
}

fn for_platform(root: Descriptor, platform: &str) -> Descriptor {
    Descriptor { platform: Some(platform.parse().unwrap()), ..root }
}

/// What one build per runner and then `docker buildx imagetools create` does.
#[test]
fn a_registry_and_a_layout_become_one_image_with_their_attestations() {
    let images = Images::new();
    let registry = Registry::start();
    let host = registry.host();
    images.export(&["oci:amd:v1", "-o", &format!("type=registry,name={host}/app:amd64")]);
    let (pushed, _) = manifest(&registry, "app", "amd64");
    registry.clear_requests();
    let digest = pushed.digest;
    let amd = format!("linux/amd64=docker://{host}/app@{digest}");
    images.export(&[&amd, "linux/arm64=oci:arm:v1", "-o", &format!("type=registry,name={host}/app:1")]);
    let (root, index) = manifest(&registry, "app", "1");
    let [image, attestation] = <[Descriptor; 2]>::try_from(images.listed("amd")).unwrap();
    let arm = for_platform(images.root("arm"), "linux/arm64");
    assert_eq!(root.media_type, MediaType::INDEX);
    assert_eq!(
        serde_json::from_value::<Vec<Descriptor>>(index["manifests"].clone()).unwrap(),
        [image.clone(), arm, attestation]
    );
    let layer = images.document("amd", &image.digest)["layers"][0]["digest"].as_str().unwrap().to_owned();
    let is_of_layer = |path: &str| path.contains(&layer);
    let gets = registry.requests().into_iter().filter(|request| request.method == "GET" && is_of_layer(&request.path));
    assert_eq!(gets.count(), 0, "what the repository has is not fetched");
    images.work.ok(&["verify", &format!("docker://{host}/app:1")]);
    // In another repository of the registry, layers are mounted.
    registry.clear_requests();
    images.export(&[&amd, "arm64=oci:arm:v1", "-o", &format!("type=registry,name={host}/team/app:1")]);
    let mounted = registry.requests().into_iter().any(|request| request.query.contains(&format!("mount={layer}")));
    assert!(mounted && manifest(&registry, "team/app", "1").0 == root, "{:#?}", registry.requests());
}

#[test]
fn two_layouts_become_an_archive_and_an_image_of_the_store() {
    let images = Images::new();
    let sources = ["export", "linux/arm64=oci:arm", "linux/amd64=oci:three:v1"];
    let outputs = ["-o", "type=oci,name=app:1,dest=joined.tar", "-o", "type=image,name=app:1"];
    images.work.ok(&[&sources[..], &outputs].concat());
    let found = validate::layout_tar(&images.work.path("joined.tar")).unwrap();
    let three = images.listed("three");
    let manifests: Vec<_> = found.images.iter().map(|image| image.manifest.clone()).collect();
    assert_eq!(manifests, [images.root("arm").digest, three[0].digest.clone()]);
    assert_eq!(found.artifacts, [three[3].digest.clone()], "the attestation of amd64 alone");
    images.work.ok(&["verify", "image:app:1"]);
    let inspected = String::from_utf8(images.work.ok(&["inspect", "image:app:1"]).stdout).unwrap();
    assert!(inspected.contains(&found.images[0].root.to_string()), "{inspected}");
}

#[test]
fn two_of_three_platforms_are_selected_with_their_attestations() {
    let images = Images::new();
    let registry = Registry::start();
    let host = registry.host();
    images.export(&["oci:three:v1", "-o", &format!("type=registry,name={host}/app:1")]);
    let source = format!("docker://{host}/app:1");
    let select = |platforms: &str, dest: &str| {
        let output = format!("type=oci,tar=false,dest={dest}");
        images.export(&[&source, "--platform", platforms, "-o", &output]);
        images.root(dest).digest
    };
    let three = images.listed("three");
    select("amd64,linux/s390x", "two");
    let expected = [0, 2, 3, 5].map(|at: usize| three[at].clone());
    assert_eq!(images.listed("two"), expected);
    validate::layout_dir(&images.work.path("two")).unwrap();
    assert_eq!(select("linux/s390x,linux/arm64,linux/amd64", "all"), images.root("three").digest);
    assert_eq!(select("arm64", "one"), three[1].digest);
    let of_two = ["oci:two", "--platform", "linux/s390x,linux/arm64", "-o", "type=oci,dest=x.tar"];
    let refused = images.work.run(&[&["export"], &of_two[..]].concat());
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("hint: choose one of linux/amd64, linux/s390x\n"), "{}", refused.stderr);
}

#[test]
fn a_joined_image_is_edited_on_all_platforms() {
    let images = Images::new();
    images.work.write("etc/conf", "conf");
    let sources = ["linux/amd64=oci:amd:v1", "arm64=oci:arm:v1"];
    let edits = ["--env", "A=1", "--layer", "etc:/etc", "-o", "type=oci,dest=new.tar"];
    let said = images.export(&[&sources[..], &edits].concat());
    assert_eq!(said.matches("skipped attestation").count(), 1, "{said}");
    let found = validate::layout_tar(&images.work.path("new.tar")).unwrap();
    assert_eq!(found.images.iter().map(|image| image.layers.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(found.images[0].layers[1], found.images[1].layers[1]);
    // Selected on top of it, or with a time of its own.
    images.export(&[&sources[..], &["--platform", "arm64", "-o", "type=oci,tar=false,dest=arm-again"]].concat());
    assert_eq!(images.root("arm-again").digest, images.root("arm").digest);
    let said = images.export(&[&sources[..], &["-o", "type=oci,source-date-epoch=1,dest=new.tar"]].concat());
    assert!(said.contains("skipped attestation"), "{said}");
    assert_eq!(validate::layout_tar(&images.work.path("new.tar")).unwrap().images.len(), 2);
}

/// With a layer on top, a single source was wanted for this machine, whatever its prefix said.
#[test]
fn a_single_source_is_edited_for_the_platform_of_its_prefix() {
    let images = Images::new();
    images.work.write("etc/conf", "conf");
    for (source, architecture) in [("s390x=oci:three:v1", "s390x"), ("linux/arm64=oci:arm:v1", "arm64")] {
        for edit in [["--layer", "etc:/etc"], ["--env", "A=1"]] {
            let output = ["-o", "type=oci,dest=edited.tar"];
            images.export(&[&[source][..], &edit, &output].concat());
            let found = validate::layout_tar(&images.work.path("edited.tar")).unwrap();
            let platforms: Vec<_> = found.images.iter().map(|image| image.platform.to_string()).collect();
            assert_eq!(platforms, [format!("linux/{architecture}")], "{source} {edit:?}");
        }
    }
}

#[test]
fn built_and_existing_images_join_too() {
    let images = Images::new();
    let sources = ["linux/s390x=rootfs:s390x", "linux/amd64=oci:amd:v1"];
    let said = images.export(&[&sources[..], &["-o", "type=oci,dest=mixed.tar"]].concat());
    let [image, attestation] = <[Descriptor; 2]>::try_from(images.listed("amd")).unwrap();
    assert!(!said.contains("skipped attestation"), "its manifest keeps its digest: {said}");
    images.export(&[&sources[..], &["-o", "type=oci,tar=false,dest=mixed"]].concat());
    let listed = images.listed("mixed");
    assert_eq!(listed[1..], [image.clone(), attestation.clone()]);
    let said = images.export(&[&sources[..], &["--env", "A=1", "-o", "type=oci,dest=other.tar"]].concat());
    let expected = format!("skipped attestation {}: the digest of its subject changes", attestation.digest);
    assert!(said.contains(&expected), "{said}");
    let found = validate::layout_tar(&images.work.path("mixed.tar")).unwrap();
    let platforms: Vec<_> = found.images.iter().map(|image| image.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/s390x", "linux/amd64"]);
    let layer = images.document("amd", &image.digest)["layers"][0]["digest"].clone();
    assert_eq!(json!(found.images[1].layers[0].digest), layer);
}

#[test]
fn what_cannot_be_joined_is_said() {
    let images = Images::new();
    images.export(&["linux/s390x=rootfs:s390x", "-o", "type=oci,name=other:1,tar=false,dest=arm"]);
    for (sources, code, expected) in [
        (
            ["linux/amd64=oci:amd:v1", "amd64=oci:three:v1"],
            2,
            "error: two sources are for linux/amd64: linux/amd64=oci:amd:v1 and amd64=oci:three:v1\n",
        ),
        (
            ["linux/amd64=oci:amd:v1", "linux/s390x=oci:arm:v1"],
            3,
            "error: cannot join linux/s390x=oci:arm:v1\n  caused by: no image for platform linux/s390x\n\
             hint: choose one of linux/arm64\n",
        ),
        (
            ["linux/amd64=oci:amd", "linux/arm64=oci:arm"],
            2,
            "error: cannot join linux/arm64=oci:arm: it has 2 images\nhint: select one of them, by tag, name or digest\n",
        ),
    ] {
        let ran = images.work.run(&[&["export"], &sources[..], &["-o", "type=oci,dest=x.tar"]].concat());
        assert_eq!((ran.stderr.as_str(), ran.code), (expected, Some(code)), "{sources:?}");
        assert!(!images.work.path("x.tar").exists());
    }
}
