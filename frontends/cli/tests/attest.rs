//! `--attest` and `--annotation`: what people say about an image, in its index.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_testkit::validate;
use run::Workdir;
use serde_json::{Value, json};

const SBOM: &str = r#"{"spdxVersion": "SPDX-2.3", "packages": []}"#;

fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("private-tree/file", "content");
    work.write("sbom.json", SBOM);
    work
}

fn document(work: &Workdir, digest: &Value) -> Value {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    serde_json::from_slice(&work.read(&format!("layout/blobs/sha256/{hex}"))).unwrap()
}

/// The index of the image in the layout, and the statements that each attestation manifest of it has.
fn index_and_statements(work: &Workdir) -> (Value, Vec<Vec<Value>>) {
    validate::layout_dir(&work.path("layout")).unwrap();
    let entry: Value = serde_json::from_slice(&work.read("layout/index.json")).unwrap();
    let index = document(work, &entry["manifests"][0]["digest"]);
    let listed = index["manifests"].as_array().unwrap().clone();
    let about = listed.iter().filter(|listed| listed["platform"]["os"] == "unknown");
    let statements = about.map(|listed| {
        let manifest = document(work, &listed["digest"]);
        manifest["layers"].as_array().unwrap().iter().map(|blob| document(work, &blob["digest"])).collect()
    });
    let statements = statements.collect();
    (index, statements)
}

/// Neither the values of variables, nor paths, nor the name of the machine are in the statements.
#[test]
fn an_export_is_attested_without_secrets() {
    let work = prepared();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let export = || {
        let _ = std::fs::remove_dir_all(work.path("layout"));
        work.ok(&[
            "export",
            "rootfs:private-tree",
            "--env",
            "TOKEN=hunter2",
            "--label",
            "key=confidential",
            "--owner",
            "0:0",
            "--attest",
            "type=provenance,mode=max,builder-id=https://ci.example.com/7",
            "--attest",
            "type=sbom,file=sbom.json",
            "--annotation",
            "index:Team=a,b",
            "-o",
            "type=oci,tar=false,name=app:1,compression=zstd,dest=layout",
        ]);
        index_and_statements(&work)
    };
    let (index, statements) = export();
    assert_eq!(index["annotations"], json!({"Team": "a,b"}));
    let [sbom, provenance] = &statements[0][..] else { panic!("{statements:?}") };
    assert_eq!(sbom["predicate"], serde_json::from_str::<Value>(SBOM).unwrap());
    let definition = &provenance["predicate"]["buildDefinition"];
    let expected = json!({
        "sources": ["rootfs"], "owner": "0:0", "env": ["TOKEN"], "labels": ["key"], "output": {"compression": "zstd"},
    });
    assert_eq!(definition["externalParameters"], expected);
    assert_eq!(provenance["predicate"]["runDetails"]["builder"]["id"], "https://ci.example.com/7");
    let manifest = document(&work, &index["manifests"][0]["digest"]);
    let config = document(&work, &manifest["config"]["digest"]);
    let diff_id = config["rootfs"]["diff_ids"][0].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert_eq!(definition["resolvedDependencies"], json!([{"digest": {"sha256": diff_id}, "name": "layer 1"}]));
    let text = provenance.to_string();
    for secret in ["hunter2", "confidential", "private-tree", host.trim(), work.root().to_str().unwrap()] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert_eq!(export(), (index, statements), "another run says something else");
}

/// The source is named by the digest that it had, and its manifest stays.
#[test]
fn an_image_that_exists_is_attested() {
    let work = prepared();
    work.ok(&["export", "rootfs:private-tree", "-o", "type=image,name=example.com/team/app:1"]);
    let ids = work.ok(&["inspect", "image:example.com/team/app:1"]);
    work.ok(&[
        "export",
        "image:example.com/team/app:1",
        "--attest",
        "type=provenance",
        "-o",
        "type=oci,tar=false,name=*,dest=layout",
    ]);
    let (index, statements) = index_and_statements(&work);
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    assert!(String::from_utf8(ids.stdout).unwrap().contains(digest), "its manifest is another one");
    let hex = digest.strip_prefix("sha256:").unwrap();
    let statement = &statements[0][0];
    let uri = "pkg:docker/example.com/team/app@1";
    let dependency = json!({"uri": uri, "digest": {"sha256": hex}, "name": "source"});
    assert_eq!(statement["predicate"]["buildDefinition"]["resolvedDependencies"], json!([dependency]));
    let subject = json!({"name": format!("{uri}?platform=linux%2F{}", goarch()), "digest": {"sha256": hex}});
    assert_eq!(statement["subject"], json!([subject]));
    // An index that is there for attestations alone is no reason for a directory of the platform.
    work.ok(&["export", "oci:layout", "-o", "plain"]);
    assert_eq!(work.read("plain/file"), b"content");
    // What was attested is unpacked and verified as before.
    work.ok(&["verify", "oci:layout"]);
    work.ok(&["export", "oci:layout", "-o", "type=image,name=again"]);
    work.ok(&["unpack", "again", "--to", "out"]);
    assert_eq!(work.read("out/file"), b"content");
}

fn goarch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The first of several counted, and that of the output was kept; buildx has it the other way round.
#[test]
fn the_last_annotation_replaces_that_of_the_output() {
    let work = prepared();
    let export = |annotations: &[&str], outputs: &[&str]| {
        let _ = std::fs::remove_dir_all(work.path("layout"));
        let mut arguments = vec!["export", "rootfs:private-tree"];
        arguments.extend(annotations.iter().flat_map(|text| ["--annotation", text]));
        arguments.extend(outputs.iter().flat_map(|text| ["-o", text]));
        let ran = work.run(&arguments);
        if ran.code != Some(0) {
            return Err(ran.stderr);
        }
        let entry: Value = serde_json::from_slice(&work.read("layout/index.json")).unwrap();
        Ok(document(&work, &entry["manifests"][0]["digest"])["annotations"].clone())
    };
    let layout = "type=oci,tar=false,dest=layout";
    let annotated = |options: &str| format!("{layout},{options}");
    assert_eq!(export(&["a=1", "a=2"], &[layout]).unwrap(), json!({"a": "2"}));
    assert_eq!(
        export(&["a=cli"], &[&annotated("annotation.a=out,annotation.b=out")]).unwrap(),
        json!({"a": "cli", "b": "out"})
    );
    assert_eq!(export(&["a=cli"], &[&annotated("annotation-manifest.a=out")]).unwrap(), json!({"a": "cli"}));
    // Files have no annotations: beside an image they are written as ever.
    assert_eq!(
        export(&["a=1"], &[layout, "type=local,dest=files", "type=tar,dest=files.tar"]).unwrap(),
        json!({"a": "1"})
    );
    assert_eq!(work.read("files/file"), b"content");
    let refused = export(&["a=1"], &["type=local,dest=more", "type=tar,dest=more.tar"]).unwrap_err();
    assert!(refused.contains("--annotation has no effect on type=local and type=tar"), "{refused}");
}

#[test]
fn mistakes_are_said_before_anything_is_written() {
    let work = prepared();
    work.write("empty.json", "{}");
    for (flags, expected) in [
        (["--attest", "type=sbom,file=missing.json"], "cannot use attestation missing.json"),
        (["--attest", "type=sbom,file=empty.json"], "it is neither an SPDX nor a CycloneDX document"),
        (["--attest", "type=sbom,file=private-tree"], "not a regular file"),
        (["--attest", "type=sbom"], "--attest without a file"),
        (["--attest", "type=sbom,file=sbom.json,platform=linux/s390x"], "no platform linux/s390x found in source"),
        (["--annotation", "layer:a=b"], "has the unknown type `layer`"),
        (["--annotation", "index:a=b"], "index annotations not supported for single platform export"),
    ] {
        let mut arguments = vec!["export", "rootfs:private-tree", "-o", "type=oci,dest=out.tar"];
        arguments.extend(flags);
        let ran = work.run(&arguments);
        assert!(ran.code != Some(0) && ran.stderr.contains(expected), "{flags:?}: {}", ran.stderr);
        assert!(!work.path("out.tar").exists());
    }
}
