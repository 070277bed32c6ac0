//! Two registries, of which one fails: what is visible then, what is said, and what the next run does.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_testkit::registry::{Registry, Rule};

use super::machine::{Machine, digest_of, puts, uploads};

struct Two {
    machine: Machine,
    one: Registry,
    other: Registry,
}

impl Two {
    fn new() -> Self {
        Self { machine: Machine::new(), one: Registry::start(), other: Registry::start() }
    }

    fn arguments(&self) -> Vec<String> {
        let names = format!("{}/a:v1,{}/b:v1", self.one.host(), self.other.host());
        ["export", "rootfs:tree", "--layer", "etc:/etc", "--progress=plain", "-o"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("type=registry,\"name={names}\"")])
            .collect()
    }

    fn fails(&self, said: &[&str]) -> String {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let place = format!("cannot push to {}/b", self.other.host());
        let said = [&[&place, "403", "failed on purpose"], said].concat();
        self.machine.fails(&arguments, 4, &said).stderr
    }

    /// Runs it again, which succeeds.
    fn works(&self) {
        let arguments = self.arguments();
        self.machine.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let digest = digest_of(&self.one, "a", "v1");
        assert!(digest.is_some() && digest == digest_of(&self.other, "b", "v1"));
        for name in [format!("{}/a:v1", self.one.host()), format!("{}/b:v1", self.other.host())] {
            self.machine.ok(&["verify", &format!("docker://{name}")]);
        }
    }

    /// Each blob and each manifest was taken once by each registry, in all runs together.
    fn sent_nothing_twice(&self) {
        for registry in [&self.one, &self.other] {
            let requests = registry.requests();
            let mut taken: BTreeMap<String, usize> = BTreeMap::new();
            let blobs =
                uploads(&requests).into_iter().filter(|request| request.method == "PUT" && request.status == 201);
            let blobs = blobs
                .map(|request| request.query.split('&').find(|pair| pair.starts_with("digest=")).unwrap().to_owned());
            blobs.chain(puts(registry)).for_each(|what| *taken.entry(what).or_default() += 1);
            assert_eq!(taken.len(), 5, "two layers, a configuration, a manifest, a tag: {taken:#?}");
            assert!(taken.values().all(|times| *times == 1), "{taken:#?}");
        }
    }

    fn has_no_tag(&self) {
        assert!(self.one.tags("a").is_empty() && self.other.tags("b").is_empty());
    }
}

#[test]
fn a_blob_that_is_refused_leaves_no_tag_anywhere() {
    let two = Two::new();
    two.other.fail(Rule::on("POST", "/blobs/uploads/").status(403));
    let stderr = two.fails(&["cannot push blob sha256:", "hint: check that the account"]);
    assert!(!stderr.contains("exported"), "{stderr}");
    two.has_no_tag();
    two.works();
    two.sent_nothing_twice();
}

#[test]
fn a_manifest_that_is_refused_leaves_no_tag_anywhere() {
    let two = Two::new();
    two.other.fail(Rule::on("PUT", "/manifests/").status(403));
    two.fails(&["cannot push manifest sha256:"]);
    two.has_no_tag();
    two.works();
    two.sent_nothing_twice();
}

#[test]
fn a_tag_that_is_refused_is_the_last_thing_and_says_what_is_visible() {
    let two = Two::new();
    // By then the other registry has the tag.
    two.other.fail(Rule::on("PUT", "/manifests/v1").delay(Duration::from_secs(1)).status(403));
    let pushed = format!("tagged only {}/a:v1", two.one.host());
    let stderr = two.fails(&["cannot push tag v1", &pushed, "hint: check that the account"]);
    assert!(!stderr.contains(&format!("tagged {}/a:v1, {}", two.one.host(), two.other.host())), "{stderr}");
    assert_eq!((two.one.tags("a"), two.other.tags("b")), (vec!["v1".to_owned()], Vec::new()));
    two.works();
    two.sent_nothing_twice();
}

#[test]
fn a_file_is_not_written_when_a_registry_refuses() {
    let two = Two::new();
    two.other.fail(Rule::on("PUT", "/manifests/sha256:").status(403));
    let push = format!("type=registry,name={}/b:v1", two.other.host());
    let outputs = ["-o", "type=oci,dest=x.tar", "-o", "type=image,name=app:1", "-o", &push];
    let ran =
        two.machine.fails(&[&["export", "rootfs:tree"], &outputs[..]].concat(), 4, &["cannot export to type=registry"]);
    assert!(!ran.stderr.contains("exported"), "{}", ran.stderr);
    assert!(!two.machine.work.path("x.tar").exists());
    assert_eq!(two.machine.ok(&["images", "--quiet"]).stdout, b"");
}

/// The name in the image store is there by then.
#[test]
fn a_name_in_the_image_store_stays_when_a_tag_is_refused_and_that_is_said() {
    let two = Two::new();
    two.other.fail(Rule::on("PUT", "/manifests/v1").status(403));
    let name = format!("{}/b:v1", two.other.host());
    let output = format!("type=image,name={name},push=true");
    let ran = two.machine.fails(&["export", "rootfs:tree", "--progress=plain", "-o", &output], 4, &["403"]);
    let images = String::from_utf8(two.machine.ok(&["images", "--quiet"]).stdout).unwrap();
    let is_said = ran.stderr.contains("image store");
    assert!(images.is_empty() || is_said, "{images} is there, but nothing says so:\n{}", ran.stderr);
    assert!(two.other.tags("b").is_empty());
}

#[test]
fn what_was_published_before_a_tag_failed_is_said() {
    let two = Two::new();
    two.other.fail(Rule::on("PUT", "/manifests/v1").status(403));
    let push = format!("type=registry,name={}/b:v1", two.other.host());
    let outputs = ["-o", &push, "-o", "type=oci,dest=x.tar"];
    let ran = two.machine.fails(&[&["export", "rootfs:tree", "--progress=plain"], &outputs[..]].concat(), 4, &["403"]);
    assert!(ran.stderr.contains(" to x.tar\n") && two.machine.work.path("x.tar").exists(), "{}", ran.stderr);
    assert!(two.other.tags("b").is_empty());
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let machine = Machine::new();
    let gone = Registry::start().host().to_owned();
    let output = format!("type=registry,name={gone}/a:1");
    let said = [&*format!("cannot push to {gone}/a"), "connection refused"];
    let ran = machine.fails(&["export", "rootfs:tree", "--progress=plain", "-o", &output], 4, &said);
    assert!(!ran.stderr.contains("retrying"), "nobody was ever there: {}", ran.stderr);
    assert!(!ran.stderr.contains("layer tree"), "layers were read for nobody: {}", ran.stderr);
}

#[test]
fn a_busy_registry_is_asked_again() {
    let registry = Registry::start();
    registry.fail(Rule::on("PUT", "/blobs/uploads/").status(503).header("Retry-After", "0").times(2));
    registry.fail(Rule::on("HEAD", "/blobs/").status(429).header("Retry-After", "1"));
    registry.fail(Rule::on("PUT", "/manifests/1").drop_before_answer());
    let machine = Machine::new();
    let output = format!("type=registry,name={}/a:1", registry.host());
    let (ran, digest) = machine.export_one(&["rootfs:tree", "-o", &output]);
    assert_eq!(digest_of(&registry, "a", "1"), Some(digest));
    assert!(ran.stderr.contains("retrying in 1 s (attempt 2 of 6)"), "{}", ran.stderr);
    machine.ok(&["verify", &format!("docker://{}/a:1", registry.host())]);
}

/// What was published before a tag was refused is in the file for programs; it was said to people alone.
#[test]
fn the_metadata_file_says_what_was_published_before_a_failure() {
    let (machine, registry) = (Machine::new(), Registry::start());
    registry.fail(Rule::on("PUT", "/manifests/v1").status(403).times(100));
    let push = format!("type=registry,name={}/a:v1", registry.host());
    let arguments =
        ["export", "rootfs:tree", "--metadata-file=meta.json", "-o", "files", "-o", "type=oci,dest=a.tar", "-o", &push];
    machine.fails(&arguments, 4, &["cannot export to type=registry", "403"]);
    let text = std::fs::read(machine.command(&[]).get_current_dir().unwrap().join("meta.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let outputs = metadata["longshore.outputs"].as_array().unwrap();
    let kinds: Vec<_> = outputs.iter().map(|output| output["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["local", "oci"]);
    assert_eq!(metadata["containerimage.digest"], outputs[1]["images"][0]["root"]["digest"]);
}
