//! What `format=legacy` promises. Whether it is what Docker writes is tested beside the planner and against a
//! real daemon.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use longshore_core::archive::TarFile;
use longshore_core::compression::Algorithm;
use longshore_core::content::{MemoryStore, read};
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, Digest, ImageConfig, MANIFEST_LIMIT, MediaType, parse_manifest};
use longshore_core::{
    DOCKER_PARENT, Error, ErrorKind, Existing, ExporterRegistry, Image, ImageContent, OutputSpec, Response, Session,
    Store,
};
use longshore_exporter_docker::DockerExporter;
use longshore_testkit::conformance::{EXPORTER_CASES, ExporterCase};
use longshore_testkit::sample::{self, ExistingOptions};
use serde_json::{Value, json};

fn exporters() -> ExporterRegistry {
    ExporterRegistry::default().with(DockerExporter)
}

fn export(images: Vec<Image>, dest: &Path, options: &str) -> Result<Vec<Response>, Error> {
    let spec = OutputSpec::parse(&format!("type=docker,format=legacy,dest={}{options}", dest.display()))?.unwrap();
    let exporters = exporters();
    let session = Session::new(&exporters).resolve(&[spec])?;
    session.export(&sample::result(images), Store::Spool).map_err(|failure| failure.error)
}

/// An archive whose every layer has the diffID that the configuration says.
struct Archive {
    tar: TarFile,
    items: Vec<Value>,
}

impl Archive {
    fn open(path: &Path) -> Self {
        let tar = TarFile::open(File::open(path).unwrap()).unwrap();
        let items: Value = serde_json::from_slice(&tar.document("manifest.json", 1 << 20).unwrap()).unwrap();
        let archive = Self { tar, items: items.as_array().unwrap().clone() };
        for item in &archive.items {
            let config = archive.config(item);
            assert_eq!(format!("{}.json", Digest::of(&config).hex()), item["Config"]);
            let listed = ImageConfig::parse(&config).unwrap().diff_ids().unwrap();
            assert_eq!(archive.layers(item), listed);
        }
        archive
    }

    fn of(images: Vec<Image>, options: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dest = root.path().join("a.tar");
        export(images, &dest, options).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        Self::open(&dest)
    }

    fn config(&self, item: &Value) -> Vec<u8> {
        self.tar.document(item["Config"].as_str().unwrap(), 1 << 20).unwrap()
    }

    fn layers(&self, item: &Value) -> Vec<Digest> {
        let digest = |path: &Value| {
            let mut bytes = Vec::new();
            self.tar.read(path.as_str().unwrap(), 0).unwrap().read_to_end(&mut bytes).unwrap();
            Digest::of(&bytes)
        };
        item["Layers"].as_array().unwrap().iter().map(digest).collect()
    }
}

/// The configuration of an image of one platform that exists.
fn config_of(image: &Image) -> Vec<u8> {
    let ImageContent::Existing(Existing { root, provider, .. }) = &image.content else { panic!("the sample exists") };
    let provider = provider.as_ref();
    let manifest = parse_manifest(root, &read(provider, root, MANIFEST_LIMIT).unwrap()).unwrap();
    read(provider, &manifest.config, CONFIG_LIMIT).unwrap()
}

/// All of the contract but for what this format cannot hold: images without layers, manifests, compressed layers.
#[test]
fn the_contract_of_exporters() {
    let case = ExporterCase::new(
        &exporters,
        &|root: &Path| {
            let dest = root.join("a.tar");
            let text = format!("type=docker,format=legacy,name=*,platform=linux/amd64,dest={}", dest.display());
            OutputSpec::parse(&text).unwrap().unwrap()
        },
        &|root: &Path| drop(Archive::open(&root.join("a.tar"))),
    );
    let other = [
        "odd images are exported",
        "existing images pass verbatim",
        "the response says what was written",
        "layers are read once",
    ];
    let cases: Vec<_> = EXPORTER_CASES.iter().filter(|(name, _)| !other.contains(name)).collect();
    assert_eq!(cases.len(), EXPORTER_CASES.len() - other.len());
    cases.into_iter().for_each(|(name, check)| {
        println!("{name}");
        check(&case);
    });
}

#[test]
fn an_image_keeps_its_configuration_and_loses_its_compression() {
    let image = || sample::existing(1, &ExistingOptions::default());
    let config = config_of(&image());
    let archive = Archive::of(vec![image()], ",name=app:1");
    assert_eq!(archive.config(&archive.items[0]), config);
    assert_eq!(archive.items[0]["RepoTags"], json!(["app:1"]));
    assert!(archive.tar.contains("repositories"));
}

#[test]
fn the_response_has_the_image_id() {
    let root = tempfile::tempdir().unwrap();
    let image = sample::existing(1, &ExistingOptions::default());
    let id = Digest::of(&config_of(&image));
    let responses = export(vec![image], &root.path().join("a.tar"), ",name=app:1").unwrap();
    assert_eq!(responses[0].images[0].config, Some(id.clone()));
    assert_eq!(responses[0].images[0].root.digest, id);
}

#[test]
fn one_platform_of_several() {
    let several = || sample::existing(1, &ExistingOptions { platforms: 2, ..ExistingOptions::default() });
    let architecture = |platform: &str| {
        let archive = Archive::of(vec![several()], &format!(",platform={platform}"));
        assert_eq!(archive.items.len(), 1);
        let config: Value = serde_json::from_slice(&archive.config(&archive.items[0])).unwrap();
        config["architecture"].as_str().unwrap().to_owned()
    };
    assert_eq!(architecture("linux/amd64"), "amd64");
    assert_eq!(architecture("linux/arm64"), "arm64");
    let root = tempfile::tempdir().unwrap();
    let error = export(vec![several()], &root.path().join("a.tar"), ",platform=linux/s390x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.with_causes().contains("no image for"), "{}", error.with_causes());
}

#[test]
fn a_repeated_layer_is_a_link_or_a_copy() {
    let layers = || vec![sample::tar_layer(1, Default::default()), sample::tar_layer(1, Default::default())];
    let links = |options: &str| {
        let root = tempfile::tempdir().unwrap();
        let dest = root.path().join("a.tar");
        export(vec![sample::image_of(layers())], &dest, options).unwrap();
        Archive::open(&dest);
        let mut reader = longshore_core::archive::Reader::new(File::open(&dest).unwrap());
        let mut links = 0;
        while let Some(entry) = reader.next_entry().unwrap() {
            links += usize::from(entry.path.ends_with(b"/layer.tar") && !entry.link.is_empty());
        }
        links
    };
    assert_eq!((links(""), links(",symlinks=true"), links(",symlinks=false")), (1, 1, 0));
}

#[test]
fn parents_are_kept_if_they_are_there() {
    let parent = || sample::existing(1, &ExistingOptions::default());
    let id = Digest::of(&config_of(&parent())).to_string();
    let child = || {
        let mut child = sample::existing(2, &ExistingOptions::default());
        child.metadata.insert(DOCKER_PARENT.to_owned(), id.clone().into_bytes());
        child
    };
    assert_eq!(Archive::of(vec![parent(), child()], "").items[1]["Parent"], json!(id));
    assert_eq!(Archive::of(vec![child()], "").items[0].get("Parent"), None);
}

#[test]
fn a_foreign_layer_says_where_it_is() {
    let store = MemoryStore::default();
    let tar = sample::tar_bytes(1, Default::default());
    let diff_id = Digest::of(&tar);
    let foreign = MediaType::from("application/vnd.docker.image.rootfs.foreign.diff.tar".to_owned());
    let mut layer = store.put(foreign, &tar);
    layer.urls = vec!["https://example.com/layer".to_owned()];
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let config = store.put(MediaType::CONFIG, config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let root: Descriptor = store.put(MediaType::MANIFEST, manifest.to_string().as_bytes());
    let existing = Existing::new(root, Arc::new(store));
    let archive = Archive::of(vec![Image::new(ImageContent::Existing(existing))], "");
    let source = &archive.items[0]["LayerSources"][diff_id.to_string()];
    assert_eq!(source["urls"], json!(["https://example.com/layer"]));
    assert_eq!(source["size"], json!(tar.len()));
}

#[test]
fn what_the_format_cannot_hold_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("a.tar");
    let refused = |images: Vec<Image>, options: &str| {
        let error = export(images, &dest, options).unwrap_err();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        error
    };
    let error = refused(vec![sample::image(1, 0)], "");
    assert!(error.with_causes().contains("empty export - not implemented"), "{}", error.with_causes());
    for options in [",compression=gzip", ",compression=zstd,compression-level=3", ",compression-level=3"] {
        let error = refused(vec![sample::image(1, 1)], options);
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{options}");
        assert!(error.message().contains("not compressed in this format"), "{options}");
    }
    let spec = OutputSpec::parse("type=docker,symlinks=false,dest=a.tar").unwrap().unwrap();
    let error = Session::new(&exporters()).resolve(&[spec]).unwrap_err();
    assert_eq!(error.message(), "symlinks applies only to format=legacy");
    export(vec![sample::image(1, 1)], &dest, ",compression=uncompressed").unwrap();
}

#[test]
fn layers_that_are_not_compressed_are_not_stored() {
    let store: Arc<MemoryStore> = Arc::default();
    let root = tempfile::tempdir().unwrap();
    let options = ExistingOptions { layers: vec![Algorithm::Uncompressed; 2], ..ExistingOptions::default() };
    let image = sample::existing(1, &options);
    let spec = format!("type=docker,format=legacy,dest={}", root.path().join("a.tar").display());
    let exporters = exporters();
    let resolved = Session::new(&exporters).resolve(&[OutputSpec::parse(&spec).unwrap().unwrap()]).unwrap();
    resolved.export(&sample::result(vec![image]), Store::Given(store.clone())).unwrap();
    let archive = Archive::open(&root.path().join("a.tar"));
    for layer in archive.layers(&archive.items[0]) {
        assert!(longshore_core::content::ContentStore::info(store.as_ref(), &layer).unwrap().is_none());
    }
}
