//! Layers that only their maker hands out, such as those of Windows, and that images lack therefore.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::process::Command;

use longshore_core::compression::{Algorithm, Encoding};
use longshore_core::oci::{Descriptor, Digest, ImageConfig, Index, Manifest, MediaType, Platform, json};
use longshore_testkit::sample::{TarOptions, tar_bytes};
use run::Workdir;

const SKIPPED: &str = "  non-distributable: left at its URLs\n";
const OCI: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const DOCKER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Writes `layout` and `layout.tar`: `win:1`, whose base is a layer of this type at `urls`, and is not there. Returns the
/// base and the manifest.
fn prepare(work: &Workdir, media_type: &str, urls: &[&str]) -> (Descriptor, Descriptor) {
    let gzip = Encoding::new(Algorithm::Gzip, None).unwrap();
    let base = tar_bytes(1, TarOptions::default());
    let top = tar_bytes(2, TarOptions::default());
    let write = |media_type: MediaType, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        work.write(&format!("layout/{}", descriptor.digest.layout_path()), bytes);
        descriptor
    };
    let foreign = Descriptor {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        ..Descriptor::of(MediaType::from(media_type.to_owned()), &gzip.encode(&base).unwrap())
    };
    let mut config = ImageConfig::new(&Platform::new("windows", "amd64", None));
    config.set_diff_ids(vec![Digest::of(&base), Digest::of(&top)]);
    let config = write(MediaType::CONFIG, &config.to_bytes().unwrap());
    let layers = vec![foreign.clone(), write(MediaType::layer(Algorithm::Gzip), &gzip.encode(&top).unwrap())];
    let manifest = write(MediaType::MANIFEST, &json::compact(&Manifest::new(config, layers)).unwrap());
    let entry = manifest.clone().annotated("io.containerd.image.name", "docker.io/library/win:1");
    work.write("layout/index.json", json::compact(&Index::new(vec![entry])).unwrap());
    work.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    pack(work, "layout", "layout.tar");
    (foreign, manifest)
}

fn pack(work: &Workdir, directory: &str, archive: &str) {
    let run = Command::new("tar").args(["-cf", archive, "-C", directory, "."]).current_dir(work.root()).status();
    assert!(run.unwrap().success());
}

fn unpack(work: &Workdir, archive: &str, directory: &str) {
    std::fs::create_dir(work.path(directory)).unwrap();
    let run = Command::new("tar").args(["-xf", archive, "-C", directory]).current_dir(work.root()).status();
    assert!(run.unwrap().success());
}

fn manifest_in(work: &Workdir, layout: &str) -> (Digest, Manifest) {
    let index: Index = serde_json::from_slice(&work.read(&format!("{layout}/index.json"))).unwrap();
    let digest = index.manifests[0].digest.clone();
    let bytes = work.read(&format!("{layout}/{}", digest.layout_path()));
    (digest, serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn an_image_without_its_foreign_layers_is_exported_and_imported() {
    for media_type in [OCI, DOCKER] {
        let work = Workdir::new();
        let (foreign, root) = prepare(&work, media_type, &["https://example.com/base", "https://example.org/base"]);
        let skipped = format!("write {}{SKIPPED}", foreign.digest);
        let outputs = [
            "type=oci,name=*,dest=oci.tar",
            "type=oci,name=*,tar=false,dest=again",
            "type=docker,name=*,platform=windows/amd64,dest=docker.tar",
            "type=image,name=*",
        ];
        for source in ["oci:layout", "oci-archive:layout.tar"] {
            for output in outputs {
                let ran = work.ok(&["export", source, "-o", output]);
                assert!(ran.stderr.contains(&skipped), "{source} {output}: {}", ran.stderr);
            }
        }
        // Into a store of its own, and out of it.
        let imported = work.ok(&["import", "layout.tar", "--store", "store"]);
        assert!(imported.stderr.contains(&format!("import {}{SKIPPED}", foreign.digest)), "{}", imported.stderr);
        work.ok(&["export", "image:win:1", "--store", "store", "-o", "type=oci,name=*,dest=stored.tar"]);
        for archive in ["oci.tar", "docker.tar", "stored.tar"] {
            let directory = format!("unpacked-{archive}");
            unpack(&work, archive, &directory);
            assert_eq!(manifest_in(&work, &directory).0, root.digest, "{archive}");
            assert!(!work.path(&format!("{directory}/{}", foreign.digest.layout_path())).exists(), "{archive}");
            assert_eq!(std::fs::read_dir(work.path(&format!("{directory}/blobs/sha256"))).unwrap().count(), 3);
        }
        assert_eq!(manifest_in(&work, "again").0, root.digest);
        for source in ["oci:again", "image:win:1", "docker-archive:docker.tar"] {
            let verified = String::from_utf8(work.ok(&["verify", source]).stdout).unwrap();
            let expected =
                format!("ok {} docker.io/library/win:1\n{media_type}  {} is missing\n", root.digest, foreign.digest);
            assert_eq!(verified, expected, "{source}");
            work.ok(&["inspect", "--files", source]);
        }
    }
}

/// The type of the layer was changed to one that may be distributed, with the same URLs.
#[test]
fn a_foreign_layer_stays_foreign_when_the_image_changes() {
    for (media_type, wanted, expected) in [(OCI, "true", OCI), (DOCKER, "true", OCI), (OCI, "false", DOCKER)] {
        let work = Workdir::new();
        let (foreign, root) = prepare(&work, media_type, &["https://example.com/base"]);
        let output = format!("type=oci,tar=false,dest=changed,oci-mediatypes={wanted}");
        let ran = work.ok(&["export", "oci:layout", "--env", "A=1", "-o", &output]);
        assert!(ran.stderr.contains(&format!("write {}{SKIPPED}", foreign.digest)), "{}", ran.stderr);
        let (digest, manifest) = manifest_in(&work, "changed");
        assert_ne!(digest, root.digest);
        let changed = Descriptor { media_type: MediaType::from(expected.to_owned()), ..foreign };
        assert_eq!(manifest.layers[0], changed);
        assert!(!work.path(&format!("changed/{}", changed.digest.layout_path())).exists());
    }
}

#[test]
fn other_layers_that_are_missing_are_errors() {
    let plain = "application/vnd.oci.image.layer.v1.tar+gzip";
    for (media_type, urls) in [(OCI, &[][..]), (DOCKER, &[]), (plain, &["https://example.com/base"])] {
        let work = Workdir::new();
        let (foreign, _) = prepare(&work, media_type, urls);
        for arguments in [
            &["export", "oci:layout", "-o", "type=oci,dest=o.tar"][..],
            &["import", "layout.tar"],
            &["verify", "oci:layout"],
        ] {
            let ran = work.run(arguments);
            assert!(ran.code != Some(0), "{arguments:?} {media_type}");
            let said = ran.stderr + &String::from_utf8(ran.stdout).unwrap();
            assert!(said.contains(&format!("blob {} is not in the ", foreign.digest)), "{arguments:?}: {said}");
        }
    }
}
