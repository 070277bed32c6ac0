//! Images that exist: out of registries, into them, and between them.

use longshore_core::oci::{Digest, Platform};
use longshore_testkit::registry::Registry;
use longshore_testkit::validate;
use serde_json::Value;

use super::docker_registry::DockerRegistry;
use super::machine::{Machine, asked, digest_of, document, layers, mounts, puts, uploads};

/// An image for two platforms at `app:1`; its digest, and those of its layers.
fn pushed(machine: &Machine, registry: &Registry) -> (Digest, Vec<Digest>) {
    let output = format!("type=registry,name={}/app:1,compression=zstd", registry.host());
    let sources = ["linux/amd64=rootfs:amd", "linux/arm64=rootfs:arm", "--no-store"];
    let (_, digest) = machine.export_one(&[&sources[..], &["-o", &output]].concat());
    let index = document(registry, "app", "1");
    let manifests = index["manifests"].as_array().unwrap().iter();
    let manifests = manifests.map(|child| document(registry, "app", child["digest"].as_str().unwrap()));
    let layers = manifests.flat_map(|manifest| layers(&manifest)).collect();
    registry.clear_requests();
    (digest, layers)
}

fn read_layers(registry: &Registry, layers: &[Digest]) -> usize {
    layers.iter().map(|layer| asked(registry, "GET", &format!("/blobs/{layer}"))).sum()
}

#[test]
fn a_copy_within_a_registry_moves_no_layer() {
    let registry = Registry::start();
    let machine = Machine::new();
    let (digest, all) = pushed(&machine, &registry);
    assert_eq!(all.len(), 2);
    let host = registry.host();
    let output = format!("type=registry,name={host}/team/copy:2");
    let (_, copied) = machine.export_one(&[&format!("docker://{host}/app:1"), "-o", &output]);
    assert_eq!((&copied, digest_of(&registry, "team/copy", "2")), (&digest, Some(digest.clone())));
    assert_eq!(read_layers(&registry, &all), 0, "{:#?}", registry.requests());
    assert!(uploads(&registry.requests()).is_empty(), "{:#?}", registry.requests());
    assert_eq!(mounts(&registry).len(), 4, "two layers and two configurations");
    machine.ok(&["verify", &format!("docker://{host}/team/copy:2")]);
}

#[test]
fn a_copy_within_a_registry_that_mounts_nothing_is_whole_too() {
    let registry = Registry::builder().refuse_mounts().start();
    let machine = Machine::new();
    let (digest, all) = pushed(&machine, &registry);
    let host = registry.host();
    let output = format!("type=registry,name={host}/team/copy:2");
    machine.ok(&["export", &format!("docker://{host}/app:1"), "-o", &output]);
    assert_eq!(digest_of(&registry, "team/copy", "2"), Some(digest));
    assert_eq!(read_layers(&registry, &all), 2);
    machine.ok(&["verify", &format!("docker://{host}/team/copy:2")]);
}

#[test]
fn a_copy_to_another_registry_keeps_every_digest() {
    let [one, other] = [Registry::start(), Registry::start()];
    let machine = Machine::new();
    let (digest, all) = pushed(&machine, &one);
    let output = format!("type=registry,name={}/copy:2", other.host());
    let (_, copied) = machine.export_one(&[&format!("docker://{}/app:1", one.host()), "-o", &output]);
    assert_eq!(copied, digest);
    assert_eq!(other.manifest("copy", "2"), one.manifest("app", "1"));
    for layer in &all {
        assert_eq!(other.blob("copy", layer), one.blob("app", layer));
    }
    assert_eq!(read_layers(&one, &all), all.len(), "each layer is read once");
    assert!(mounts(&other).is_empty());
    machine.ok(&["verify", &format!("docker://{}/copy:2", other.host())]);
}

#[test]
fn between_the_registry_of_debian_and_files_and_the_image_store() {
    let Some(real) = DockerRegistry::start() else { return };
    let registry = Registry::start();
    let machine = Machine::new();
    let (digest, _) = pushed(&machine, &registry);
    let (kit, real_host) = (registry.host(), real.host());
    let steps = [
        (format!("docker://{kit}/app:1"), format!("type=registry,name={real_host}/app:1")),
        (format!("docker://{real_host}/app:1"), "type=oci,name=app:1,dest=x.tar".to_owned()),
        ("oci-archive:x.tar".to_owned(), format!("type=registry,name={real_host}/from-file:1")),
        (format!("docker://{real_host}/from-file:1"), "type=image,name=app:1".to_owned()),
        ("image:app:1".to_owned(), format!("type=registry,name={real_host}/from-store:1")),
        (format!("docker://{real_host}/from-store:1"), format!("type=registry,name={kit}/back:1")),
    ];
    for (source, output) in steps {
        let (_, written) = machine.export_one(&[&source, "-o", &output]);
        assert_eq!(written, digest, "{source} to {output}");
    }
    assert_eq!(registry.manifest("back", "1"), registry.manifest("app", "1"));
    assert_eq!(validate::layout_tar(&machine.work.path("x.tar")).unwrap().images[0].root, digest);
    for source in [format!("docker://{real_host}/from-store:1"), format!("docker://{kit}/back:1"), "image:app:1".into()]
    {
        machine.ok(&["verify", &source]);
    }
}

#[test]
fn the_name_that_an_image_brings_is_its_name() {
    let registry = Registry::start();
    let machine = Machine::new();
    let (digest, _) = pushed(&machine, &registry);
    let source = format!("docker://{}/app:1", registry.host());
    machine.ok(&["export", &source, "-o", "type=oci,name=*,dest=x.tar"]);
    let image = &validate::layout_tar(&machine.work.path("x.tar")).unwrap().images[0];
    assert_eq!((&image.root, &image.names[..]), (&digest, &[format!("{}/app:1", registry.host())][..]));
    // To where it came from: nothing is left to do.
    machine.ok(&["export", &source, "-o", "type=registry,name=*"]);
    assert!(puts(&registry).is_empty() && uploads(&registry.requests()).is_empty());
}

#[test]
fn one_platform_is_chosen() {
    let registry = Registry::start();
    let machine = Machine::new();
    let (_, all) = pushed(&machine, &registry);
    let host = registry.host();
    let source = format!("docker://{host}/app:1");
    machine.ok(&["export", &source, "--platform", "linux/arm64", "-o", "type=oci,dest=arm.tar"]);
    let images = validate::layout_tar(&machine.work.path("arm.tar")).unwrap().images;
    assert_eq!(images.iter().map(|image| image.platform.to_string()).collect::<Vec<_>>(), ["linux/arm64"]);
    assert_eq!(images[0].layers[0].digest, all[1]);
    assert_eq!(read_layers(&registry, &all[..1]), 0, "the other platform is not fetched");
    let output = format!("type=registry,name={host}/arm:1");
    let (_, pushed) = machine.export_one(&[&source, "--platform", "linux/arm64", "-o", &output]);
    assert_eq!((digest_of(&registry, "arm", "1"), &images[0].manifest), (Some(pushed.clone()), &pushed));
    machine.fails(&["export", &source, "--platform", "linux/s390x", "-o", "type=oci,dest=no.tar"], 3, &["linux/s390x"]);
}

#[test]
fn a_layer_on_a_base_in_the_registry_is_all_that_is_sent() {
    let registry = Registry::start();
    let machine = Machine::new();
    let host = registry.host();
    let base = format!("type=registry,name={host}/base:1");
    machine.ok(&["export", "rootfs:tree", "--no-store", "-o", &base]);
    let below = layers(&document(&registry, "base", "1"));
    // Into another repository, and into that of the base.
    for (repository, tag) in [("app", "1"), ("base", "with-etc")] {
        registry.clear_requests();
        let output = format!("type=registry,name={host}/{repository}:{tag}");
        let arguments = [&format!("docker://{host}/base:1"), "--layer", "etc:/etc", "--env", "A=1", "-o", &output];
        let (_, digest) = machine.export_one(&arguments);
        assert_eq!(digest_of(&registry, repository, tag), Some(digest));
        let all = layers(&document(&registry, repository, tag));
        assert_eq!((all.len(), &all[0]), (2, &below[0]));
        assert_eq!(read_layers(&registry, &below), 0, "the base is not fetched");
        let requests = registry.requests();
        let sent = uploads(&requests).iter().map(|request| request.query.clone()).collect::<Vec<_>>();
        assert!(!sent.iter().any(|query| query.contains(&below[0].to_string())), "{sent:?}");
        let is_mounted = mounts(&registry).iter().any(|query| query.contains(&below[0].to_string()));
        assert_eq!(is_mounted, repository == "app");
        machine.ok(&["verify", &format!("docker://{host}/{repository}:{tag}")]);
    }
}

#[test]
fn a_base_goes_along_to_another_registry() {
    let [one, other] = [Registry::start(), Registry::start()];
    let machine = Machine::new();
    machine.ok(&["export", "rootfs:tree", "-o", &format!("type=registry,name={}/base:1", one.host())]);
    let output = format!("type=registry,name={}/app:1", other.host());
    machine.ok(&["export", &format!("docker://{}/base:1", one.host()), "--layer", "etc:/etc", "-o", &output]);
    let (base, app) = (layers(&document(&one, "base", "1")), layers(&document(&other, "app", "1")));
    assert_eq!((app.len(), &app[0]), (2, &base[0]));
    machine.ok(&["verify", &format!("docker://{}/app:1", other.host())]);
}

#[test]
fn inspect_and_verify_read_registries() {
    let Some(registry) = DockerRegistry::start() else { return };
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    let output = format!("type=registry,name={name}");
    let (_, digest) = machine.export_one(&["rootfs:tree", "--env", "A=1", "-o", &output]);
    let source = format!("docker://{name}");
    let text = String::from_utf8(machine.ok(&["inspect", &source]).stdout).unwrap();
    assert!(
        text.starts_with(&format!("image {name}\n  {digest}  application/vnd.oci.image.manifest.v1+json\n")),
        "{text}"
    );
    assert!(text.contains(r#""A=1"]"#) && text.contains(&Platform::host().to_string()), "{text}");
    let json: Value = serde_json::from_slice(&machine.ok(&["inspect", "--json", &source]).stdout).unwrap();
    assert_eq!((&json[0]["names"][0], &json[0]["image"]["root"]["digest"]), (&name.into(), &digest.to_string().into()));
    assert_eq!(machine.ok(&["verify", &source]).stdout, format!("ok {digest} {}\n", &source[9..]).into_bytes());

    let manifest: Value = serde_json::from_slice(&registry.blob(&digest).unwrap()).unwrap();
    let layer = registry.blob_path(&layers(&manifest)[0]);
    let mut bytes = std::fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let ran = machine.run(&["verify", &source]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let problems = String::from_utf8(ran.stdout).unwrap();
    assert!(problems.contains(&layers(&manifest)[0].to_string()), "which layer is wrong is not said: {problems}");
}

/// Children of an index were fetched twice, and layers to show a configuration.
#[test]
fn inspect_fetches_each_document_once_and_layers_only_with_files() {
    let registry = Registry::start();
    let machine = Machine::new();
    let (_, all) = pushed(&machine, &registry);
    let source = format!("docker://{}/app:1", registry.host());
    for (flags, layers) in [(&[][..], 0), (&["--files"], 2)] {
        registry.clear_requests();
        machine.ok(&[&["inspect", &source], flags].concat());
        assert_eq!(read_layers(&registry, &all), layers, "{flags:?}: {:#?}", registry.requests());
        let mut gets: Vec<String> =
            registry.requests().into_iter().filter(|one| one.method == "GET").map(|one| one.path).collect();
        gets.retain(|path| path.contains("/manifests/") || path.contains("/blobs/"));
        let count = gets.len();
        gets.sort();
        gets.dedup();
        assert_eq!((gets.len(), count), (5 + layers, 5 + layers), "{flags:?}: {gets:#?}");
    }
}

#[test]
fn digests_name_images_and_are_checked() {
    let registry = Registry::start();
    let machine = Machine::new();
    let (digest, _) = pushed(&machine, &registry);
    let host = registry.host();
    let arm = document(&registry, "app", "1")["manifests"][1]["digest"].as_str().unwrap().to_owned();
    for (reference, expected) in [
        (format!("app@{digest}"), &digest.to_string()),
        (format!("app:other@{digest}"), &digest.to_string()),
        (format!("app@{arm}"), &arm),
    ] {
        let verified = machine.ok(&["verify", &format!("docker://{host}/{reference}")]);
        let said = String::from_utf8(verified.stdout).unwrap();
        assert!(said.starts_with(&format!("ok {expected} ")), "{reference}: {said}");
        machine.ok(&["export", &format!("docker://{host}/{reference}"), "-o", "type=oci,dest=x.tar"]);
        let root = validate::layout_tar(&machine.work.path("x.tar")).unwrap().images[0].root.to_string();
        assert_eq!(root, *expected, "{reference}");
    }
    let absent = format!("docker://{host}/app@{}", Digest::of(b"nothing"));
    machine.fails(&["verify", &absent], 3, &["cannot read", "MANIFEST_UNKNOWN"]);
    machine.fails(&["inspect", &format!("docker://{host}/app:absent")], 3, &["app:absent", "MANIFEST_UNKNOWN"]);
    machine.fails(&["verify", "docker:app"], 2, &["hint: write docker://REGISTRY/REPOSITORY:TAG"]);
    machine.fails(&["verify", &format!("docker://{host}/UPPER:1")], 2, &["UPPER"]);
}

/// An index may list what its reader does not know (image-spec, image-index.md). Whether that is a manifest or a blob
/// to the registry, its media type does not say: it was asked for as a blob alone.
#[test]
fn what_an_index_lists_with_an_unknown_type_is_copied() {
    const ARTIFACT: &str = "application/vnd.example.artifact.manifest.v1+json";
    let machine = Machine::new();
    for as_manifest in [true, false] {
        let [one, other] = [Registry::start(), Registry::builder().unchecked_manifests().start()];
        let (_, layers) = pushed(&machine, &one);
        let (media_type, bytes) = one.manifest("app", "1").unwrap();
        let artifact = format!(r#"{{"mediaType":"{ARTIFACT}","of":"the registry"}}"#).into_bytes();
        let digest = match as_manifest {
            true => one.put_manifest("app", None, ARTIFACT, &artifact),
            false => one.put_blob("app", &artifact),
        };
        let mut index: Value = serde_json::from_slice(&bytes).unwrap();
        let child = serde_json::json!({"mediaType": ARTIFACT, "digest": digest, "size": artifact.len()});
        index["manifests"].as_array_mut().unwrap().push(child);
        let bytes = serde_json::to_vec(&index).unwrap();
        let root = one.put_manifest("app", Some("2"), &media_type, &bytes);
        let source = format!("docker://{}/app:2", one.host());
        machine.ok(&["verify", &source]);
        machine.ok(&["export", &source, "-o", &format!("type=oci,name=a:2,tar=false,dest=layout-{as_manifest}")]);
        let layout = machine.work.path(&format!("layout-{as_manifest}"));
        let blob = std::fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap();
        assert_eq!(blob, artifact);
        machine.ok(&["verify", &format!("oci:{}", layout.display())]);
        let name = format!("{}/copy:2", other.host());
        let (_, copied) = machine.export_one(&[&source, "-o", &format!("type=registry,name={name}")]);
        assert_eq!((copied, other.manifest("copy", "2").unwrap().1), (root.clone(), bytes.clone()));
        machine.ok(&["verify", &format!("docker://{name}")]);
        // One that insists on manifests gets it as one.
        let strict = Registry::start();
        let name = format!("{}/copy:2", strict.host());
        machine.export_one(&[&source, "-o", &format!("type=registry,name={name}")]);
        assert_eq!(strict.manifest("copy", &digest.to_string()), Some((ARTIFACT.to_owned(), artifact)));
        machine.ok(&["verify", &format!("docker://{name}")]);
        assert!(!layers.is_empty());
    }
}

#[test]
fn what_an_index_lists_and_a_registry_lacks_is_named() {
    const ARTIFACT: &str = "application/vnd.example.artifact.manifest.v1+json";
    let (machine, registry) = (Machine::new(), Registry::builder().unchecked_manifests().start());
    let missing = Digest::of(b"missing");
    let child = serde_json::json!({"mediaType": ARTIFACT, "digest": missing, "size": 7});
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [child]});
    registry.put_manifest("app", Some("1"), media_type, &serde_json::to_vec(&index).unwrap());
    let source = format!("docker://{}/app:1", registry.host());
    let said = [&format!("{missing}, which an index lists, is neither a blob nor a manifest")[..], "returned 404"];
    machine.fails(&["export", &source, "-o", "type=oci,dest=a.tar"], 3, &said);
    assert!(!machine.work.path("a.tar").exists());
}
