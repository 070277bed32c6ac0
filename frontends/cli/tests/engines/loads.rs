//! `type=docker` without `dest`.

use serde_json::{Value, json};

use super::machine::{BASE, Machine};
use crate::interop::command::attempt;

/// The layers that were sent and those that the engine had, and the bytes that were sent.
fn transfer(response: &Value) -> (u64, u64, u64) {
    let transfer = &response["transfer"];
    let number = |side: &str, what: &str| transfer[side][what].as_u64().unwrap();
    (number("sent", "layers"), number("present", "layers"), number("sent", "bytes"))
}

pub(crate) fn only_what_is_missing_is_sent(machine: &Machine) {
    let whole = machine.export(&["rootfs:base", "-o", r#"type=docker,"name=app:1,example.com/other:1""#]);
    let (sent, present, bytes) = transfer(&whole);
    assert_eq!((sent, present), (1, 0));
    assert!(bytes > BASE, "{bytes}");
    assert_eq!(whole["destination"], json!(machine.host()));
    assert_eq!(whole["images"][0]["names"], json!(["docker.io/library/app:1", "example.com/other:1"]));
    for name in ["app:1", "example.com/other:1"] {
        assert_eq!(machine.id(name), machine.expected_id(&whole), "{name}");
    }
    machine.assert_tree("app:1", &["base"]);

    let changed = machine.export(&["rootfs:base", "--layer", "one", "-o", "type=docker,name=app:2"]);
    let (sent, present, changed_bytes) = transfer(&changed);
    assert_eq!((sent, present), (1, 1), "{:?}", machine.kind);
    assert!(changed_bytes * 100 < bytes, "{changed_bytes} of {bytes}");
    assert!(changed["transfer"]["present"]["bytes"].as_u64().unwrap() > BASE);
    machine.assert_tree("app:2", &["base", "one"]);
    assert_eq!(machine.id("app:2"), machine.expected_id(&changed));

    let again = machine.export(&["rootfs:base", "--layer", "one", "-o", "type=docker,name=app:3"]);
    assert_eq!(transfer(&again), (0, 2, 0));
    assert_eq!(machine.id("app:3"), machine.id("app:2"));

    let arguments = ["export", "--progress=plain", "rootfs:base", "--layer", "one", "-o", "type=docker,name=app:3"];
    let output = machine.longshore(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.ends_with("\nsent 0 B: 0 of 2 layers\n"), "{said}");

    // A store of blobs is known by the manifests in the image store.
    let forgotten = machine.export(&["rootfs:base", "--layer", "two", "--no-store", "-o", "type=docker,name=app:4"]);
    let expected = if machine.keeps_blobs() { (2, 0) } else { (1, 1) };
    assert_eq!((transfer(&forgotten).0, transfer(&forgotten).1), expected, "{:?}", machine.kind);
    machine.assert_tree("app:4", &["base", "two"]);
}

pub(crate) fn several_images_are_loaded_together(machine: &Machine) {
    let layout = "type=oci,dest=several,tar=false,name=";
    machine.export(&["rootfs:three", "-o", &format!("{layout}several:1")]);
    machine.export(&["rootfs:three", "--layer", "four", "-o", &format!("{layout}several:2")]);
    let loaded = machine.export(&["oci:several", "-o", "type=docker,name=*"]);
    assert_eq!(loaded["images"].as_array().unwrap().len(), 2);
    assert_eq!(transfer(&loaded).0, 2);
    machine.assert_tree("several:1", &["three"]);
    machine.assert_tree("several:2", &["three", "four"]);
}

/// Nothing is visible unless every output succeeds.
pub(crate) fn a_failed_run_leaves_no_image(machine: &Machine) {
    let before = machine.ids();
    let failing = ["-o", "type=docker,name=failed:1", "-o", "type=registry,name=127.0.0.1:1/failed:1"];
    let arguments = [&["export", "--progress=quiet", "rootfs:four", "--layer", "three"], &failing[..]].concat();
    let error = attempt(&mut machine.longshore(&arguments)).unwrap_err();
    assert!(error.contains("cannot export to type=registry"), "{error}");
    assert_eq!(machine.ids(), before);
}

/// Both platforms of an image, of which this machine can run one.
pub(crate) fn an_index_is_kept_whole(machine: &Machine) {
    let sources = ["linux/amd64=rootfs:base", "linux/arm64=rootfs:one"];
    let loaded = machine.export(&[&sources[..], &["-o", "type=docker,name=both:1"]].concat());
    assert_eq!(transfer(&loaded).0, 2);
    assert_eq!(machine.id("both:1"), machine.expected_id(&loaded));
    let sources = ["linux/amd64=rootfs:base", "linux/arm64=rootfs:two"];
    let changed = machine.export(&[&sources[..], &["-o", "type=docker,name=both:2"]].concat());
    assert_eq!((transfer(&changed).0, transfer(&changed).1), (1, 1));
    assert!(transfer(&changed).2 < BASE / 100, "{changed}");
}
