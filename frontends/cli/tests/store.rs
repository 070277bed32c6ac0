//! The image store, through the command: names, reuse, collection, and many processes at once.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "store/addresses.rs"]
mod addresses;
#[path = "store/others.rs"]
mod others;
#[path = "store/processes.rs"]
mod processes;
mod run;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::content::{ImageStore, copy};
use longshore_core::image::Graph;
use longshore_core::oci::{Descriptor, Digest, History, ImageConfig, MediaType, Platform};
use longshore_core::{Cancel, Work};
use longshore_store::EmbeddedStore;
use longshore_testkit::sample::{Random, TarOptions, tar_bytes};
use longshore_testkit::validate;
use run::Workdir;
use serde_json::{Value, json};

fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("tree/bin/app", "app");
    work.write("tree/etc/conf", "conf");
    work.write("etc/more", "more");
    work
}

fn stdout(work: &Workdir, arguments: &[&str]) -> String {
    String::from_utf8(work.ok(arguments).stdout).unwrap()
}

/// Every image of the store is whole.
fn assert_whole(work: &Workdir) -> usize {
    let store = EmbeddedStore::open(work.store()).unwrap();
    let images = store.images().unwrap();
    for (name, image) in &images {
        let graph = Graph::at(&image.root, &store, &Work::default()).walk().unwrap();
        for blob in graph.blobs {
            let copied = copy(&store, &blob.descriptor, &mut std::io::sink(), &Cancel::default(), None);
            copied.unwrap_or_else(|error| panic!("{name}: {}", error.with_causes()));
        }
    }
    images.len()
}

#[test]
fn an_image_comes_out_as_it_went_in_and_nothing_is_made_again() {
    for compression in ["gzip", "zstd", "uncompressed"] {
        let work = prepared();
        let option = format!("compression={compression}");
        work.ok(&["export", "rootfs:tree", "--layer", "etc:/etc", "-o", &format!("type=image,name=app:1,{option}")]);
        work.ok(&[
            "export",
            "rootfs:tree",
            "--layer",
            "etc:/etc",
            "-o",
            &format!("type=oci,name=app:1,dest=a.tar,{option}"),
        ]);
        let ran = work.ok(&["export", "image:app:1", "--progress=plain", "-o", "type=oci,name=*,dest=b.tar"]);
        assert!(work.read("a.tar") == work.read("b.tar"), "{compression}");
        assert!(!ran.stderr.contains("layer "), "a layer was made again: {}", ran.stderr);
        let listed: Value = serde_json::from_str(&stdout(&work, &["images", "--json"])).unwrap();
        let written = &validate::layout_tar(&work.path("b.tar")).unwrap().images[0];
        assert_eq!(listed[0]["root"]["digest"], json!(written.manifest));
        assert_eq!(listed[0]["platforms"], json!([Platform::host().to_string()]));
        work.ok(&["verify", "image:app:1"]);
        work.ok(&["inspect", "image:app:1"]);
    }
}

#[test]
fn a_base_in_the_store_is_built_upon() {
    let work = prepared();
    work.ok(&["export", "rootfs:tree", "-o", "type=image,name=base:1"]);
    work.ok(&["export", "image:base:1", "--layer", "etc:/etc", "--env", "A=1", "-o", "type=image,name=app:1"]);
    work.ok(&["export", "image:app:1", "-o", "type=oci,dest=a.tar"]);
    work.ok(&["export", "image:base:1", "-o", "type=oci,dest=base.tar"]);
    let [app, base] =
        ["a.tar", "base.tar"].map(|file| validate::layout_tar(&work.path(file)).unwrap().images.remove(0));
    assert_eq!((app.layers.len(), &app.layers[0]), (2, &base.layers[0]));
}

/// What is recompressed is looked for first, and found only if it was made here.
#[test]
fn layers_that_were_made_before_are_taken_and_foreign_ones_are_not() {
    let layer = tar_bytes(1, TarOptions::default());
    // The same tar stream in smaller members than ours: another gzip of the same layer.
    let gzip = Encoding::new(Algorithm::Gzip, None).unwrap();
    let foreign: Vec<u8> = layer.chunks(1000).flat_map(|chunk| gzip.encode(chunk).unwrap()).collect();
    let mut config = ImageConfig::new(&Platform::host());
    config.set_diff_ids(vec![Digest::of(&layer)]);
    config.set_history(&[History::default()]);
    let config = config.to_bytes().unwrap();
    let work = prepared();
    let blob = |media_type: MediaType, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        work.write(&format!("foreign/{}", descriptor.digest.layout_path()), bytes);
        descriptor
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::MANIFEST, "config": blob(MediaType::CONFIG, &config),
        "layers": [blob(MediaType::layer(Algorithm::Gzip), &foreign)],
    });
    let root = blob(MediaType::MANIFEST, manifest.to_string().as_bytes());
    work.write("foreign/index.json", json!({"schemaVersion": 2, "manifests": [root]}).to_string());
    work.write("foreign/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let out = |name: &str| validate::layout_tar(&work.path(name)).unwrap().images.remove(0);

    // Without anything in the store, and with the foreign layer in it.
    work.write("layer.tar", &layer);
    let forced = "type=oci,force-compression=true,dest=";
    work.ok(&["export", "oci:foreign", "--no-store", "-o", &format!("{forced}fresh.tar")]);
    work.ok(&["import", "foreign", "--name", "foreign:1"]);
    work.ok(&["export", "image:foreign:1", "-o", &format!("{forced}a.tar")]);
    assert!(work.read("a.tar") == work.read("fresh.tar"), "what the store holds changed a digest");
    assert_ne!(out("a.tar").layers[0].digest, Digest::of(&foreign));
    work.ok(&["export", "scratch", "--layer", "layer.tar", "-o", "type=oci,dest=layer-a.tar"]);
    work.ok(&["export", "scratch", "--layer", "layer.tar", "--no-store", "-o", "type=oci,dest=layer-b.tar"]);
    assert!(work.read("layer-a.tar") == work.read("layer-b.tar"), "what the store holds changed a digest");

    // Again: the layer was made here by now.
    let ran = work.ok(&["export", "image:foreign:1", "--progress=plain", "-o", &format!("{forced}b.tar")]);
    assert!(ran.stderr.contains("made before"), "{}", ran.stderr);
    assert!(work.read("b.tar") == work.read("fresh.tar"));
    // As it is, it keeps the layer that it came with.
    work.ok(&["export", "image:foreign:1", "-o", "type=oci,dest=c.tar"]);
    assert_eq!(out("c.tar").layers[0].digest, Digest::of(&foreign));
}

#[test]
fn names_are_listed_added_and_taken_away() {
    let work = prepared();
    assert_eq!(stdout(&work, &["images", "--quiet"]), "");
    work.ok(&["export", "rootfs:tree", "-o", "type=image,name=b:1"]);
    work.ok(&["export", "rootfs:etc", "-o", "type=image,name=a:1"]);
    let tagged = stdout(&work, &["tag", "b:1", "c:1", "example.com/d"]);
    assert!(tagged.starts_with("docker.io/library/c:1 sha256:") && tagged.lines().count() == 2, "{tagged}");
    let quiet = stdout(&work, &["images", "-q"]);
    assert_eq!(
        quiet.lines().collect::<Vec<_>>(),
        ["docker.io/library/a:1", "docker.io/library/b:1", "docker.io/library/c:1", "example.com/d:latest"]
    );
    let table = stdout(&work, &["images"]);
    assert!(table.starts_with("NAME                   DIGEST               SIZE"), "{table}");
    let moved = stdout(&work, &["tag", "a:1", "b:1"]);
    assert!(moved.starts_with("docker.io/library/b:1 sha256:") && moved.contains(" (was sha256:"), "{moved}");

    let ran = work.run(&["rm", "a:1", "nobody:1"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.starts_with("error: no names were removed\n  caused by: image docker.io/library/nobody:1 is not")
    );
    let ran = work.run(&["tag", "nobody:1", "x:1"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("nobody:1 is not in the store"), "{}", ran.stderr);
    let ran = work.run(&["export", "image:bb:1", "-o", "type=oci,dest=x.tar"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("hint: did you mean b:1?"), "{}", ran.stderr);
    assert_eq!(stdout(&work, &["images", "-q"]), quiet, "nothing changed");

    assert_eq!(stdout(&work, &["prune"]), "removed 0 blobs, 0 B in total\n");
    work.ok(&["rm", "a:1", "b:1", "c:1", "example.com/d"]);
    let dry = stdout(&work, &["prune", "--dry-run"]);
    assert_eq!(dry.lines().count(), 7, "two images of three blobs: {dry}");
    assert_eq!(stdout(&work, &["prune"]), dry.replace("would remove", "removed"));
    assert!(stdout(&work, &["du"]).ends_with("total                0 blobs, 0 B\n"));
}

#[test]
fn keep_storage_keeps_what_was_made() {
    let work = prepared();
    work.write("tree/random", Random::new(1).bytes(100_000));
    work.ok(&["export", "rootfs:tree", "-o", "type=oci,dest=a.tar"]);
    let kept = stdout(&work, &["prune", "--keep-storage", "1MB"]);
    assert!(kept.contains("unused but kept: 1 blob"), "{kept}");
    let used: Value = serde_json::from_str(&stdout(&work, &["du", "--json"])).unwrap();
    assert_eq!((&used["usage"]["made"]["count"], &used["total"]["count"]), (&json!(1), &json!(1)));
    assert!(stdout(&work, &["prune"]).contains("removed 1 blob"));
    let ran = work.run(&["prune", "--keep-storage", "much"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn import_from_a_file_a_directory_and_a_pipe() {
    let work = prepared();
    let outputs = [
        "type=oci,name=app:1,dest=a.tar",
        "type=oci,name=app:1,dest=layout,tar=false",
        "type=docker,name=app:1,dest=d.tar",
    ];
    work.ok(&["export", "rootfs:tree", "--no-store", "-o", outputs[0], "-o", outputs[1], "-o", outputs[2]]);
    let digest = validate::layout_tar(&work.path("a.tar")).unwrap().images[0].manifest.to_string();
    let line = format!("docker.io/library/app:1 {digest}\n");
    for path in ["a.tar", "layout", "d.tar"] {
        assert_eq!(stdout(&work, &["import", path]), line);
        work.ok(&["rm", "app:1"]);
        work.ok(&["prune"]);
    }
    let mut child = work.command(&["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&work.read("a.tar")).unwrap();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), line);
    work.ok(&["export", "image:app:1", "-o", "type=oci,name=*,dest=b.tar"]);
    assert!(work.read("a.tar") == work.read("b.tar"));

    work.ok(&["export", "rootfs:etc", "--no-store", "-o", "type=oci,name=app:1,dest=other.tar"]);
    assert!(stdout(&work, &["import", "other.tar"]).contains(&format!("(was {digest})")));
    assert_eq!(stdout(&work, &["import", "a.tar", "--name", "mine:2"]), format!("docker.io/library/mine:2 {digest}\n"));
    for (arguments, code, expected) in [
        (&["import", "missing.tar"][..], 3, "cannot import missing.tar\n  caused by: no such file"),
        (&["import", "tree"], 3, "not an OCI image layout"),
        (&["import", "tree/bin/app"], 3, "cannot import tree/bin/app"),
        (&["import", "a.tar", "--name", "UPPER"], 2, "--name"),
    ] {
        let ran = work.run(arguments);
        assert!(
            ran.code == Some(code) && ran.stderr.contains(expected),
            "{arguments:?}: {:?} {}",
            ran.code,
            ran.stderr
        );
    }
}

/// An archive of one platform of several, as `ctr images export` writes it.
#[test]
fn a_platform_that_is_missing_is_listed_and_left_out() {
    let work = prepared();
    let source = ["export", "linux/arm64=rootfs:tree", "linux/amd64=rootfs:etc"];
    work.ok(&[&source[..], &["--no-store", "-o", "type=oci,name=app:1,dest=layout,tar=false"]].concat());
    let all = validate::layout_dir(&work.path("layout")).unwrap().images;
    let arm = all.iter().find(|image| image.platform.architecture == "arm64").unwrap();
    for digest in [&arm.manifest, &arm.config, &arm.layers[0].digest] {
        std::fs::remove_file(work.path(&format!("layout/{}", digest.layout_path()))).unwrap();
    }
    let not_there = format!("linux/arm64  {} is missing\n", arm.manifest);
    assert!(stdout(&work, &["import", "layout"]).ends_with(&format!("  {not_there}")));
    let verified = stdout(&work, &["verify", "image:app:1"]);
    assert!(verified.starts_with("ok sha256:") && verified.ends_with(&not_there), "{verified}");
    assert!(stdout(&work, &["inspect", "image:app:1"]).contains(&not_there));
    assert!(stdout(&work, &["verify", "oci:layout"]).ends_with(&not_there));
    work.ok(&["export", "image:app:1", "-o", "type=oci,name=*,dest=again,tar=false"]);
    let files = |layout: &str| -> BTreeSet<String> {
        let names = std::fs::read_dir(work.path(&format!("{layout}/blobs/sha256"))).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(files("again"), files("layout"));
    work.ok(&["export", "image:app:1", "--platform", "linux/amd64", "-o", "type=docker,dest=d.tar"]);
    let ran = work.run(&["export", "image:app:1", "--platform", "linux/arm64", "-o", "type=oci,dest=x.tar"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("is not in the store"), "{}", ran.stderr);
}

/// A blob that changed in the store never leaves it: small or large, changed or cut.
#[test]
fn what_rotted_in_the_store_does_not_leave_it() {
    for size in [1000, 3 << 20] {
        let work = prepared();
        work.write("tree/random", Random::new(1).bytes(size));
        work.ok(&["export", "rootfs:tree", "-o", "type=image,name=app:1"]);
        let blobs = std::fs::read_dir(work.store().join("blobs/sha256")).unwrap();
        let blobs = blobs.map(|entry| entry.unwrap().path());
        let layer = blobs.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let good = std::fs::read(&layer).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for (bad, expected) in [(&flipped[..], "has the digest"), (&good[..good.len() - 1], "bytes")] {
            std::fs::remove_file(&layer).unwrap();
            std::fs::write(&layer, bad).unwrap();
            for output in ["type=oci,dest=old.tar", "type=docker,dest=old.tar", "type=oci,dest=layout,tar=false"] {
                work.write("old.tar", "old");
                let before = work.names();
                let ran = work.run(&["export", "image:app:1", "-o", output]);
                assert!(ran.code == Some(3) && ran.stderr.contains(expected), "{output}: {}", ran.stderr);
                assert_eq!((work.names(), &work.read("old.tar")[..]), (before, &b"old"[..]));
            }
        }
    }
}

#[test]
fn where_the_store_is() {
    let work = prepared();
    work.ok(&["export", "rootfs:tree", "--store", "here", "-o", "type=image,name=a:1"]);
    assert_eq!(stdout(&work, &["images", "-q"]), "");
    assert_eq!(stdout(&work, &["--store", "here", "images", "-q"]), "docker.io/library/a:1\n");
    let without_variable = |arguments: &[&str]| -> Command {
        let mut command = work.command(arguments);
        command.env_remove("LONGSHORE_ROOT").env("XDG_DATA_HOME", work.path("data"));
        command
    };
    if !rustix::process::geteuid().is_root() {
        assert!(without_variable(&["images"]).status().unwrap().success());
        assert!(work.path("data/longshore/store.db").exists());
    }
    // No directory can be made there, not even by root.
    let nowhere = "/proc/longshore";
    let image = ["export", "rootfs:tree", "--store", nowhere, "-o", "type=image,name=a:1"];
    let ran = work.run(&image);
    assert!(ran.code != Some(0) && ran.stderr.contains("cannot open the store /proc/longshore"), "{}", ran.stderr);
    let archive = ["export", "rootfs:tree", "--store", nowhere, "-o", "type=oci,dest=spooled.tar"];
    let ran = work.ok(&archive);
    assert!(ran.stderr.contains("warning: cannot open the store /proc/longshore"), "no need to fail: {}", ran.stderr);
    let ran = work.run(&["export", "rootfs:tree", "--no-store", "-o", "type=image,name=a:1"]);
    assert!(
        ran.code == Some(2) && ran.stderr.contains("hint: use an image store (leave out --no-store), or choose"),
        "{}",
        ran.stderr
    );
    // The flag is about what is written: a source may be in the store.
    work.ok(&["--store", "here", "export", "image:a:1", "--no-store", "-o", "type=oci,dest=x.tar"]);
    let ran = work.run(&["export", "image:a:1", "--store", "none", "-o", "type=oci,dest=y.tar"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("there is no image store in none"), "{}", ran.stderr);
    let ran = work.run(&["export", "rootfs:tree", "--store", "none", "-o", "type=image,nme=a:1"]);
    assert!(ran.code == Some(2) && !work.path("none").exists(), "a bad option makes no store");
    // Other sources need none.
    work.ok(&["export", "rootfs:tree", "--no-store", "--store", "none", "-o", "type=oci,name=a:1,dest=a.tar"]);
    work.ok(&["inspect", "oci-archive:a.tar", "--store", "none"]);
    work.ok(&["export", "rootfs:tree", "--store", "none", "--dry-run", "-o", "type=oci,name=a:1,dest=b.tar"]);
    assert_eq!(work.run(&["images", "--store", "none"]).code, Some(3));
    assert!(!work.path("none").exists());
}
