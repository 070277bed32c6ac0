//! What is in an image: its documents, its layers and what made them, and what differs from another.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_core::oci::Digest;
use longshore_testkit::registry::Registry;
use run::{Ran, Workdir};
use serde_json::{Value, json};

/// A base of two files and a link, and an image that adds one, replaces one and has a health check.
fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("base/etc/os", "debian");
    work.write("base/bin/sh", "shell");
    work.write("tree/etc/os", "longer text");
    work.write("tree/opt/app", "app");
    let config = json!({"architecture": "amd64", "os": "linux",
        "config": {"Healthcheck": {"Test": ["CMD", "/opt/app", "check"], "Interval": 30_000_000_000_u64}},
        "history": [{"created_by": "/bin/sh -c #(nop) ADD base in / "}, {"created_by": "CMD [\"sh\"] # buildkit", "empty_layer": true},
            {"created_by": "RUN /bin/sh -c make install # buildkit"}]});
    work.write("config.json", config.to_string());
    work.ok(&["export", "amd64=rootfs:base", "-o", "type=image,name=base:1"]);
    work.ok(&[
        "export",
        "amd64=rootfs:base",
        "--layer",
        "tree",
        "--config",
        "config.json",
        "-o",
        "type=image,name=app:1",
    ]);
    work.ok(&["export", "arm64=rootfs:base", "-o", "type=image,name=arm:1"]);
    work.ok(&["index", "create", "both:1", "app:1", "arm:1"]);
    work
}

fn text(ran: &Ran) -> String {
    String::from_utf8(ran.stdout.clone()).unwrap()
}

#[test]
fn an_image_is_shown_with_what_made_each_layer() {
    let work = prepared();
    let shown = text(&work.ok(&["inspect", "app:1"]));
    let order = [
        "  linux/amd64  2 layers, ",
        "Healthcheck {\"Test\":[\"CMD\",\"/opt/app\",\"check\"],\"Interval\":30000000000}",
        "    layer 1  sha256:",
        "        ADD base in /\n",
        "    step  CMD [\"sh\"]\n",
        "    layer 2  sha256:",
        "        RUN make install\n",
    ];
    let places: Vec<_> =
        order.iter().map(|part| shown.find(part).unwrap_or_else(|| panic!("{part}\n{shown}"))).collect();
    assert!(places.is_sorted(), "{shown}");
    let digests: Vec<_> = shown.split_whitespace().filter(|word| word.starts_with("sha256:")).collect();
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(digests.len(), distinct.len(), "no digest twice: {shown}");
    let files = text(&work.ok(&["inspect", "--files", "app:1"]));
    assert_eq!(files.matches("2 files of ").count(), 2, "{files}");
    assert_eq!(files.matches(", 2 directories\n").count(), 2, "{files}");
    let all: Value = serde_json::from_slice(&work.ok(&["inspect", "--json", "app:1"]).stdout).unwrap();
    let layers = all[0]["image"]["manifests"][0]["layers"].as_array().unwrap();
    let size: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
    assert_eq!(all[0]["size"], size);
}

#[test]
fn documents_are_printed_byte_for_byte() {
    let work = prepared();
    let digest = |arguments: &[&str]| text(&work.ok(&[&["inspect", "--digest"], arguments].concat())).trim().to_owned();
    let raw = |arguments: &[&str]| work.ok(&[&["inspect", "--raw"], arguments].concat()).stdout;
    for arguments in [&["both:1"][..], &["both:1", "--platform", "arm64"], &["app:1"]] {
        assert_eq!(Digest::of(&raw(arguments)).to_string(), digest(arguments), "{arguments:?}");
    }
    let index: Value = serde_json::from_slice(&raw(&["both:1"])).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest(&["app:1"]));
    assert_eq!(digest(&["both:1", "--platform", "arm64"]), digest(&["arm:1"]));
    let manifest: Value = serde_json::from_slice(&raw(&["both:1", "--platform", "amd64"])).unwrap();
    let config = work.ok(&["inspect", "--config", "both:1", "--platform", "amd64"]).stdout;
    assert_eq!(manifest["config"]["digest"], Digest::of(&config).to_string());
    let only = text(&work.ok(&["inspect", "both:1", "--platform", "arm64"]));
    assert!(only.contains("linux/arm64") && !only.contains("amd64"), "{only}");
    let two = work.run(&["inspect", "app:1", "--raw", "--config"]);
    assert_eq!(two.code, Some(2), "{}", two.stderr);
}

#[test]
fn no_layer_is_fetched_for_documents() {
    let (work, registry) = (prepared(), Registry::start());
    let name = format!("{}/app:1", registry.host());
    work.ok(&["push", "app:1", &name]);
    for view in ["--json", "--raw", "--config", "--digest"] {
        registry.clear_requests();
        work.ok(&["inspect", view, &format!("docker://{name}")]);
        let blobs = registry.requests().iter().filter(|request| request.path.contains("/blobs/")).count();
        assert!(blobs <= 1, "the configuration alone: {view}: {blobs}");
    }
}

#[test]
fn what_differs_is_shown() {
    let work = prepared();
    let shown = text(&work.ok(&["diff", "base:1", "app:1"]));
    for line in ["~ etc/os  content", "+ opt/app  3 B", "config Healthcheck null -> {\"Test\""] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(shown.ends_with("files: 2 added, 0 removed, 1 changed; layers in both: 1\n"), "{shown}");
    let back: Value = serde_json::from_slice(&work.ok(&["diff", "app:1", "base:1", "--json"]).stdout).unwrap();
    let removed: Vec<_> = back["files"].as_array().unwrap().iter().filter(|file| file["change"] == "removed").collect();
    assert_eq!(removed[1]["path"], "opt/app");
    assert_eq!(removed[1]["from"]["size"], 3);
    assert_eq!(back["growth"], -8);
    assert_eq!(back["layers"]["removed"].as_array().unwrap().len(), 1);
    let same = text(&work.ok(&["diff", "app:1", "app:1", "--quiet"]));
    assert_eq!(same, "files: 0 added, 0 removed, 0 changed; layers in both: 2\n");
}

#[test]
fn verification_names_the_image_and_the_layer() {
    let work = prepared();
    work.ok(&["copy", "app:1", "oci:layout:example.com/app:1"]);
    let raw: Value = serde_json::from_slice(&work.ok(&["inspect", "--raw", "layout"]).stdout).unwrap();
    let layer = raw["layers"][1]["digest"].as_str().unwrap().to_owned();
    let good: Value = serde_json::from_slice(&work.ok(&["verify", "--json", "layout"]).stdout).unwrap();
    assert_eq!((&good[0]["ok"], &good[0]["problems"]), (&json!(true), &json!([])));
    let path = work.path("layout/blobs/sha256").join(&layer[7..]);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = work.run(&["verify", "layout", "--progress=plain"]);
    let said = text(&ran);
    assert_eq!(ran.code, Some(1));
    assert!(said.starts_with("example.com/app:1: ") && said.ends_with("(layer 2 of 2 of linux/amd64)\n"), "{said}");
    assert!(ran.stderr.contains("verify sha256:"), "progress: {}", ran.stderr);
    let bad: Value = serde_json::from_slice(&work.run(&["verify", "--json", "layout"]).stdout).unwrap();
    assert_eq!((&bad[0]["ok"], bad[0]["problems"].as_array().unwrap().len()), (&json!(false), 1));
}
