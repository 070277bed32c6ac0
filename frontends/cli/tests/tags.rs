//! Tags without a full name, from layout to layout.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::process::Command;

use longshore_core::archive::TarFile;
use run::Workdir;
use serde_json::{Value, json};

const TAG: &str = "org.opencontainers.image.ref.name";
const NAME: &str = "io.containerd.image.name";

/// The layout `from` with two images: `app` has the tags `v1` and `stable`, and the name `r.example/app:2`; `tool` has
/// the tag `tool` alone.
fn prepared() -> Workdir {
    let work = Workdir::new();
    for name in ["app", "tool"] {
        work.write(&format!("{name}/file"), name);
        work.ok(&[
            "export",
            "--no-store",
            &format!("rootfs:{name}"),
            "-o",
            &format!("type=oci,tar=false,dest={name}.oci"),
        ]);
    }
    let entry = |layout: &str| entries(&work.read(&format!("{layout}/index.json"))).remove(0);
    let tagged = |layout: &str, annotations: Value| {
        let mut entry = entry(layout);
        entry["annotations"] = annotations;
        entry
    };
    let manifests = json!([
        tagged("app.oci", json!({TAG: "v1"})),
        tagged("tool.oci", json!({TAG: "tool"})),
        tagged("app.oci", json!({TAG: "stable"})),
        tagged("app.oci", json!({TAG: "2", NAME: "r.example/app:2"})),
    ]);
    std::fs::create_dir(work.path("from")).unwrap();
    let mut copy = Command::new("cp");
    let copied = copy.args(["-r", "app.oci/.", "tool.oci/.", "from"]).current_dir(work.root()).status();
    assert!(copied.unwrap().success());
    work.write("from/index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string());
    work
}

fn entries(index: &[u8]) -> Vec<Value> {
    serde_json::from_slice::<Value>(index).unwrap()["manifests"].as_array().unwrap().clone()
}

/// The tag, the name and the digest of each entry.
fn listed(index: &[u8]) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry =
        |entry: &Value| (text(&entry["annotations"][TAG]), text(&entry["annotations"][NAME]), text(&entry["digest"]));
    entries(index).iter().map(entry).collect()
}

fn tags(index: &[u8]) -> Vec<(String, String)> {
    listed(index).into_iter().map(|(tag, name, _)| (tag, name)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(tag, name)| ((*tag).to_owned(), (*name).to_owned())).collect()
}

fn archived(work: &Workdir, archive: &str) -> Vec<u8> {
    TarFile::open(std::fs::File::open(work.path(archive)).unwrap()).unwrap().document("index.json", 1 << 20).unwrap()
}

/// They became `latest`.
#[test]
fn a_tag_survives_from_layout_to_layout() {
    let work = prepared();
    let digest = listed(&work.read("from/index.json"))[0].2.clone();
    let export = |source: &str, output: &str| work.ok(&["export", "--no-store", source, "-o", output]);
    export("oci:from:v1", "type=oci,name=*,tar=false,dest=to");
    assert_eq!(listed(&work.read("to/index.json")), [("v1".to_owned(), String::new(), digest.clone())]);
    export("oci:from:stable", "type=oci,name=*?,tar=false,dest=to");
    assert_eq!(tags(&work.read("to/index.json")), pairs(&[("v1", ""), ("stable", "")]));
    export("oci:from:v1", "type=oci,name=*,dest=to.tar");
    assert_eq!(listed(&archived(&work, "to.tar")), [("v1".to_owned(), String::new(), digest)]);
    export("oci-archive:to.tar:v1", "type=oci,name=*,tar=false,dest=back");
    assert_eq!(tags(&work.read("back/index.json")), pairs(&[("v1", "")]));
    work.ok(&["verify", "oci:back:v1"]);
}

#[test]
fn all_tags_and_names_of_all_images_are_taken() {
    let work = prepared();
    work.ok(&["export", "--no-store", "oci:from", "-o", "type=oci,name=*,dest=all.tar"]);
    let expected = pairs(&[("2", "r.example/app:2"), ("v1", ""), ("stable", ""), ("tool", "")]);
    assert_eq!(tags(&archived(&work, "all.tar")), expected);
    let planned = work.ok(&["export", "oci:from", "--dry-run", "-o", "type=oci,name=*,dest=x.tar"]).stdout;
    let planned = String::from_utf8(planned).unwrap();
    assert!(planned.contains("image r.example/app:2, tag v1, tag stable: sha256:"), "{planned}");
    // A platform of an image is tagged as the image was.
    work.ok(&[
        "export",
        "--no-store",
        "oci-archive:all.tar:tool",
        "--env",
        "A=1",
        "-o",
        "type=oci,name=*,tar=false,dest=to",
    ]);
    assert_eq!(tags(&work.read("to/index.json")), pairs(&[("tool", "")]));
}

#[test]
fn given_names_and_none_leave_tags_out() {
    let work = prepared();
    for (name, expected) in [("", ("latest", "")), ("name=r.example/x:1,", ("1", "r.example/x:1"))] {
        let dest = format!("to-{}", expected.0);
        work.ok(&["export", "--no-store", "oci:from:v1", "-o", &format!("type=oci,{name}tar=false,dest={dest}")]);
        assert_eq!(tags(&work.read(&format!("{dest}/index.json"))), pairs(&[expected]));
    }
    work.ok(&["export", "--no-store", "oci:from:v1", "-o", "type=oci,dest=to.tar"]);
    assert_eq!(tags(&archived(&work, "to.tar")), pairs(&[("", "")]));
}

#[test]
fn outputs_that_want_names_say_which_tag_there_is() {
    let work = prepared();
    for output in ["type=docker,name=*,dest=x.tar", "type=registry,name=*", "type=image,name=*"] {
        let ran = work.run(&["export", "oci:from:tool", "-o", output]);
        assert_eq!(ran.code, Some(2), "{output}: {}", ran.stderr);
        let expected = "name=*, but image 1 has only the tag `tool`, no name\nhint: write name=NAME:tool\n";
        assert!(ran.stderr.ends_with(expected), "{output}: {}", ran.stderr);
    }
    work.ok(&["export", "--no-store", "oci:from:tool", "-o", "type=docker,name=*?,dest=x.tar"]);
    work.ok(&["export", "--no-store", "oci:from:v1", "-o", "type=docker,name=r.example/app:v1,dest=x.tar"]);
}

#[test]
fn one_tag_of_two_images_is_refused() {
    let work = prepared();
    std::fs::rename(work.path("tool.oci"), work.path("other")).unwrap();
    let ran = work.run(&["export", "oci:app.oci", "oci:other", "-o", "type=oci,name=*,tar=false,dest=to"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("several images have the tag `latest` and would be one in a layout"), "{}", ran.stderr);
    assert!(!work.path("to").exists());
}
