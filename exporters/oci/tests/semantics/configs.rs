//! Configurations and history, completed in BuildKit's order.

use std::sync::Arc;

use indexmap::IndexMap;
use longshore_core::layer::{Layer, LayerSource, Rules, TarSource};
use longshore_core::oci::{History, ImageConfig, Platform};
use longshore_core::{Artifact, Built, Image, ImageContent};
use longshore_testkit::sample::{MemoryTar, TarOptions, tar_bytes};

use super::{Layout, export, refusal};

fn layer(seed: u64, created: Option<&str>) -> Arc<Layer> {
    let stream = Arc::new(MemoryTar::new("a layer", tar_bytes(seed, TarOptions::default())));
    let history = History {
        created: created.map(str::to_owned),
        created_by: Some(format!("layer {seed}")),
        ..History::default()
    };
    Arc::new(Layer::new(LayerSource::Tar(TarSource::new(stream, Rules::default())), history))
}

fn image(layers: Vec<Arc<Layer>>, config: &str) -> Image {
    let config =
        if config.is_empty() { ImageConfig::default() } else { ImageConfig::parse(config.as_bytes()).unwrap() };
    Image::new(ImageContent::Built(Built::Single(Artifact::new(layers, config))))
}

fn config_text(layout: &Layout) -> String {
    String::from_utf8(layout.bytes(&layout.manifest().config.digest)).unwrap()
}

/// C `testBuildExportScratch`, D `testDockerfileScratchConfig`: no layers, an entry that made none, and lists that are
/// empty instead of `null`.
#[test]
fn build_export_scratch() {
    let platform = Platform::host();
    let layout = export(vec![image(Vec::new(), "")], "");
    layout.check_complete();
    let expected = format!(
        r#"{{"architecture":"{}","config":{{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"}},"history":[],"os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#,
        platform.architecture
    );
    assert_eq!(config_text(&layout), expected);
    let bytes = String::from_utf8(layout.bytes(&layout.entry().digest)).unwrap();
    assert!(bytes.ends_with("\"layers\": []\n}"), "{bytes}");
    let artifacts = ["linux/amd64", "linux/arm64"].map(|platform| {
        let platform: Platform = platform.parse().unwrap();
        (platform.clone(), Artifact::new(Vec::new(), ImageConfig::with_defaults(&platform)))
    });
    let artifacts = IndexMap::from_iter(artifacts);
    let multi = export(vec![Image::new(ImageContent::Built(Built::Platforms(artifacts)))], "");
    let platforms: Vec<String> =
        multi.index().manifests.iter().map(|listed| listed.platform.as_ref().unwrap().to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}

/// Windows has no such `PATH`.
#[test]
fn defaults_fit_the_platform() {
    let windows = ImageConfig::with_defaults(&"windows/amd64".parse().unwrap());
    assert_eq!(windows.run_config().unwrap().get::<Vec<String>>("Env").unwrap(), None);
}

/// D `testExportedHistory`: as many entries with a layer as there are layers, each entry with a time.
#[test]
fn exported_history() {
    let history = |layout: &Layout| layout.config(&layout.manifest()).history().unwrap();
    let config = |history: &str| format!(r#"{{"architecture":"amd64","os":"linux","history":{history}}}"#);
    let (first, later) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");

    // Too few: one for each layer that has none. Those without a time have that of their layer.
    let steps = format!(r#"[{{"created_by":"ENV"}},{{"created":"{first}","created_by":"CMD","empty_layer":true}}]"#);
    let layers = vec![layer(1, Some(later)), layer(2, Some(first))];
    let found = history(&export(vec![image(layers, &config(&steps))], ""));
    let of = |at: usize| (found[at].created.as_deref().unwrap(), found[at].created_by.as_deref().unwrap());
    assert_eq!((found.len(), of(0), of(1), of(2)), (3, (later, "ENV"), (first, "CMD"), (first, "layer 2")));

    // Too many: the last ones made no layer.
    let steps = format!(r#"[{{"created":"{first}","created_by":"a"}},{{"created_by":"b"}},{{"created_by":"c"}}]"#);
    let layout = export(vec![image(vec![layer(1, None)], &config(&steps))], "");
    let found = history(&layout);
    assert_eq!(found.iter().map(|step| step.empty_layer).collect::<Vec<_>>(), [false, true, true]);
    assert!(found.iter().all(|step| step.created.as_deref() == Some(first)), "the time before is carried on");
    assert!(layout.warnings.iter().any(|text| text == "the history lists 3 layers, but there are 1"));

    // The first ones have the time of the first one that has any.
    let steps = format!(
        r#"[{{"created_by":"a","empty_layer":true}},{{"created":"{later}","created_by":"b","empty_layer":true}}]"#
    );
    let layout = export(vec![image(Vec::new(), &config(&steps))], "");
    assert!(history(&layout).iter().all(|step| step.created.as_deref() == Some(later)));
    assert_eq!(layout.config(&layout.manifest()).created().unwrap().unwrap().to_string(), later);
}

/// Entries after the first gap got the time before it, and those before a layer none, though it has one.
#[test]
fn a_gap_in_the_history_is_filled_with_the_next_time() {
    let times = |layers: &[Option<&str>], steps: &[(Option<&str>, bool)]| -> Vec<Option<String>> {
        let steps = steps.iter().enumerate().map(|(at, (created, empty_layer))| History {
            created: created.map(str::to_owned),
            created_by: Some(format!("step {at}")),
            empty_layer: *empty_layer,
            ..History::default()
        });
        let mut config = ImageConfig::new(&Platform::new("linux", "amd64", None));
        config.set_history(&steps.collect::<Vec<_>>());
        let layers = layers.iter().zip(1..).map(|(created, seed)| layer(seed, *created)).collect();
        let artifact = Artifact::new(layers, config);
        let layout = export(vec![Image::new(ImageContent::Built(Built::Single(artifact)))], "");
        let history = layout.config(&layout.manifest()).history().unwrap();
        history.into_iter().map(|step| step.created).collect()
    };
    let (a, b, c) = (Some("2020-01-01T00:00:00Z"), Some("2021-01-01T00:00:00Z"), Some("2022-01-01T00:00:00Z"));
    let expected = |times: &[Option<&str>]| times.iter().map(|time| time.map(str::to_owned)).collect::<Vec<_>>();
    let (empty, filled) = (true, false);
    // The time of a layer is a time after the gap, whether it is in the history or not.
    assert_eq!(times(&[c], &[(None, empty), (None, filled)]), expected(&[c, c]));
    assert_eq!(times(&[c], &[(None, empty)]), expected(&[c, c]));
    assert_eq!(times(&[b], &[(a, empty), (None, empty), (b, filled), (None, empty)]), expected(&[a, b, b, b]));
    // Further gaps carry the time before them on.
    let steps = [(a, empty), (None, empty), (b, empty), (None, empty), (None, filled), (None, empty)];
    assert_eq!(times(&[c], &steps), expected(&[a, b, b, b, c, c]));
    assert_eq!(times(&[], &[(None, empty), (None, empty)]), expected(&[None, None]));
}

/// Fields that nobody knows stay, and the keys are sorted as Go sorts them.
#[test]
fn unknown_fields_are_kept() {
    let config = r#"{"os":"linux","zebra":{"b":1,"a":[1.50]},"architecture":"amd64","ant":"<&>"}"#;
    let found = config_text(&export(vec![image(Vec::new(), config)], ""));
    let expected = r#"{"ant":"\u003c\u0026\u003e","architecture":"amd64","history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]},"zebra":{"b":1,"a":[1.50]}}"#;
    assert_eq!(found, expected);
}

/// C `testValidateInvalidConfig`.
#[test]
fn validate_invalid_config() {
    for (config, expected) in [
        (r#"{"os":"linux"}"#, "invalid image config: missing architecture"),
        (r#"{"architecture":"amd64"}"#, "invalid image config: missing os"),
    ] {
        let found = refusal(vec![image(Vec::new(), config)], "");
        assert!(found.contains(expected), "{found}");
    }
}
