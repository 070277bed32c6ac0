//! Times: the epoch of documents, and of files.

use std::sync::Arc;

use longshore_core::archive::Reader;
use longshore_core::compression::{Algorithm, Encoding, decoder};
use longshore_core::content::MemoryStore;
use longshore_core::layer::{BlobSource, Layer, LayerSource};
use longshore_core::oci::{Descriptor, Digest, History, ImageConfig, Manifest, MediaType, Platform};
use longshore_core::{Artifact, BuildResult, Built, Image, ImageContent, SOURCE_DATE_EPOCH};
use longshore_testkit::sample::{self, ExistingOptions, TarOptions, tar_bytes, tar_layer};

use super::{Layout, export, refusal, try_export, try_export_to};

/// All samples are younger.
const EPOCH: i64 = 1_000_000;
const WITH_EPOCH: &str = "source-date-epoch=1000000,rewrite-timestamp=true";
const AT_EPOCH: &str = "1970-01-12T13:46:40Z";

/// The times of the files of a layer.
fn times(layout: &Layout, layer: &Descriptor) -> Vec<i64> {
    let bytes = layout.bytes(&layer.digest);
    let mut reader = Reader::new(decoder(&bytes[..]).unwrap().1);
    let mut times = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        times.push(entry.mtime);
    }
    times
}

/// An image of two layers on top of a base of one.
fn on_base() -> (Image, Descriptor) {
    let tar = tar_bytes(1, TarOptions::default());
    let diff_id = Digest::of(&tar);
    let store = MemoryStore::default();
    let blob = Encoding::new(Algorithm::Gzip, Some(1)).unwrap().encode(&tar).unwrap();
    let descriptor = store.put(MediaType::layer(Algorithm::Gzip), &blob);
    let source = BlobSource::new(descriptor.clone(), diff_id.clone(), Arc::new(store));
    let base_layer = Arc::new(Layer::new(LayerSource::Blob(source), History::default()));
    let mut base = ImageConfig::with_defaults(&Platform::new("linux", "amd64", None));
    base.set_diff_ids(vec![diff_id]);
    let created = Some("2024-02-02T02:02:02Z".to_owned());
    base.set_history(&[History { created, created_by: Some("base".to_owned()), ..History::default() }]);
    let own = |seed| tar_layer(seed, TarOptions::default());
    let artifact = Artifact::new(vec![base_layer, own(2), own(3)], base.clone()).with_base(base);
    (Image::new(ImageContent::Built(Built::Single(artifact))), descriptor)
}

/// D `testReproSourceDateEpoch`: layers of the base keep their bytes, the others have no later time.
#[test]
fn repro_source_date_epoch() {
    for compression in ["gzip", "zstd", "uncompressed"] {
        let (image, base) = on_base();
        let layout = export(vec![image], &format!("{WITH_EPOCH},compression={compression}"));
        layout.check_complete();
        let manifest = layout.manifest();
        assert_eq!(manifest.layers[0], base);
        assert!(times(&layout, &base).iter().any(|time| *time > EPOCH), "the base is younger");
        for layer in &manifest.layers[1..] {
            assert_eq!(layer.annotations["buildkit/rewritten-timestamp"], EPOCH.to_string());
            assert!(times(&layout, layer).iter().all(|time| *time <= EPOCH));
        }
        let config = layout.config(&manifest);
        let history = config.history().unwrap();
        assert_eq!(history[0].created.as_deref(), Some("2024-02-02T02:02:02Z"), "C testSourceDateEpochClamp");
        assert!(history[1..].iter().all(|step| step.created.as_deref() == Some(AT_EPOCH)));
        assert_eq!(config.created().unwrap().unwrap().to_string(), AT_EPOCH);
    }
}

/// Files that are old enough keep their time, and everything else stays as it was.
#[test]
fn only_later_times_change() {
    let latest = |layout: &Layout| -> Vec<i64> { times(layout, &layout.manifest().layers[0]) };
    let image = || vec![sample::image(4, 1)];
    let before = latest(&export(image(), "compression=uncompressed"));
    let mut sorted = before.clone();
    sorted.sort_unstable();
    let middle = sorted[sorted.len() / 2];
    let options = format!("compression=uncompressed,rewrite-timestamp=true,source-date-epoch={middle}");
    let after = latest(&export(image(), &options));
    assert!(before.iter().any(|time| *time > middle) && before.iter().any(|time| *time < middle));
    assert_eq!(after, before.iter().map(|time| middle.min(*time)).collect::<Vec<_>>());
}

/// A layer that was made before with other times is made anew; the same times are found again.
#[test]
fn other_times_are_another_layer() {
    let store = Arc::new(MemoryStore::default());
    let digest = |options: &str| {
        let result = BuildResult::new(vec![sample::image(4, 2)]);
        let layout = try_export_to(&result, options, &store).unwrap_or_else(|error| panic!("{}", error.with_causes()));
        layout.check_complete();
        layout.manifest().layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>()
    };
    let plain = digest("");
    let early = digest("rewrite-timestamp=true,source-date-epoch=1000000");
    let earlier = digest("rewrite-timestamp=true,source-date-epoch=999999");
    for (at, layer) in plain.iter().enumerate() {
        assert!(*layer != early[at] && early[at] != earlier[at] && earlier[at] != *layer);
    }
    assert_eq!(digest("rewrite-timestamp=true,source-date-epoch=1000000"), early);
    assert_eq!(digest(""), plain);
}

/// What was rewritten is not changed by rewriting it again, and says so.
#[test]
fn rewriting_twice_is_rewriting_once() {
    let (image, _) = on_base();
    let first = export(vec![image.clone()], &format!("{WITH_EPOCH},compression=uncompressed"));
    let manifest = first.manifest();
    let store = MemoryStore::default();
    let layers = manifest.layers.iter().zip(first.config(&manifest).diff_ids().unwrap()).map(|(layer, diff_id)| {
        let mut descriptor = store.put(layer.media_type.clone(), &first.bytes(&layer.digest));
        // Without the annotation its entries are read again.
        descriptor.annotations.clear();
        (descriptor, diff_id)
    });
    let layers: Vec<_> = layers.collect();
    let store = Arc::new(store);
    let layer = |(descriptor, diff_id): (Descriptor, Digest)| {
        let source = BlobSource::new(descriptor, diff_id, store.clone());
        Arc::new(Layer::new(LayerSource::Blob(source), History::default()))
    };
    let config = first.config(&manifest);
    let artifact = Artifact::new(layers.into_iter().map(layer).collect(), config);
    let again = export(
        vec![Image::new(ImageContent::Built(Built::Single(artifact)))],
        &format!("{WITH_EPOCH},compression=uncompressed"),
    );
    let digests = |manifest: &Manifest| manifest.layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>();
    // The base is one here, and is not rewritten there.
    assert_eq!(digests(&again.manifest())[1..], digests(&manifest)[1..]);
}

#[test]
fn two_outputs_may_want_other_times_of_one_layer() {
    let root = tempfile::tempdir().unwrap();
    let exporters = longshore_core::ExporterRegistry::default().with(longshore_exporter_oci::OciExporter);
    let spec = |name: &str, options: &str| {
        let text = format!("type=oci,dest={}/{name}.tar,{options}", root.path().display());
        longshore_core::OutputSpec::parse(text.trim_end_matches(',')).unwrap().unwrap()
    };
    let specs = [spec("a", ""), spec("b", WITH_EPOCH), spec("c", "compression=zstd")];
    let session = longshore_core::Session::new(&exporters).resolve(&specs).unwrap();
    let result = BuildResult::new(vec![sample::image(4, 2)]);
    let responses = session.export(&result, longshore_core::Store::Spool).unwrap();
    let alone = |options: &str| export(vec![sample::image(4, 2)], options).entry().digest;
    let found: Vec<Digest> = responses.iter().map(|response| response.images[0].root.digest.clone()).collect();
    assert_eq!(found, [alone(""), alone(WITH_EPOCH), alone("compression=zstd")]);
}

/// A silent no-op of BuildKit.
#[test]
fn rewriting_needs_an_epoch() {
    let found = refusal(vec![sample::image(1, 1)], "rewrite-timestamp=true");
    assert!(found.contains("rewrite-timestamp=true without an epoch would change nothing"), "{found}");
    let found = refusal(vec![sample::image(1, 1)], "rewrite-timestamp=true,source-date-epoch=");
    assert!(found.contains("without an epoch"), "{found}");
    let existing = sample::existing(1, &ExistingOptions::default());
    let layout = export(vec![existing], "rewrite-timestamp=true");
    assert!(layout.warnings.iter().any(|text| text.contains("its layers exist already")), "{:?}", layout.warnings);
}

/// The option, then the metadata of the frontend (of the platform before that of the image), then the build: C
/// `testSourceDateEpochLayerTimestamps`, `testSourceDateEpochReset`.
#[test]
fn the_nearest_epoch_counts() {
    let epoch = |text: &str| Some(text.parse().unwrap());
    let created = |metadata: &[(&str, &str)], options: &str| {
        let mut image = sample::image(1, 1);
        for (key, value) in metadata {
            image.metadata.insert((*key).to_owned(), value.as_bytes().to_vec());
        }
        let result = BuildResult::new(vec![image]).with_epoch(epoch("300"));
        let layout = try_export(&result, options).unwrap_or_else(|error| panic!("{}", error.with_causes()));
        let config = layout.config(&layout.manifest());
        let history = config.history().unwrap();
        assert_eq!(history[0].created.as_ref().map(|time| time.parse().unwrap()), config.created().unwrap());
        config.created().unwrap().unwrap().as_second()
    };
    let own = "source.date.epoch/linux/amd64";
    let other = "source.date.epoch/linux/arm64";
    assert_eq!(created(&[], ""), 300);
    assert_eq!(created(&[(SOURCE_DATE_EPOCH, "200")], ""), 200);
    assert_eq!(created(&[(SOURCE_DATE_EPOCH, "200"), (own, "100"), (other, "7")], ""), 100);
    assert_eq!(created(&[(SOURCE_DATE_EPOCH, "200")], "source-date-epoch=50"), 50);
    assert!(created(&[(SOURCE_DATE_EPOCH, "200")], "source-date-epoch=") > 300, "an empty one is none");
    let mut image = sample::image(1, 1);
    image.metadata.insert(SOURCE_DATE_EPOCH.to_owned(), b"soon".to_vec());
    let found = refusal(vec![image], "");
    assert!(found.contains("invalid SOURCE_DATE_EPOCH from the frontend"), "{found}");
}
