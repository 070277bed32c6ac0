//! Options of outputs that push.

use longshore_core::oci::Digest;
use longshore_testkit::registry::Registry;

use super::docker_registry::DockerRegistry;
use super::machine::{Machine, digest_of, uploads};

/// Fails before a registry hears of it.
fn is_refused(options: &str, said: &[&str]) {
    let registry = Registry::start();
    let output = options.replace("HOST", registry.host());
    Machine::new().fails(&["export", "rootfs:tree", "-o", &output], 2, said);
    assert!(registry.requests().is_empty(), "{options}: {:#?}", registry.requests());
}

#[test]
fn a_push_by_digest_makes_no_tag() {
    let Some(registry) = DockerRegistry::start() else { return };
    let machine = Machine::new();
    let name = format!("{}/app", registry.host());
    for kind in ["type=registry", "type=image,store=false,push=true"] {
        let (_, digest) =
            machine.export_one(&["rootfs:tree", "-o", &format!("{kind},name={name},push-by-digest=true")]);
        assert!(registry.has_manifest("app", &digest) && registry.tags("app").is_empty());
        machine.ok(&["verify", &format!("docker://{name}@{digest}")]);
    }
    machine.fails(&["verify", &format!("docker://{name}")], 3, &["latest"]);
}

#[test]
fn a_push_by_digest_of_several_platforms_has_each_of_them() {
    let registry = Registry::start();
    let machine = Machine::new();
    let output = format!("type=registry,name={}/app,push-by-digest=true", registry.host());
    let (_, digest) = machine.export_one(&["linux/amd64=rootfs:amd", "linux/arm64=rootfs:arm", "-o", &output]);
    assert!(registry.tags("app").is_empty());
    machine.ok(&["verify", &format!("docker://{}/app@{digest}", registry.host())]);
}

#[test]
fn a_tag_and_push_by_digest_contradict_each_other() {
    for kind in ["type=registry", "type=image,push=true"] {
        let said = ["can't push tagged ref", "/app:1 by digest", "hint: leave out the tag, or push-by-digest"];
        is_refused(&format!("{kind},name=HOST/app:1,push-by-digest=true"), &said);
    }
}

#[test]
fn options_that_go_nowhere_are_refused() {
    let nowhere = "a push needs a name";
    is_refused("type=registry", &[nowhere, "hint: add name=REGISTRY/REPOSITORY:TAG"]);
    is_refused("type=image,push=true", &[nowhere]);
    is_refused("type=registry,name=*", &["name=*, but image 1 has no name of its own"]);
    is_refused("type=registry,name=HOST/app:1,push=false", &["push=false", "hint: type=image keeps"]);
    is_refused("type=registry,name=HOST/app:1,dest=x.tar", &["it has no destination"]);
    is_refused(
        "type=image,name=HOST/app:1,push-by-digest=true",
        &["push-by-digest=true without push=true does nothing"],
    );
    is_refused("type=image,name=HOST/app:1,registry.insecure=true", &["registry.insecure=true without push=true"]);
    is_refused("type=image,name=HOST/app:1,store=false", &["store=false without push=true exports nothing"]);
    let kept = ["push-streaming=true sends layers without keeping them", "hint: add store=false"];
    is_refused("type=image,name=HOST/app:1,push=true,push-streaming=true", &kept);
}

/// buildx's `registry` is an image that is pushed, so its options are written here by habit.
#[test]
fn options_of_a_pushed_image_are_taken_where_they_change_nothing() {
    let registry = Registry::start();
    let machine = Machine::new();
    let export = |options: &str| {
        let output = format!("type=registry,name={}/app:1,{options}", registry.host());
        machine.export_one(&["rootfs:tree", "-o", &output]).1
    };
    let digest = export("push=true");
    assert_eq!(export("store=false,unpack=false,name-canonical=true"), digest);
    machine.ok(&["verify", &format!("docker://{}/app@{digest}", registry.host())]);
    for option in ["unpack=true", "store=true"] {
        let hint = format!("hint: write type=image,push=true,{option}");
        is_refused(&format!("type=registry,name=HOST/app:1,{option}"), &["keeps nothing on this machine", &hint]);
    }
}

#[test]
fn an_option_that_is_nearly_right_is_named() {
    is_refused(
        "type=registry,name=HOST/app,push-by-digst=true",
        &["push-by-digst", "hint: did you mean `push-by-digest`?"],
    );
    is_refused("type=registry,name=HOST/app:1,registry.insecur=true", &["hint: did you mean `registry.insecure`?"]);
    is_refused("type=registry,name=HOST/app:1,push-streaming=perhaps", &["push-streaming", "perhaps"]);
    is_refused("type=registri,name=HOST/app:1", &["hint: did you mean `registry`?"]);
}

#[test]
fn streams_to_two_registries_are_kept_first_and_that_is_said() {
    let [one, other] = [Registry::start(), Registry::start()];
    let machine = Machine::new();
    let output = format!("type=registry,\"name={}/a:1,{}/b:1\",push-streaming=true", one.host(), other.host());
    let (ran, digest) = machine.export_one(&["rootfs:tree", "-o", &output]);
    let said = "warning: push-streaming: layers for several registries or repositories are kept in the store\n";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{}", ran.stderr);
    for (registry, repository) in [(&one, "a"), (&other, "b")] {
        assert_eq!(digest_of(registry, repository, "1"), Some(digest.clone()));
        machine.ok(&["verify", &format!("docker://{}/{repository}:1", registry.host())]);
    }
}

#[test]
fn a_tag_that_cannot_move_takes_the_same_image_again_and_no_other_one() {
    let registry = Registry::builder().immutable_tags().start();
    let machine = Machine::new();
    let output = format!("type=registry,name={}/app:1", registry.host());
    let (_, first) = machine.export_one(&["rootfs:tree", "-o", &output]);
    let (_, again) = machine.export_one(&["rootfs:tree", "-o", &output]);
    assert_eq!(first, again);
    let said = ["cannot push tag 1", "409", "the tag exists and cannot be changed"];
    machine.fails(&["export", "rootfs:etc", "-o", &output], 3, &said);
    assert_eq!(digest_of(&registry, "app", "1"), Some(first));
}

#[test]
fn two_outputs_do_not_put_different_images_under_one_tag() {
    let registry = Registry::start();
    let machine = Machine::new();
    let output = format!("type=registry,name={}/app:1", registry.host());
    let zstd = format!("{output},compression=zstd");
    let said = ["two outputs push different images to", "/app:1", "hint: give them different tags"];
    machine.fails(&["export", "rootfs:tree", "-o", &output, "-o", &zstd], 2, &said);
    assert!(registry.tags("app").is_empty());
    machine.ok(&["export", "rootfs:tree", "-o", &output, "-o", &output]);
    assert_eq!(registry.tags("app"), ["1"]);
}

#[test]
fn a_dry_run_says_what_it_would_push() {
    let machine = Machine::new();
    for (options, said) in [
        ("type=registry,name=r.example/app:1", "push r.example/app:1"),
        ("type=image,push=true,name=r.example/app:1", "push r.example/app:1"),
        ("type=registry,name=r.example/app,push-by-digest=true", "push to r.example/app, without a tag"),
    ] {
        let plan =
            String::from_utf8(machine.ok(&["export", "rootfs:tree", "--dry-run", "-o", options]).stdout).unwrap();
        assert!(plan.lines().any(|line| line.trim() == said), "{options}: {plan}");
    }
}

#[test]
fn a_port_is_no_tag_of_an_image_on_docker_hub() {
    is_refused(
        "type=registry,name=localhost:5611",
        &["would be pushed to Docker Hub", "localhost:PORT/REPOSITORY:TAG"],
    );
}

#[test]
fn a_dry_run_pushes_nothing() {
    let registry = Registry::start();
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    for output in [format!("type=registry,name={name}"), format!("type=image,name={name},push=true")] {
        let ran = machine.ok(&["export", "rootfs:tree", "--dry-run", "-o", &output]);
        let plan = String::from_utf8(ran.stdout).unwrap();
        assert!(plan.starts_with(output.split(',').next().unwrap()) && plan.contains(&name), "{plan}");
        assert!(registry.requests().is_empty(), "{:#?}", registry.requests());
    }
    machine.ok(&["export", "rootfs:tree", "-o", &format!("type=registry,name={name}")]);
    registry.clear_requests();
    let output = format!("type=registry,name={}/other:1", registry.host());
    machine.ok(&["export", &format!("docker://{name}"), "--dry-run", "-o", &output]);
    let requests = registry.requests();
    assert!(requests.iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")), "{requests:#?}");
    assert!(registry.tags("other").is_empty());
}

#[test]
fn a_name_with_a_digest_is_that_of_the_image_or_an_error() {
    let registry = Registry::start();
    let machine = Machine::new();
    let name = format!("{}/app:1", registry.host());
    let (_, digest) = machine.export_one(&["rootfs:tree", "-o", &format!("type=registry,name={name}")]);
    machine.ok(&["export", "rootfs:tree", "-o", &format!("type=registry,name={name}@{digest}")]);
    registry.clear_requests();
    let wrong = format!("type=registry,name={name}@{}", Digest::of(b"another image"));
    let ran = machine.run(&["export", "rootfs:tree", "-o", &wrong]);
    assert!(ran.code == Some(2) || ran.code == Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains(&digest.to_string()), "{}", ran.stderr);
    assert!(uploads(&registry.requests()).is_empty());
    assert_eq!(digest_of(&registry, "app", "1"), Some(digest));
}
