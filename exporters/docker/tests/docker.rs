//! What only `type=docker` promises: `manifest.json`.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;

use longshore_core::archive::TarFile;
use longshore_core::compression::Algorithm;
use longshore_core::content::MemoryStore;
use longshore_core::oci::{Descriptor, Digest, MediaType};
use longshore_core::{
    Error, ErrorKind, Existing, ExporterRegistry, Image, ImageContent, OutputSpec, Response, Result, Session, Store,
};
use longshore_exporter_docker::DockerExporter;
use longshore_testkit::sample::{self, ExistingOptions};
use longshore_testkit::validate;
use serde_json::{Value, json};

fn export(images: Vec<Image>, dest: &Path, options: &str) -> Result<Vec<Response>> {
    let exporters = ExporterRegistry::default().with(DockerExporter);
    let spec = OutputSpec::parse(&format!("type=docker,dest={}{options}", dest.display()))?.unwrap();
    Ok(Session::new(&exporters).resolve(&[spec])?.export(&sample::result(images), Store::Spool)?)
}

/// The manifest.json of an export, which is valid in all else.
fn manifest(images: Vec<Image>, options: &str) -> Value {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("a.tar");
    export(images, &dest, options).unwrap();
    validate::layout_tar(&dest).unwrap();
    let tar = TarFile::open(File::open(&dest).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&tar.document("manifest.json", 1 << 20).unwrap()).unwrap();
    for item in manifest.as_array().unwrap() {
        let layers = item["Layers"].as_array().unwrap().iter();
        for path in layers.chain([&item["Config"]]).map(|path| path.as_str().unwrap()) {
            assert!(tar.contains(path), "{path}");
        }
    }
    manifest
}

fn cause(error: &Error) -> &Error {
    std::error::Error::source(error).unwrap().downcast_ref().unwrap()
}

#[test]
fn names_are_as_docker_shows_them() {
    let tags = |options: &str| manifest(vec![sample::image(1, 2)], options)[0]["RepoTags"].clone();
    assert_eq!(tags(",\"name=app,ghcr.io/a/b:2\"").as_array().unwrap(), &[json!("app:latest"), json!("ghcr.io/a/b:2")]);
    assert_eq!(tags(""), Value::Null);
}

#[test]
fn names_by_digest_are_no_tags() {
    let digest = Digest::of(b"x");
    let image = |names: &[&str]| {
        let names = names.iter().map(|name| format!("{name}@{digest}").parse().unwrap());
        sample::image(1, 2).with_names(names.collect())
    };
    for names in [&["app"][..], &["app:1"], &["app", "ghcr.io/a/b:2"]] {
        assert_eq!(manifest(vec![image(names)], ",name=*")[0]["RepoTags"], Value::Null, "{names:?}");
    }
}

#[test]
fn each_image_is_an_item_in_order() {
    let manifest = manifest(vec![sample::image(1, 2), sample::image(2, 0), sample::image(3, 1)], ",name=*");
    let items = manifest.as_array().unwrap();
    let count = |item: &Value| item["Layers"].as_array().unwrap().len();
    assert_eq!(items.iter().map(count).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(items[1]["RepoTags"], json!(["registry.example/sample:2"]));
}

#[test]
fn docker_sees_one_platform_of_several() {
    let arm = manifest(vec![sample::multi_platform(1, 3)], ",platform=linux/arm64");
    let amd = manifest(vec![sample::multi_platform(1, 3)], ",platform=linux/amd64");
    assert_eq!(arm.as_array().unwrap().len(), 1);
    assert_eq!(arm[0]["Layers"][0], amd[0]["Layers"][0], "they share their first layer");
    assert_ne!(arm[0]["Config"], amd[0]["Config"]);
}

#[test]
fn a_platform_that_is_not_there_is_an_error_that_names_those_that_are() {
    let root = tempfile::tempdir().unwrap();
    let existing =
        ExistingOptions { platforms: 2, layers: vec![Algorithm::Gzip], docker: false, referrer: false, carrier: false };
    for image in [sample::multi_platform(1, 2), sample::existing(1, &existing)] {
        let error = export(vec![image], &root.path().join("a.tar"), ",platform=linux/s390x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.hint(), Some("choose one of linux/amd64, linux/arm64"));
        let expected =
            "cannot choose the image that Docker sees (platform=linux/s390x): no image for platform linux/s390x";
        assert!(error.with_causes().ends_with(expected), "{}", error.with_causes());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_destination_is_a_file_or_an_engine() {
    let exporters = ExporterRegistry::default().with(DockerExporter);
    let resolve = |text: &str| Session::new(&exporters).resolve(&[OutputSpec::parse(text).unwrap().unwrap()]);
    resolve("type=docker,name=app:1").unwrap();
    resolve("type=docker,context=far").unwrap();
    for (options, expected) in [
        ("format=legacy,name=app:1", "type=docker: it needs a destination"),
        ("context=far,dest=a.tar", "type=docker: it has no destination: leave out `dest`"),
        ("context=far,format=legacy,dest=a.tar", "format=legacy is for a file, not for an engine"),
        ("context=far,tar=false,dest=a", "tar=false writes a directory, and context loads into an engine"),
    ] {
        let error = resolve(&format!("type=docker,{options}")).unwrap_err();
        assert_eq!(error.with_causes(), expected, "{options}");
    }
}

/// The errors of containerd's first exporter: a root of a wrong type, a blob of a wrong size or digest.
#[test]
fn wrong_types_sizes_and_digests_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("a.tar");
    let store = MemoryStore::default();
    let config = store.put(MediaType::CONFIG, br#"{"architecture":"amd64","os":"linux"}"#);
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &[0; 1024]);
    let with_layer = |layer: &Descriptor| {
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
        store.put(MediaType::MANIFEST, manifest.to_string().as_bytes())
    };
    let wrong_size = with_layer(&Descriptor { size: 1023, ..layer.clone() });
    let missing = with_layer(&Descriptor::of(MediaType::layer(Algorithm::Gzip), b"elsewhere"));
    let provider = std::sync::Arc::new(store);
    let cases = [
        (layer.clone(), ErrorKind::InvalidInput, "not a manifest or an index"),
        (wrong_size, ErrorKind::Corrupt, "more than the expected 1023 bytes"),
        (missing, ErrorKind::NotFound, "is not in the store"),
    ];
    for (image, kind, expected) in cases {
        let existing = Existing::new(image, provider.clone());
        let error = export(vec![Image::new(ImageContent::Existing(existing))], &dest, "").unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        assert_eq!(cause(&error).kind(), kind, "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(!dest.exists());
    }
}
