//! What only `type=oci` promises: bytes, names, and a directory that others use too.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use longshore_core::compression::Algorithm;
use longshore_core::content::MemoryStore;
use longshore_core::layout::LayoutSource;
use longshore_core::oci::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Digest, Index, Manifest, MediaType, Platform, json,
};
use longshore_core::{
    BuildResult, Existing, ExporterRegistry, Image, ImageContent, OutputSpec, Response, Result, Session, Store,
};
use longshore_exporter_oci::OciExporter;
use longshore_testkit::sample::{self, ExistingOptions, TarOptions, tar_bytes};
use longshore_testkit::validate::{self, ValidatedImage};

fn try_export(result: &BuildResult, outputs: &[String]) -> Result<Vec<Response>> {
    let exporters = ExporterRegistry::default().with(OciExporter);
    let specs: Vec<OutputSpec> = outputs.iter().map(|text| OutputSpec::parse(text).unwrap().unwrap()).collect();
    Ok(Session::new(&exporters).resolve(&specs)?.export(result, Store::Spool)?)
}

fn export(images: Vec<Image>, dest: &Path, options: &str) -> Vec<Response> {
    let output = format!("type=oci,dest={},{options}", dest.display());
    try_export(&sample::result(images), &[output]).unwrap()
}

fn index(layout: &Path) -> Index {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// The tag, the name and the digest of each entry.
fn entries(layout: &Path) -> Vec<(Option<String>, Option<String>, Digest)> {
    let entry = |entry: longshore_core::oci::Descriptor| {
        let annotation = |key| entry.annotations.get(key).cloned();
        (annotation(ANNOTATION_REF_NAME), annotation(ANNOTATION_IMAGE_NAME), entry.digest.clone())
    };
    index(layout).manifests.into_iter().map(entry).collect()
}

/// A changed digest here means that every user's images change: it must be wanted and announced.
#[test]
fn golden_digests() {
    let golden = [
        ("compression=uncompressed", "sha256:f37f69c6454ab2a3676a89b0b1bb38a22b55562b6fd0590a3b383643aab5a94a"),
        ("compression=gzip", "sha256:01f372d3a545c2fe6c040bcef8e7bd7aa5fe7d7e29f4b5c988778aa54dc23aae"),
        (
            "compression=gzip,compression-level=9",
            "sha256:31cd571efd5b2fd73d5e2024390e4a2d97123b9b1f34426c4e2790d7a45c2e48",
        ),
        ("compression=zstd", "sha256:eece64e6a5641e03b57bc72cee609c21b571a222d8d5c7742e3287c4c36befa9"),
        (
            "compression=zstd,source-date-epoch=1600000000",
            "sha256:2c8cdd2500f11573f769b11294100f3e9d00e581834ab9b185f1f13e7c4dd709",
        ),
    ];
    let found = golden.map(|(options, _)| {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("a.tar");
        export(vec![sample::image(1, 2)], &archive, &format!("name=app:1,{options}"));
        (options, Digest::of(&fs::read(archive).unwrap()).to_string())
    });
    assert_eq!(found.each_ref().map(|(options, digest)| (*options, digest.as_str())), golden);
}

/// `arm/v6` in the index and `arm` in the configuration was refused as a contradiction.
#[test]
fn a_variant_that_only_the_index_names_stays_there() {
    let store = MemoryStore::default();
    let layer = tar_bytes(1, TarOptions { files: 1, ..TarOptions::default() });
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &layer);
    let rootfs = format!(r#"{{"type":"layers","diff_ids":["{}"]}}"#, layer.digest);
    let fields = format!(r#"{{"architecture":"arm","os":"linux","history":[{{"comment":"a"}}],"rootfs":{rootfs}}}"#);
    let config = store.put(MediaType::CONFIG, fields.as_bytes());
    let manifest = Manifest::new(config.clone(), vec![layer]);
    let manifest = store.put(MediaType::MANIFEST, &json::indented(&manifest).unwrap());
    let v6 = Some("linux/arm/v6".parse::<Platform>().unwrap());
    let root = Index::new(vec![Descriptor { platform: v6.clone(), ..manifest }]);
    let root = store.put(MediaType::INDEX, &json::indented(&root).unwrap());
    let existing = Existing::new(root, Arc::new(store));
    let directory = tempfile::tempdir().unwrap();
    let image = Image::new(ImageContent::Existing(existing));
    export(vec![image], directory.path(), "tar=false,compression=zstd,force-compression=true");
    let found = validate::layout_dir(directory.path()).unwrap().images.remove(0);
    assert!(found.layers[0].media_type.as_str().ends_with("+zstd"));
    assert_eq!(found.config, config.digest, "the configuration keeps its bytes");
    let made = fs::read(directory.path().join(found.root.layout_path())).unwrap();
    assert_eq!(serde_json::from_slice::<Index>(&made).unwrap().manifests[0].platform, v6);
}

/// C `testOCIExporterContentStore`: an archive and a directory have the same files, and C `testNoTarOCIIndexMediaType`,
/// `testOCIIndexMediatype`: their `index.json` says what it is.
#[test]
fn a_directory_has_the_files_of_the_archive() {
    let root = tempfile::tempdir().unwrap();
    let (archive, directory) = (root.path().join("a.tar"), root.path().join("a"));
    for image in [sample::image(1, 2), sample::multi_platform(3, 2)] {
        export(vec![image.clone()], &archive, "name=app:1");
        export(vec![image], &directory, "tar=false,name=app:1");
        let unpacked = root.path().join("unpacked");
        let _ = fs::remove_dir_all(&unpacked);
        fs::create_dir(&unpacked).unwrap();
        let tar = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked).status();
        assert!(tar.unwrap().success());
        let contents = |layout: &Path, place: &str| {
            let entries = fs::read_dir(layout.join(place)).unwrap().map(|entry| entry.unwrap());
            let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
            let files = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
            files.collect::<BTreeMap<String, Vec<u8>>>()
        };
        assert_eq!(contents(&unpacked, "blobs/sha256"), contents(&directory, "blobs/sha256"));
        let [in_tar, in_directory] = [&unpacked, &directory].map(|layout| {
            let mut files = contents(layout, "");
            // Only a directory has other writers.
            files.remove("index.json.lock");
            let index: serde_json::Value = serde_json::from_slice(&files.remove("index.json").unwrap()).unwrap();
            assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
            (files, index["manifests"].clone())
        });
        assert_eq!(in_tar, in_directory);
        fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn an_existing_image_passes_through_verbatim() {
    for platforms in [0, 2] {
        let options = ExistingOptions {
            platforms,
            layers: vec![Algorithm::Gzip, Algorithm::Zstd, Algorithm::Uncompressed],
            docker: true,
            referrer: true,
            carrier: false,
        };
        let root = tempfile::tempdir().unwrap();
        let image = sample::existing(7, &options);
        let longshore_core::ImageContent::Existing(existing) = &image.content else { panic!("it exists") };
        let expected = existing.root.digest.clone();
        // None of these options changes bytes of an image that exists.
        let responses = export(
            vec![image],
            root.path(),
            "tar=false,name=app:1,compression=zstd,force-compression=false,source-date-epoch=",
        );
        assert_eq!(responses[0].images[0].root.digest, expected);
        assert_eq!(entries(root.path())[0].2, expected);
        assert_eq!(index(root.path()).manifests.len(), 2, "the referrer has an entry of its own");
        validate::layout_dir(root.path()).unwrap();
    }
}

#[test]
fn force_compression_takes_an_existing_image_apart() {
    let images = |options: &str| -> Vec<ValidatedImage> {
        let root = tempfile::tempdir().unwrap();
        let layers = vec![Algorithm::Gzip, Algorithm::Uncompressed];
        let existing = ExistingOptions { platforms: 2, layers, docker: true, referrer: false, carrier: false };
        export(vec![sample::existing(7, &existing)], root.path(), options);
        validate::layout_dir(root.path()).unwrap().images
    };
    let before = images("tar=false");
    let after = images("tar=false,compression=zstd,force-compression=true");
    assert_eq!(before.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.platform, after.platform);
        let diff_ids = |image: &ValidatedImage| image.layers.iter().map(|l| l.diff_id.clone()).collect::<Vec<_>>();
        assert_eq!(diff_ids(before), diff_ids(after));
        assert!(after.layers.iter().all(|layer| layer.media_type.as_str().ends_with("tar+zstd")));
    }
}

#[test]
fn names_tags_and_what_replaces_what() {
    let root = tempfile::tempdir().unwrap();
    let layout = root.path().join("layout");
    let put = |seed, options: &str| {
        let responses = export(vec![sample::image(seed, 1)], &layout, &format!("tar=false{options}"));
        responses[0].images[0].root.digest.clone()
    };
    let text = |text: &str| Some(text.to_owned());
    let first = put(1, ",\"name=app:1,ghcr.io/a/b\"");
    let expected = [
        (text("1"), text("docker.io/library/app:1"), first.clone()),
        (text("latest"), text("ghcr.io/a/b:latest"), first.clone()),
    ];
    assert_eq!(entries(&layout), expected);
    let unnamed = put(2, "");
    let second = put(3, ",name=app:1");
    let expected = [
        (text("latest"), text("ghcr.io/a/b:latest"), first),
        (text("latest"), None, unnamed),
        (text("1"), text("docker.io/library/app:1"), second),
    ];
    assert_eq!(entries(&layout), expected);
    validate::layout_dir(&layout).unwrap();
}

#[test]
fn what_others_put_into_a_layout_stays() {
    let root = tempfile::tempdir().unwrap();
    export(vec![sample::image(1, 1)], root.path(), "tar=false,name=theirs:1");
    let mut theirs: serde_json::Value =
        serde_json::from_slice(&fs::read(root.path().join("index.json")).unwrap()).unwrap();
    theirs["annotations"] = serde_json::json!({"who": "they"});
    theirs["manifests"][0]["x-unknown"] = serde_json::json!([1, 2]);
    fs::write(root.path().join("index.json"), json::indented(&theirs).unwrap()).unwrap();
    fs::write(root.path().join("README"), "a file of theirs").unwrap();
    export(vec![sample::image(2, 1)], root.path(), "tar=false,name=ours:1");
    let after: serde_json::Value = serde_json::from_slice(&fs::read(root.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(after["manifests"][0], theirs["manifests"][0]);
    assert_eq!(after["annotations"], theirs["annotations"]);
    assert!(root.path().join("README").exists());
}

#[test]
fn blobs_that_are_there_are_not_written_again() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let image = || sample::image(1, 2);
    export(vec![image()], root.path(), "tar=false,name=a:1");
    let blobs = || {
        let blobs = fs::read_dir(root.path().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap());
        let mut blobs: Vec<_> = blobs.map(|entry| (entry.file_name(), entry.metadata().unwrap().ino())).collect();
        blobs.sort();
        blobs
    };
    let before = blobs();
    export(vec![image()], root.path(), "tar=false,name=a:2");
    assert_eq!(blobs(), before);
    // What a crash cut short is replaced.
    let (name, _) = &before[0];
    let path = root.path().join("blobs/sha256").join(name);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    export(vec![image()], root.path(), "tar=false,name=a:3");
    validate::layout_dir(root.path()).unwrap();
}

#[test]
fn several_images_in_one_output() {
    let root = tempfile::tempdir().unwrap();
    let images = || vec![sample::image(1, 1), sample::image(2, 1), sample::multi_platform(3, 2)];
    let archive = root.path().join("a.tar");
    export(images(), &archive, "name=*");
    let found = validate::layout_tar(&archive).unwrap().images;
    assert_eq!(found.len(), 4);
    let outputs = |options: &str| [format!("type=oci,dest={},{options}", root.path().join("x").display())];
    let error = try_export(&sample::result(images()), &outputs("name=one:1")).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("one `name` for 3 images"));
    let error = try_export(&sample::result(images()), &outputs("tar=false")).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("would all be tagged `latest`"));
}

#[test]
fn several_directories_in_one_run() {
    let root = tempfile::tempdir().unwrap();
    let output =
        |place: &str, name: &str| format!("type=oci,tar=false,name={name},dest={}", root.path().join(place).display());
    let outputs = [output("a", "app:1"), output("a", "app:2"), output("b", "app:1")];
    try_export(&sample::result(vec![sample::image(1, 1)]), &outputs).unwrap();
    assert_eq!((entries(&root.path().join("a")).len(), entries(&root.path().join("b")).len()), (2, 1));
}

/// Tools leave out what the index of a layout says of itself, or write `null` for a list that is empty.
#[test]
fn an_index_without_a_version_or_a_list_is_read_and_completed() {
    let root = tempfile::tempdir().unwrap();
    let layout = root.path();
    export(vec![sample::image(1, 1)], layout, "tar=false,name=app:1");
    let own = index(layout).manifests.remove(0);
    let listed = json::compact(&own).unwrap();
    let listed = String::from_utf8(listed).unwrap();
    let annotated = listed.replacen('{', r#"{"urls":null,"#, 1);
    for (text, before) in [
        (format!(r#"{{"manifests":[{listed}]}}"#), 1),
        (format!(r#"{{"schemaVersion":null,"mediaType":null,"annotations":null,"manifests":[{annotated}]}}"#), 1),
        (r#"{"schemaVersion":2,"manifests":null}"#.to_owned(), 0),
        (r#"{"manifests":null,"annotations":null}"#.to_owned(), 0),
    ] {
        fs::write(layout.join("index.json"), &text).unwrap();
        let images = LayoutSource::directory(layout).unwrap();
        assert_eq!(images.index().manifests, vec![own.clone(); before], "{text}");
        export(vec![sample::image(2, 1)], layout, "tar=false,name=app:2");
        let written = index(layout);
        assert_eq!((written.schema_version, written.manifests.len()), (2, before + 1), "{text}");
        assert_eq!(written.manifests[..before], vec![own.clone(); before], "{text}");
        validate::layout_dir(layout).unwrap();
    }
    fs::write(layout.join("index.json"), r#"{"schemaVersion":3,"manifests":[]}"#).unwrap();
    let error = try_export(
        &sample::result(vec![sample::image(2, 1)]),
        &[format!("type=oci,tar=false,dest={}", layout.display())],
    );
    let path = layout.join("index.json");
    let expected = format!("cannot use {}: `index.json` has schemaVersion 3, expected 2", path.display());
    assert!(error.unwrap_err().with_causes().ends_with(&expected), "{expected}");
}
