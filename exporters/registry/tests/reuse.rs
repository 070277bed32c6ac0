//! Layers that the registry has already, as Docker noted.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::io::Read;
use std::sync::Arc;

use longshore_core::content::Origin;
use longshore_core::layer::{Layer, LayerSource, Rules, SeenBlob, TarSource, TarStream};
use longshore_core::oci::{Digest, History, Manifest};
use longshore_core::{Error, ExporterRegistry, OutputSpec, Session, Store};
use longshore_distribution::{Client, ClientOptions};
use longshore_exporter_registry::RegistryExporter;
use longshore_testkit::registry::Registry;
use longshore_testkit::sample::{self, CountingTar, LargeTar};

/// A layer that registries were seen to have.
#[derive(Debug)]
struct Seen {
    tar: Arc<CountingTar>,
    blobs: Vec<SeenBlob>,
}

impl TarStream for Seen {
    fn open(&self) -> longshore_core::Result<Box<dyn Read + Send + '_>> {
        self.tar.open()
    }

    fn name(&self) -> String {
        self.tar.name()
    }

    fn seen(&self) -> longshore_core::Result<Vec<SeenBlob>> {
        Ok(self.blobs.clone())
    }
}

/// What was pushed, and how often its layer was read.
struct Pushed {
    manifest: Manifest,
    reads: usize,
}

/// Pushes an image of one layer, always the same, that registries were seen to have as `blobs`.
fn push(registry: &Registry, output: &str, blobs: Vec<SeenBlob>) -> Result<Pushed, Error> {
    let large = LargeTar::new(3, 2 << 20);
    let mut bytes = Vec::new();
    large.open().unwrap().read_to_end(&mut bytes).unwrap();
    let tar = CountingTar::new(Arc::new(large));
    let source = TarSource::new(Arc::new(Seen { tar: tar.clone(), blobs }), Rules::default())
        .with_diff_id(Some(Digest::of(&bytes)))
        .with_size(Some(bytes.len() as u64));
    let layer = Arc::new(Layer::new(LayerSource::Tar(source), History::default()));
    let result = sample::result(vec![sample::image_of(vec![layer])]);
    let exporters = ExporterRegistry::default().with(RegistryExporter);
    let pusher = Arc::new(Client::new(ClientOptions::default()).pusher());
    let spec = OutputSpec::parse(&format!("type=registry,name={}/{output}", registry.host())).unwrap().unwrap();
    let session = Session::new(&exporters).with_pusher(pusher).resolve(&[spec]).unwrap();
    session.export(&result, Store::Spool).map_err(|failure| failure.error)?;
    let (repository, tag) = output.split(',').next().unwrap().rsplit_once(':').unwrap();
    let (_, manifest) = registry.manifest(repository, tag).unwrap();
    Ok(Pushed { manifest: serde_json::from_slice(&manifest).unwrap(), reads: tar.opens() })
}

fn seen(registry: &str, repository: &str, digest: &Digest) -> SeenBlob {
    SeenBlob::new(digest.clone(), Origin { registry: registry.to_owned(), repository: repository.to_owned() })
}

#[test]
fn a_layer_that_the_registry_has_is_not_compressed() {
    for compression in ["gzip,compression-level=1", "zstd"] {
        let registry = Registry::start();
        let base = push(&registry, &format!("team/base:1,compression={compression}"), Vec::new()).unwrap();
        let blob = &base.manifest.layers[0];
        let blobs = || vec![seen(registry.host(), "team/base", &blob.digest)];
        // From another repository, in its own, and whether streams are asked for or not.
        for output in ["team/app:1", "team/base:2", "team/streamed:1,push-streaming=true"] {
            let output = format!("{output},compression={compression},reuse-registry-blobs=true");
            let reused = push(&registry, &output, blobs()).unwrap();
            assert_eq!((reused.reads, &reused.manifest.layers[0]), (0, blob), "{output}");
            assert_eq!(reused.manifest.config, base.manifest.config, "{output}");
        }
    }
}

#[test]
fn nothing_is_reused_that_was_not_asked_for_or_is_not_there() {
    let registry = Registry::start();
    let base = push(&registry, "team/base:1,compression-level=1", Vec::new()).unwrap();
    let blob = base.manifest.layers[0].digest.clone();
    let gone = Digest::of(b"gone");
    for (output, blobs) in [
        ("team/a:1", vec![seen(registry.host(), "team/base", &blob)]),
        ("team/b:1,reuse-registry-blobs=true", vec![seen("other.example", "team/base", &blob)]),
        ("team/c:1,reuse-registry-blobs=true", vec![seen(registry.host(), "team/base", &gone)]),
        ("team/d:1,reuse-registry-blobs=true,compression=zstd", vec![seen(registry.host(), "team/base", &blob)]),
        (
            "team/e:1,reuse-registry-blobs=true,compression=uncompressed",
            vec![seen(registry.host(), "team/base", &blob)],
        ),
    ] {
        let made = push(&registry, output, blobs).unwrap();
        assert_eq!(made.reads, 1, "{output}");
        assert_ne!(made.manifest.layers[0].digest, blob, "{output}");
        assert_eq!(made.manifest.config, base.manifest.config, "{output}");
    }
}

#[test]
fn what_cannot_be_taken_is_made() {
    let registry = Registry::start();
    let xz = registry.put_blob("team/base", b"\xfd7zXZ\0 and so on");
    let plain = registry.put_blob("team/base", b"not this layer");
    let base = push(&registry, "team/base:1,compression-level=1", Vec::new()).unwrap();
    let blob = base.manifest.layers[0].digest.clone();
    let seen_there = |digests: &[&Digest]| digests.iter().map(|one| seen(registry.host(), "team/base", one)).collect();
    let made = push(&registry, "team/a:1,reuse-registry-blobs=true", seen_there(&[&xz, &plain])).unwrap();
    assert_eq!(made.reads, 1);
    let reused = push(&registry, "team/b:1,reuse-registry-blobs=true", seen_there(&[&xz, &plain, &blob])).unwrap();
    assert_eq!((reused.reads, &reused.manifest.layers[0].digest), (0, &blob));
}

#[test]
fn a_layer_of_several_images_is_streamed_once() {
    let registry = Registry::start();
    let tar = CountingTar::new(Arc::new(LargeTar::new(3, 2 << 20)));
    let mut bytes = Vec::new();
    tar.open().unwrap().read_to_end(&mut bytes).unwrap();
    let layer = || {
        let source = TarSource::new(tar.clone(), Rules::default())
            .with_diff_id(Some(Digest::of(&bytes)))
            .with_size(Some(bytes.len() as u64));
        Arc::new(Layer::new(LayerSource::Tar(source), History::default()))
    };
    let mut images =
        [vec![layer()], vec![layer(), sample::tar_layer(1, sample::TarOptions::default())]].map(sample::image_of);
    for (image, tag) in images.iter_mut().zip(["1", "2"]) {
        image.names = vec![format!("{}/team/app:{tag}", registry.host()).parse().unwrap()];
    }
    let exporters = ExporterRegistry::default().with(RegistryExporter);
    let pusher = Arc::new(Client::new(ClientOptions::default()).pusher());
    let spec = OutputSpec::parse("type=registry,name=*,push-streaming=true").unwrap().unwrap();
    let session = Session::new(&exporters).with_pusher(pusher).resolve(&[spec]).unwrap();
    session.export(&sample::result(images.into()), Store::Spool).unwrap();
    // Once by this test.
    assert_eq!(tar.opens(), 2);
    assert_eq!(registry.tags("team/app"), ["1", "2"]);
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let exporters = ExporterRegistry::default().with(RegistryExporter);
    for (options, expected) in [
        ("name=*?", "a push needs a name"),
        (
            "name=*,force-compression=true,reuse-registry-blobs=true",
            "force-compression and reuse-registry-blobs cannot be combined",
        ),
    ] {
        let spec = OutputSpec::parse(&format!("type=registry,{options}")).unwrap().unwrap();
        let error = Session::new(&exporters).resolve(&[spec]).unwrap_err();
        assert_eq!(error.message(), expected);
    }
}

#[test]
fn the_first_that_is_there_is_taken() {
    let registry = Registry::start();
    let base = push(&registry, "team/base:1,compression-level=1", Vec::new()).unwrap();
    let blob = base.manifest.layers[0].digest.clone();
    let blobs =
        vec![seen(registry.host(), "team/gone", &Digest::of(b"gone")), seen(registry.host(), "team/base", &blob)];
    let reused = push(&registry, "team/app:1,reuse-registry-blobs=true", blobs).unwrap();
    assert_eq!((reused.reads, &reused.manifest.layers[0].digest), (0, &blob));
}
