//! Image configurations, and whether they match their manifest.

use longshore_core::oci::{Digest, ImageConfig, Platform};
use oci_spec::image::ImageConfiguration;

use super::Problems;
use crate::causes::full;

/// Values of a configuration that others must match.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) platform: Platform,
    pub(super) diff_ids: Vec<Digest>,
}

/// Reads the configuration of an image with `layers` layers, with two parsers.
pub(super) fn read(bytes: &[u8], digest: &Digest, layers: usize, problems: &mut Problems) -> Option<Said> {
    let what = format!("config {digest}");
    let second = ImageConfiguration::from_reader(bytes);
    if let Err(error) = &second {
        problems.add(format!("{what}: oci-spec cannot read it: {}", full(&error)));
    }
    let config = problems.check(ImageConfig::parse(bytes), &what)?;
    let platform = problems.check(config.platform(), &what);
    let diff_ids = problems.check(config.diff_ids(), &what)?;
    let history = problems.check(config.history(), &what)?;
    problems.check(config.created(), &what);
    if diff_ids.len() != layers {
        problems.add(format!("{what}: it has {} diff_ids, but there are {layers} layers", diff_ids.len()));
    }
    let steps = history.iter().filter(|step| !step.empty_layer).count();
    if steps != layers {
        problems.add(format!("{what}: its history has {steps} layers, but there are {layers}"));
    }
    if let Ok(second) = second {
        let texts: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
        if second.rootfs().diff_ids() != &texts || second.rootfs().typ() != "layers" {
            problems.add(format!("{what}: oci-spec reads another rootfs"));
        }
        let (os, architecture) = (second.os().to_string(), second.architecture().to_string());
        if platform.as_ref().is_some_and(|own| own.os != os || own.architecture != architecture) {
            problems.add(format!("{what}: oci-spec reads the platform {os}/{architecture}"));
        }
    }
    Some(Said { platform: platform?, diff_ids })
}
