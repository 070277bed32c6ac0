//! Images in files: exported as they are, built upon, inspected and verified.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::io::Write;
use std::process::Stdio;

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::oci::{Digest, History, ImageConfig, Platform};
use longshore_testkit::sample::{TarOptions, tar_bytes};
use longshore_testkit::validate::{self, ValidatedImage};
use run::Workdir;
use serde_json::{Value, json};

/// A directory with `app:1` for two platforms in every form: `layout`, `oci.tar`, `docker.tar`.
fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("arm/app", "arm");
    work.write("amd/app", "amd");
    work.write("etc/app.conf", "conf");
    let outputs = [
        "type=oci,name=app:1,tar=false,dest=layout",
        "type=oci,name=app:1,dest=oci.tar",
        "type=docker,name=app:1,platform=linux/amd64,dest=docker.tar",
    ];
    let sources = ["export", "linux/arm64=rootfs:arm", "linux/amd64=rootfs:amd", "--label", "a=b"];
    work.ok(&[&sources[..], &["-o", outputs[0], "-o", outputs[1], "-o", outputs[2]]].concat());
    work
}

fn images(work: &Workdir, archive: &str) -> Vec<ValidatedImage> {
    validate::layout_tar(&work.path(archive)).unwrap().images
}

#[test]
fn an_image_that_is_exported_as_it_is_keeps_its_digest() {
    let work = prepared();
    let before = images(&work, "oci.tar");
    let gzip = Encoding::new(Algorithm::Gzip, None).unwrap();
    let zstd = Encoding::new(Algorithm::Zstd, None).unwrap();
    work.write("oci.tar.gz", gzip.encode(&work.read("oci.tar")).unwrap());
    work.write("docker.tar.zst", zstd.encode(&work.read("docker.tar")).unwrap());
    let sources = [
        "oci:layout",
        "oci:layout:1",
        "oci:layout:app:1",
        "oci-archive:oci.tar",
        "oci-archive:oci.tar:docker.io/library/app:1",
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:app:1",
        "oci-archive:oci.tar.gz",
        "docker-archive:docker.tar.zst",
    ];
    for source in sources {
        work.ok(&[
            "export",
            source,
            "-o",
            "type=oci,name=*,dest=again.tar",
            "-o",
            "type=docker,name=*,platform=linux/amd64,dest=again.docker",
        ]);
        assert!(work.read("again.tar") == work.read("oci.tar"), "{source}");
        assert!(work.read("again.docker") == work.read("docker.tar"), "{source}");
    }
    assert_eq!(before.len(), 2);
}

#[test]
fn compression_that_changes_nothing_says_so() {
    let work = prepared();
    let ran = work.ok(&["export", "oci:layout", "-o", "type=oci,dest=a.tar,compression=zstd"]);
    assert!(ran.stderr.contains("compression=zstd needs force-compression=true"), "{}", ran.stderr);
    let forced = "type=oci,dest=a.tar,compression=zstd,force-compression=true";
    let ran = work.ok(&["export", "oci:layout", "-o", forced]);
    assert!(!ran.stderr.contains("needs force-compression"), "{}", ran.stderr);
    assert!(images(&work, "a.tar")[0].layers[0].media_type.as_str().ends_with("+zstd"));
}

#[test]
fn an_archive_on_standard_input() {
    let work = prepared();
    let mut command = work.command(&["export", "oci-archive:-:app:1", "-o", "type=oci,name=*,dest=again.tar"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&work.read("oci.tar")).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(work.read("again.tar") == work.read("oci.tar"));
}

#[test]
fn layers_and_flags_on_top_make_a_new_image_of_the_old_layers() {
    let work = prepared();
    let base = images(&work, "oci.tar");
    let flags = ["--layer", "etc:/etc", "--env", "A=1", "--platform", "linux/arm64"];
    for source in ["oci:layout", "docker-archive:docker.tar"] {
        work.ok(&[&["export", source, "-o", "type=oci,name=app:2,dest=new.tar,compression=zstd"], &flags[..]].concat());
        let new = images(&work, "new.tar");
        assert_eq!((new.len(), new[0].layers.len(), new[0].platform.to_string().as_str()), (1, 2, "linux/arm64"));
        assert_eq!(new[0].layers[0], base[0].layers[0], "the base stays as it is, gzip and all");
        assert!(new[0].layers[1].media_type.as_str().ends_with("+zstd"));
        work.ok(&["export", "oci-archive:new.tar", "-o", "type=oci,dest=new,tar=false,name=new:1"]);
        let config: Value =
            serde_json::from_slice(&work.read(&format!("new/{}", new[0].config.layout_path()))).unwrap();
        let steps: Vec<_> =
            config["history"].as_array().unwrap().iter().map(|step| step["created_by"].clone()).collect();
        assert_eq!(steps, [json!("rootfs"), json!("layer /etc")]);
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(config["config"], json!({"Env": [path, "A=1"], "WorkingDir": "/", "Labels": {"a": "b"}}));
    }
}

#[test]
fn a_layer_on_several_platforms_goes_on_that_of_this_machine() {
    let work = prepared();
    let other = if Platform::host() == Platform::new("linux", "amd64", None) { "arm64" } else { "amd64" };
    let known = ["amd64", "arm64"].contains(&Platform::host().architecture.as_str());
    let ran = work.run(&["export", "oci:layout", "--layer", "etc", "-o", "type=oci,dest=new.tar"]);
    if known {
        assert_eq!(images(&work, "new.tar")[0].platform, Platform::host());
    } else {
        assert!(ran.stderr.contains("no image for platform"), "{}", ran.stderr);
    }
    let ran = work.run(&["export", "oci:layout", "--platform", "linux/s390x", "-o", "type=oci,dest=x.tar"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains(&format!("linux/{other}")), "{}", ran.stderr);
}

/// An index as `podman push --add-compression` writes it. Flags that change the image dropped one of two in silence.
#[test]
fn of_one_platform_twice_the_first_is_kept_and_a_warning_names_both() {
    let work = prepared();
    let output = "type=oci,name=zstd:1,dest=layout,tar=false,compression=zstd";
    work.ok(&["export", "linux/arm64=rootfs:arm", "--label", "a=b", "-o", output]);
    let entries: Value = serde_json::from_slice(&work.read("layout/index.json")).unwrap();
    let entries = entries["manifests"].as_array().unwrap();
    let path =
        |digest: &Value| format!("layout/blobs/sha256/{}", digest.as_str().unwrap().trim_start_matches("sha256:"));
    let mut index: Value = serde_json::from_slice(&work.read(&path(&entries[0]["digest"]))).unwrap();
    let mut second = entries[1].clone();
    second["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let listed = index["manifests"].as_array_mut().unwrap();
    listed.push(second.clone());
    let first = listed.iter().find(|entry| entry["platform"]["architecture"] == "arm64").unwrap().clone();
    let index = index.to_string();
    let digest = Digest::of(index.as_bytes());
    work.write(&path(&json!(digest)), &index);
    let entry = json!({"mediaType": entries[0]["mediaType"], "digest": digest, "size": index.len()});
    std::fs::remove_file(work.path("layout/index.json")).unwrap();
    work.write("layout/index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string());
    let [first, second] = [&first, &second].map(|entry| entry["digest"].as_str().unwrap());

    let ran = work.ok(&["export", "oci:layout", "--env", "A=1", "-o", "type=oci,dest=new.tar"]);
    let expected = format!("{digest}: skipped {second}: the index already lists {first} for linux/arm64/v8");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    let new = images(&work, "new.tar");
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|image| image.layers[0].media_type.as_str().ends_with("+gzip")));
    let ran = work.ok(&["export", "oci:layout", "--platform", "linux/arm64", "-o", "type=oci,dest=arm.tar"]);
    let expected = format!("{digest} lists 2 images for linux/arm64: using the first, {first}");
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    assert_eq!(images(&work, "arm.tar")[0].manifest.to_string(), first);
}

/// Docker loads such images, and lists no layers where it makes an image that has none.
#[test]
fn an_image_without_history_keeps_its_id_in_every_format() {
    let layer = tar_bytes(1, TarOptions { files: 1, ..TarOptions::default() });
    let layers = [format!(r#","diff_ids":["{}"]"#, Digest::of(&layer)), String::new()];
    for (layers, outputs) in layers.iter().zip([&["combined", "legacy"][..], &["combined"]]) {
        let config = format!(r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers"{layers}}}}}"#);
        let id = Digest::of(config.as_bytes());
        let files: &[&str] = if layers.is_empty() { &[] } else { &["layer.tar"] };
        let manifest = json!([{ "Config": "config.json", "RepoTags": ["app:1"], "Layers": files }]).to_string();
        let mut tar = Writer::new(Vec::new());
        for (path, data) in
            [("layer.tar", &layer[..]), ("config.json", config.as_bytes()), ("manifest.json", manifest.as_bytes())]
        {
            tar.append(&Entry::file(path, 0o644, data.len() as u64), &mut &data[..]).unwrap();
        }
        let work = Workdir::new();
        work.write("old.tar", tar.finish().unwrap());
        for format in outputs {
            let output = format!(
                "type=docker,format={format},compression=uncompressed,force-compression=true,name=*,dest=new.tar"
            );
            work.ok(&["export", "docker-archive:old.tar", "-o", &output, "--metadata-file", "metadata.json"]);
            let metadata: Value = serde_json::from_slice(&work.read("metadata.json")).unwrap();
            assert_eq!(
                metadata["longshore.outputs"][0]["images"][0]["config"],
                id.to_string(),
                "{format}: {metadata:#}"
            );
        }
    }
}

/// A tarball as `docker save` wrote it before it wrote OCI layouts, with a link to a shared layer.
fn legacy(tamper: impl Fn(&mut Vec<(Entry, Vec<u8>)>)) -> Vec<u8> {
    let layers = [1, 2].map(|seed| tar_bytes(seed, TarOptions { files: 3, ..TarOptions::default() }));
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64", None));
    config.set_diff_ids([&layers[0], &layers[1], &layers[0]].map(|layer| Digest::of(layer)).to_vec());
    config.set_history(&[1, 2, 3].map(|step| History { comment: Some(step.to_string()), ..History::default() }));
    let config = config.to_bytes().unwrap();
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let manifest = json!([{
        "Config": config_name, "RepoTags": ["app:1", "example.com/app:2"],
        "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"], "Parent": "ignored",
    }]);
    let file = |path: &str, data: &[u8]| (Entry::file(path, 0o644, data.len() as u64), data.to_vec());
    let link = Entry { link: b"../a/layer.tar".to_vec(), ..Entry::new("c/layer.tar", EntryKind::Symlink, 0o777) };
    let mut entries = vec![
        file("a/VERSION", b"1.0"),
        file("a/layer.tar", &layers[0]),
        file("b/layer.tar", &layers[1]),
        (link, Vec::new()),
        file(&config_name, &config),
        file("manifest.json", manifest.to_string().as_bytes()),
    ];
    tamper(&mut entries);
    let mut tar = Writer::new(Vec::new());
    for (entry, data) in &entries {
        let entry = Entry { size: data.len() as u64, ..entry.clone() };
        tar.append(&entry, &mut &data[..]).unwrap();
    }
    tar.finish().unwrap()
}

#[test]
fn a_tarball_of_the_old_docker_save() {
    let work = Workdir::new();
    work.write("legacy.tar", legacy(|_| {}));
    work.ok(&["verify", "docker-archive:legacy.tar"]);
    work.ok(&["export", "docker-archive:legacy.tar:example.com/app:2", "-o", "type=oci,name=*,dest=as-is.tar"]);
    let found = images(&work, "as-is.tar");
    assert_eq!((found.len(), found[0].names.len()), (1, 2), "one image with two names");
    assert_eq!(found[0].layers.len(), 3);
    assert!(found[0].layers.iter().all(|layer| layer.digest == layer.diff_id), "layers are what they are");
    work.ok(&["export", "docker-archive:legacy.tar", "-o", "type=oci,dest=gzip.tar,force-compression=true"]);
    let gzip = &images(&work, "gzip.tar")[0];
    assert!(gzip.layers.iter().all(|layer| layer.media_type.as_str().ends_with("+gzip")));
    assert_eq!(gzip.layers[0], gzip.layers[2]);
}

#[test]
fn what_is_wrong_with_an_archive_is_said() {
    let work = Workdir::new();
    let replace = |entries: &mut Vec<(Entry, Vec<u8>)>, name: &str, data: &[u8]| {
        let (_, content) = entries.iter_mut().find(|(entry, _)| entry.display() == name).unwrap();
        *content = data.to_vec();
    };
    work.write("null.tar", legacy(|entries| replace(entries, "manifest.json", b"null")));
    work.write("none.tar", legacy(|entries| entries.truncate(5)));
    work.write("missing.tar", legacy(|entries| drop(entries.remove(2))));
    work.write("outside.tar", legacy(|entries| entries[3].0.link = b"../../../etc/passwd".to_vec()));
    work.write("twice.tar", legacy(|entries| entries.push(entries[1].clone())));
    work.write("config.tar", legacy(|entries| entries[4].1 = entries[4].1.iter().chain(b" ").copied().collect()));
    work.write("layer.tar", legacy(|entries| entries[2].1[10] ^= 1));
    work.write("text", "not an archive");
    std::fs::create_dir(work.path("empty")).unwrap();
    for (source, expected) in [
        ("docker-archive:null.tar", "`manifest.json` is `null`"),
        ("docker-archive:none.tar", "neither a Docker tarball nor an OCI layout"),
        ("docker-archive:missing.tar", "`b/layer.tar` is not in the archive"),
        ("docker-archive:outside.tar", "is outside the archive"),
        ("docker-archive:twice.tar", "has the path of an earlier entry"),
        ("docker-archive:config.tar", "has the digest"),
        ("docker-archive:layer.tar", "has the digest"),
        ("docker-archive:text", "not a tar archive: it ends early, after 14 of 512 bytes"),
        ("docker-archive:missing", "no such file or directory"),
        ("oci-archive:null.tar", "not an OCI image layout: it has no `oci-layout`"),
        ("oci:empty", "not an OCI image layout: it has no `oci-layout`"),
        ("oci-archive:empty", "for a layout in a directory write oci:DIR"),
        ("oci:", "`oci` without a path"),
    ] {
        let before = work.names();
        let ran = work.run(&["export", source, "-o", "type=oci,dest=out.tar"]);
        assert_ne!(ran.code, Some(0), "{source}");
        assert!(ran.stderr.contains(expected), "{source}: {expected}\n{}", ran.stderr);
        assert_eq!(work.names(), before, "{source}");
    }
    let prepared = prepared();
    let ran = prepared.run(&["export", "oci:layout:other", "-o", "type=oci,dest=out.tar"]);
    let hint = "`other` is not in the layout\nhint: it has docker.io/library/app:1\n";
    assert!(ran.stderr.contains(hint), "{}", ran.stderr);
}

#[test]
fn inspect_says_what_an_image_consists_of() {
    let work = prepared();
    let text = |flags: &[&str]| {
        let ran = work.ok(&[&["inspect", "oci:layout"], flags].concat());
        String::from_utf8(ran.stdout).unwrap()
    };
    let (short, long) = (text(&[]), text(&["--files"]));
    for expected in ["image docker.io/library/app:1\n", "linux/arm64  sha256:", "Labels {\"a\":\"b\"}", " B gzip"] {
        assert!(short.contains(expected) && long.contains(expected), "{expected}\n{short}\n{long}");
    }
    for expected in ["1 file of 3 B", "3 B  app\n"] {
        assert!(long.contains(expected) && !short.contains(expected), "{expected}\n{short}\n{long}");
    }
    let expected = images(&work, "docker.tar");
    for flags in [&["--json"][..], &["--json", "--files"]] {
        let ran = work.ok(&[&["inspect", "docker-archive:docker.tar"], flags].concat());
        let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let manifests = found[0]["image"]["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 2);
        for (manifest, expected) in manifests.iter().zip(&expected) {
            assert_eq!(manifest["digest"], json!(expected.manifest));
            assert_eq!(manifest["image"]["os"], "linux");
            let layer = manifest["layers"][0].as_object().unwrap();
            assert_eq!(layer["diffId"], json!(expected.layers[0].diff_id));
            let biggest = (flags.len() > 1).then(|| json!([{"path": "app", "size": 3}]));
            assert_eq!(layer.get("biggest"), biggest.as_ref());
            assert_eq!(layer.contains_key("files"), flags.len() > 1);
        }
    }
}

/// Images in registries were fetched whole to show their configuration.
#[test]
fn inspect_reads_no_layer_without_files() {
    let work = prepared();
    for image in images(&work, "oci.tar") {
        for layer in &image.layers {
            let blob = work.path(&format!("layout/{}", layer.digest.layout_path()));
            if blob.exists() {
                std::fs::remove_file(blob).unwrap();
            }
        }
    }
    work.ok(&["inspect", "oci:layout"]);
    let ran = work.run(&["inspect", "oci:layout", "--files"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("cannot read layer sha256:"), "{}", ran.stderr);
}

#[test]
fn verify_lists_all_that_is_wrong() {
    let work = prepared();
    for source in ["oci:layout", "oci-archive:oci.tar", "docker-archive:docker.tar"] {
        let ran = work.ok(&["verify", source]);
        assert!(String::from_utf8(ran.stdout).unwrap().starts_with("ok sha256:"), "{source}");
    }
    let found = images(&work, "oci.tar");
    let blob = |digest: &Digest| format!("layout/{}", digest.layout_path());
    let mut layer = work.read(&blob(&found[0].layers[0].digest));
    let end = layer.len() - 20;
    layer[end] ^= 1;
    let tampered = blob(&found[0].layers[0].digest);
    std::fs::remove_file(work.path(&tampered)).unwrap();
    work.write(&tampered, layer);
    std::fs::remove_file(work.path(&blob(&found[1].layers[0].digest))).unwrap();
    let ran = work.run(&["verify", "oci:layout"]);
    let list = String::from_utf8(ran.stdout).unwrap();
    assert_eq!((ran.code, list.lines().count()), (Some(1), 2), "{list}");
    assert!(list.contains(&format!("blob {} is not in the layout", found[1].layers[0].digest)), "{list}");
    assert!(ran.stderr.starts_with("error: oci:layout: 2 problems\n"), "{}", ran.stderr);
}

/// For every compression: a diffID that the configuration gets wrong.
#[test]
fn verify_checks_diff_ids_in_every_compression() {
    for compression in ["gzip", "zstd", "uncompressed"] {
        let work = Workdir::new();
        work.write("tree/file", "content");
        work.ok(&["export", "rootfs:tree", "-o", &format!("type=oci,tar=false,dest=layout,compression={compression}")]);
        let found = validate::layout_dir(&work.path("layout")).unwrap().images;
        let replace = |path: &str, from: &str, to: &str| {
            let text = String::from_utf8(work.read(path)).unwrap().replace(from, to);
            std::fs::remove_file(work.path(path)).unwrap();
            let path = format!("layout/{}", Digest::of(text.as_bytes()).layout_path());
            work.write(&path, &text);
            (Digest::of(text.as_bytes()).to_string(), text.len())
        };
        let other = Digest::of(b"another layer").to_string();
        let at = |digest: &Digest| format!("layout/{}", digest.layout_path());
        let (config, _) = replace(&at(&found[0].config), &found[0].layers[0].diff_id.to_string(), &other);
        let (manifest, _) = replace(&at(&found[0].manifest), &found[0].config.to_string(), &config);
        let index = String::from_utf8(work.read("layout/index.json")).unwrap();
        work.write("layout/index.json", index.replace(&found[0].manifest.to_string(), &manifest));
        let ran = work.run(&["verify", "oci:layout"]);
        let list = String::from_utf8(ran.stdout).unwrap();
        let expected = format!("layer {} has the diffID", found[0].layers[0].digest);
        assert!(ran.code == Some(1) && list.starts_with(&expected), "{compression}: {list}");
    }
}
