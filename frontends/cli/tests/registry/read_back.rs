//! What was pushed is read by others, who find the digests that the command reported.

use std::process::Command;

use longshore_core::oci::Digest;
use longshore_testkit::validate;

use super::docker_registry::DockerRegistry;
use super::machine::Machine;
use crate::interop::command::{attempt, run, skopeo};
use crate::interop::containerd::Containerd;
use crate::interop::peers::{CONTAINERD, CTR, SKOPEO};

/// What is pushed: a name, its sources, and the options of the output.
const IMAGES: [(&str, &[&str], &str); 4] = [
    ("gzip", &["rootfs:tree"], ""),
    ("zstd", &["rootfs:tree", "--layer", "etc:/etc"], ",compression=zstd"),
    ("docker", &["rootfs:tree"], ",oci-mediatypes=false"),
    ("platforms", &["linux/amd64=rootfs:amd", "linux/arm64=rootfs:arm"], ""),
];

/// Pushes everything to the repository `app`, and writes it to `layout` too. The digests by tag.
fn pushed(machine: &Machine, registry: &DockerRegistry) -> Vec<(&'static str, Digest)> {
    let push = |(tag, sources, options): (&'static str, &[&str], &str)| {
        let name = format!("{}/app:{tag}", registry.host());
        let outputs = ["type=registry", "type=oci,tar=false,dest=layout"];
        let [push, keep] = outputs.map(|output| format!("{output},name={name}{options}"));
        let (ran, digest) = machine.export_one(&[sources, &["-o", &push, "-o", &keep]].concat());
        assert_eq!(ran.stderr.matches(&format!("exported {name} {digest}")).count(), 2, "{}", ran.stderr);
        assert_eq!(registry.tag("app", tag), Some(digest.clone()));
        (tag, digest)
    };
    IMAGES.map(push).to_vec()
}

#[test]
fn skopeo_reads_what_was_pushed() {
    let Some(registry) = DockerRegistry::start().filter(|_| SKOPEO.is_ready()) else { return };
    let machine = Machine::new();
    let pushed = pushed(&machine, &registry);
    let kept = validate::layout_dir(&machine.work.path("layout")).unwrap().images;
    for (tag, digest) in pushed {
        let source = format!("docker://{}/app:{tag}", registry.host());
        let raw = run(skopeo("inspect").args(["--raw", "--tls-verify=false", &source]));
        assert_eq!(Digest::of(raw.as_bytes()), digest, "{tag}: {raw}");
        let copy = machine.work.path(&format!("copy-{tag}"));
        let mut command = skopeo("copy");
        command.args(["--all", "--preserve-digests", "--quiet", "--src-tls-verify=false", &source]);
        // A layout takes OCI's media types only.
        let target = if tag == "docker" { "dir" } else { "oci" };
        run(command.arg(format!("{target}:{}", copy.display())));
        if tag == "docker" {
            assert_eq!(Digest::of(&std::fs::read(copy.join("manifest.json")).unwrap()), digest);
            continue;
        }
        let copied = validate::layout_dir(&copy).unwrap().images;
        let parts = |images: &[validate::ValidatedImage]| {
            let of_root = images.iter().filter(|image| image.root == digest);
            of_root.map(|image| (image.manifest.clone(), image.layers.clone())).collect::<Vec<_>>()
        };
        assert_eq!(parts(&copied).len(), copied.len(), "{tag}");
        assert_eq!(parts(&copied), parts(&kept), "{tag}");
    }
}

#[test]
fn containerd_pulls_what_was_pushed() {
    if !CONTAINERD.is_ready() || !CTR.is_ready() {
        return;
    }
    let Some(registry) = DockerRegistry::start() else { return };
    let machine = Machine::new();
    let containerd = Containerd::start();
    for (tag, digest) in pushed(&machine, &registry) {
        let name = format!("{}/app:{tag}", registry.host());
        let mut command = Command::new("ctr");
        command.arg("--address").arg(containerd.socket()).args(["--namespace", tag, "images", "pull"]);
        command.args(["--plain-http", "--all-platforms", "--snapshotter", "native", &name]);
        attempt(&mut command).unwrap_or_else(|error| panic!("{tag}: {error}"));
        assert_eq!(containerd.digest(tag, &name), digest.to_string(), "{tag}");
    }
}

#[test]
fn several_names_in_two_registries_at_once() {
    let Some(one) = DockerRegistry::start() else { return };
    let other = DockerRegistry::start().unwrap();
    let machine = Machine::new();
    let names = [format!("{}/a:1", one.host()), format!("{}/b/c:2", one.host()), format!("{}/c:3", other.host())];
    let output = format!("type=registry,\"name={}\"", names.join(","));
    let (ran, metadata) = machine.export(&["rootfs:tree", "-o", &output]);
    let digest: Digest = metadata["containerimage.digest"].as_str().unwrap().parse().unwrap();
    assert_eq!(metadata["image.name"], names.join(","));
    assert_eq!(metadata["longshore.outputs"][0]["images"][0]["names"], serde_json::json!(names));
    for (registry, repository, tag) in [(&one, "a", "1"), (&one, "b/c", "2"), (&other, "c", "3")] {
        assert_eq!(registry.tag(repository, tag), Some(digest.clone()), "{repository}");
        assert_eq!(registry.tags(repository), [tag]);
        machine.ok(&["verify", &format!("docker://{}/{repository}:{tag}", registry.host())]);
    }
    assert_eq!(one.blob(&digest), other.blob(&digest));
    // A layer and a configuration went to one repository of each registry, and from there to the other one.
    assert_eq!(ran.stderr.matches("mounted from a").count(), 2, "{}", ran.stderr);
}

#[test]
fn tags_move_and_what_they_stood_for_stays() {
    let Some(registry) = DockerRegistry::start() else { return };
    let machine = Machine::new();
    let output = format!("type=image,name={}/app:1,push=true", registry.host());
    let (_, first) = machine.export_one(&["rootfs:tree", "-o", &output]);
    let (_, second) = machine.export_one(&["rootfs:etc", "-o", &output]);
    assert_ne!(first, second);
    assert_eq!(registry.tag("app", "1"), Some(second));
    assert!(registry.has_manifest("app", &first));
}
