//! `docker-daemon:NAME`.

use serde_json::Value;

use super::machine::{Kind, Machine};
use crate::interop::command::{attempt, run};

fn digests(response: &Value) -> (String, String) {
    let image = &response["images"][0];
    (image["root"]["digest"].as_str().unwrap().to_owned(), image["config"].as_str().unwrap().to_owned())
}

/// By name, by ID and by the beginning of one, with what the engine keeps.
pub(crate) fn images_come_back(machine: &Machine) {
    let loaded = machine.export(&["rootfs:base", "--layer", "four", "-o", "type=docker,name=back:1"]);
    let id = machine.id("back:1");
    let name = "docker.io/library/back:1";
    // Podman reads the beginning of an ID without the algorithm only.
    let short = &id["sha256:".len()..][..12];
    for (reference, names) in [("back:1", vec![name]), (name, vec![name]), (&*id, vec![]), (short, vec![])] {
        let source = format!("docker-daemon:{reference}");
        let back = machine.export(&[&source, "-o", "type=oci,dest=back.tar,name=*?"]);
        assert_eq!(digests(&back).1, digests(&loaded).1, "{source} of {:?}", machine.kind);
        if machine.kind == Kind::Containerd {
            assert_eq!(digests(&back).0, digests(&loaded).0, "{source}");
        }
        assert_eq!(back["images"][0]["names"], serde_json::json!(names), "{source}");
        let verified = run(&mut machine.longshore(&["verify", "oci-archive:back.tar"]));
        assert!(verified.starts_with("ok sha256:"), "{verified}");
    }
    blobs_are_read_where_they_are(machine, &digests(&loaded).0);
    // An image of an engine, changed, into the engine.
    machine.export(&["docker-daemon:back:1", "--layer", "one", "-o", "type=docker,name=back:2"]);
    machine.assert_tree("back:2", &["base", "four", "one"]);
}

/// From the containerd below the engine, without an archive.
fn blobs_are_read_where_they_are(machine: &Machine, root: &str) {
    let host = machine.host();
    let engine = std::path::Path::new(host.strip_prefix("unix://").unwrap()).parent().unwrap();
    let socket = engine.join("exec/containerd/containerd.sock");
    let export = |source: &str| {
        let words = ["export", source, "--progress=plain", "-o", "type=oci,tar=false,name=*,dest=blobs"];
        attempt(machine.longshore(&words).args(["--metadata-file", "metadata.json"]))
    };
    let source = format!("docker-daemon:back:1,containerd={}", socket.display());
    if machine.kind != Kind::Containerd {
        assert!(export(&source).unwrap_err().contains("the engine does not keep its images in containerd"));
        return;
    }
    export(&source).unwrap();
    let verified = run(&mut machine.longshore(&["verify", "oci:blobs"]));
    assert!(verified.starts_with(&format!("ok {root}")), "{verified}");
    let error = export("docker-daemon:back:1,containerd=/nowhere").unwrap_err();
    assert!(error.contains("cannot read the blobs of back:1 in the containerd at /nowhere"), "{error}");
    // The same from the archive that the engine makes.
    let archive = machine.longshore(&["export", "docker-daemon:back:1", "--progress=plain", "-o", "type=oci,dest=-"]);
    let archive = { archive }.output().unwrap();
    assert!(String::from_utf8_lossy(&archive.stderr).contains("read back:1 from unix://"));
    let blobs = machine.longshore(&["export", &source, "--progress=plain", "-o", "type=oci,dest=-"]).output().unwrap();
    assert!(blobs.status.success() && blobs.stdout == archive.stdout);
    assert!(!String::from_utf8_lossy(&blobs.stderr).contains("read back:1 from unix://"));
}

pub(crate) fn what_is_missing_is_said(machine: &Machine) {
    let error = |source: &str| attempt(&mut machine.longshore(&["inspect", source])).unwrap_err();
    let missing = error("docker-daemon:bakk:1");
    assert!(missing.contains("the engine has no such image") && missing.contains("hint: "), "{missing}");
    if !matches!(machine.kind, Kind::Podman4 | Kind::Podman5) {
        assert!(missing.contains("did you mean back:1?"), "{missing}");
    }
    let empty = error("docker-daemon:");
    assert!(empty.contains("`docker-daemon:` without a name"), "{empty}");
    let platform =
        attempt(&mut machine.longshore(&["export", "linux/s390x=docker-daemon:back:1", "-o", "type=oci,dest=x"]));
    assert!(platform.unwrap_err().contains("linux/s390x"));
}

/// One platform of an index, by either way to say it.
pub(crate) fn platforms_come_back(machine: &Machine) {
    let loaded = machine.export(&["linux/amd64=rootfs:one", "linux/arm64=rootfs:two", "-o", "type=docker,name=both:1"]);
    let back = machine.export(&["docker-daemon:both:1", "-o", "type=oci,dest=both.tar,name=*"]);
    assert_eq!(back["images"][0]["root"]["digest"], loaded["images"][0]["root"]["digest"]);
    for arguments in
        [vec!["linux/arm64=docker-daemon:both:1"], vec!["docker-daemon:both:1", "--platform", "linux/arm64"]]
    {
        machine.export(&[&arguments[..], &["-o", "type=oci,dest=arm.tar"]].concat());
        let inspected = run(&mut machine.longshore(&["inspect", "--files", "oci-archive:arm.tar"]));
        assert!(inspected.contains("tree/layer/two") && !inspected.contains("tree/layer/one"), "{inspected}");
    }
}
