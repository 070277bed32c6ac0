//! Images and results from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_core::layer::Layer;
use longshore_core::oci::{ImageConfig, Platform};
use longshore_core::{Artifact, BuildResult, Built, Image, ImageContent};

use super::{TarOptions, tar_layer};

/// An image for `linux/amd64` of that many layers, named `registry.example/sample:SEED`. Layers after
/// the first delete files of it.
pub fn image(seed: u64, layers: usize) -> Image {
    let layers = (0..layers).map(|at| tar_layer(layer_seed(seed, at), options(at)));
    image_of(layers.collect()).with_names(vec![name(seed)])
}

/// An image for `linux/amd64` of any layers, without a name.
pub fn image_of(layers: Vec<Arc<Layer>>) -> Image {
    let artifact = Artifact::new(layers, config(&platform(0)));
    Image::new(ImageContent::Built(Built::Single(artifact)))
}

/// An image for that many platforms, which share their first layer.
pub fn multi_platform(seed: u64, platforms: usize) -> Image {
    let shared = tar_layer(seed, options(0));
    let artifact = |at| {
        let own = tar_layer(layer_seed(seed, at + 1), options(at + 1));
        (platform(at), Artifact::new(vec![shared.clone(), own], config(&platform(at))))
    };
    let artifacts: IndexMap<Platform, Artifact> = (0..platforms).map(artifact).collect();
    Image::new(ImageContent::Built(Built::Platforms(artifacts))).with_names(vec![name(seed)])
}

/// A result of `images`, without an epoch.
pub fn result(images: Vec<Image>) -> BuildResult {
    BuildResult::new(images)
}

/// Returns the contents of the layer at this index in an image.
pub(super) fn options(at: usize) -> TarOptions {
    TarOptions { files: 40 / (at + 1), whiteouts: at > 0, ..TarOptions::default() }
}

/// Returns the seed of the layer at this index in an image. Images of neighbouring seeds share none.
pub(super) fn layer_seed(seed: u64, at: usize) -> u64 {
    seed.wrapping_add((at as u64) << 32)
}

pub(super) fn platform(at: usize) -> Platform {
    let known = [
        ("amd64", None),
        ("arm64", None),
        ("arm", Some("v7")),
        ("riscv64", None),
        ("s390x", None),
        ("ppc64le", None),
        ("arm", Some("v6")),
        ("386", None),
    ];
    let (architecture, variant) = *known.get(at).expect("samples have at most 8 platforms");
    Platform::new("linux", architecture, variant)
}

fn name(seed: u64) -> longshore_core::oci::ImageName {
    format!("registry.example/sample:{seed}").parse().expect("the name of a sample is a name")
}

/// Returns a configuration as built from a Dockerfile.
pub(super) fn config(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig::new(platform);
    let mut run = config.run_config().expect("a new configuration has none");
    run.set("Env", &["PATH=/usr/bin", "ODD=<&>é"]);
    run.set("Cmd", &["/usr/bin/tool", "--serve"]);
    run.set("WorkingDir", &"/opt");
    run.set("Labels", &BTreeMap::from([("example.sample", "yes"), ("example.again", "a=b")]));
    config.set_run_config(&run);
    config
}
