//! What a registry has already is not sent again.

use longshore_testkit::registry::Registry;

use super::docker_registry::DockerRegistry;
use super::machine::{Machine, digest_of, document, layers, mounts, puts, uploads};

#[test]
fn a_second_push_sends_nothing() {
    for options in ["", ",compression=zstd", ",push-streaming=true"] {
        let registry = Registry::start();
        let machine = Machine::new();
        let output = format!("type=registry,name={}/app:1", registry.host());
        let sources = ["linux/amd64=rootfs:amd", "linux/arm64=rootfs:arm", "--layer", "etc:/etc"];
        let (_, first) = machine.export_one(&[&sources[..], &["-o", &format!("{output}{options}")]].concat());
        registry.clear_requests();
        let kept = options.replace(",push-streaming=true", "");
        let (ran, second) = machine.export_one(&[&sources[..], &["-o", &format!("{output}{kept}")]].concat());
        assert_eq!(first, second);
        let requests = registry.requests();
        let is_question = |method: &str| matches!(method, "HEAD" | "GET");
        assert!(requests.iter().all(|request| is_question(&request.method)), "{options}: {requests:#?}");
        assert!(requests.iter().all(|request| request.body_bytes == 0), "{options}: {requests:#?}");
        assert!(ran.stderr.contains("  exists\n") && !ran.stderr.contains("mounted"), "{}", ran.stderr);
    }
}

#[test]
fn a_second_tag_is_all_that_is_put() {
    let registry = Registry::start();
    let machine = Machine::new();
    let output = |tag: &str| format!("type=registry,name={}/app:{tag}", registry.host());
    let (_, first) = machine.export_one(&["rootfs:tree", "-o", &output("1")]);
    registry.clear_requests();
    machine.ok(&["export", "rootfs:tree", "-o", &output("latest")]);
    assert!(uploads(&registry.requests()).is_empty());
    assert_eq!(puts(&registry), ["latest"]);
    assert_eq!(digest_of(&registry, "app", "latest"), Some(first));
}

#[test]
fn the_image_store_remembers_where_layers_are() {
    let registry = Registry::start();
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    let output = format!("type=image,name={name},push=true,compression=zstd");
    let (_, first) = machine.export_one(&["rootfs:tree", "--layer", "etc:/etc", "-o", &output]);
    let all = layers(&document(&registry, "app", "1"));
    assert_eq!(all.len(), 2);
    assert_eq!(machine.ok(&["images", "--quiet"]).stdout, format!("{name}\n").into_bytes());

    registry.clear_requests();
    let output = format!("type=registry,name={}/team/copy:2", registry.host());
    let (ran, second) = machine.export_one(&[&format!("image:{name}"), "-o", &output]);
    assert_eq!((&second, digest_of(&registry, "team/copy", "2")), (&first, Some(first.clone())));
    assert!(uploads(&registry.requests()).is_empty(), "{:#?}", registry.requests());
    assert_eq!(mounts(&registry).len(), 3, "two layers and a configuration");
    assert_eq!(ran.stderr.matches("mounted from app").count(), 3, "{}", ran.stderr);
    machine.ok(&["verify", &format!("docker://{}/team/copy:2", registry.host())]);
}

#[test]
fn the_registry_of_debian_mounts_what_the_image_store_remembers() {
    let Some(registry) = DockerRegistry::start() else { return };
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    let output = format!("type=image,name={name},push=true,compression=zstd");
    let (_, first) = machine.export_one(&["rootfs:tree", "-o", &output]);
    let output = format!("type=registry,name={}/team/copy:2", registry.host());
    let (ran, second) = machine.export_one(&[&format!("image:{name}"), "-o", &output]);
    assert_eq!((&second, registry.tag("team/copy", "2")), (&first, Some(first.clone())));
    assert_eq!(ran.stderr.matches("mounted from app").count(), 2, "{}", ran.stderr);
    let (ran, _) = machine.export_one(&[&format!("image:{name}"), "-o", &output]);
    assert_eq!(ran.stderr.matches("  exists\n").count(), 2, "{}", ran.stderr);
    machine.ok(&["verify", &format!("docker://{}/team/copy:2", registry.host())]);
}

#[test]
fn what_is_remembered_and_wrong_does_no_harm() {
    let registry = Registry::start();
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    let (_, digest) = machine.export_one(&["rootfs:tree", "-o", &format!("type=image,name={name},push=true")]);
    for layer in layers(&document(&registry, "app", "1")) {
        assert!(registry.remove_blob("app", &layer));
    }
    let output = format!("type=registry,name={}/copy:1", registry.host());
    machine.ok(&["export", &format!("image:{name}"), "-o", &output]);
    assert_eq!(digest_of(&registry, "copy", "1"), Some(digest));
    machine.ok(&["verify", &format!("docker://{}/copy:1", registry.host())]);
}

#[test]
fn layers_of_a_private_repository_are_sent_where_they_cannot_be_mounted() {
    for registry in [Registry::builder().refuse_mounts().start(), Registry::builder().mount_status(403).start()] {
        let machine = Machine::new();
        let name = format!("{}/app:1", registry.host());
        machine.ok(&["export", "rootfs:tree", "-o", &format!("type=image,name={name},push=true")]);
        let output = format!("type=registry,name={}/copy:1", registry.host());
        machine.ok(&["export", &format!("image:{name}"), "-o", &output]);
        assert!(mounts(&registry).is_empty() && registry.open_uploads() == 0);
        machine.ok(&["verify", &format!("docker://{}/copy:1", registry.host())]);
    }
}
