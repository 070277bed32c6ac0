//! What is known of an image, to compare with what others say of it.

use std::fs;
use std::path::{Path, PathBuf};

use longshore_core::oci::Digest;
use serde_json::Value;

/// The architecture of this machine, as images call it.
pub(crate) const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// An image; of several platforms, the one of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Image {
    pub(crate) name: String,
    /// Of the manifest, or of the index of platforms.
    pub(crate) digest: String,
    /// Of the configuration: the image ID.
    pub(crate) config: String,
    pub(crate) diff_ids: Vec<String>,
}

impl Image {
    pub(crate) fn tag(&self) -> &str {
        self.name.rsplit_once(':').unwrap().1
    }

    /// What a tarball without an OCI layout says of it.
    pub(crate) fn without_digest(&self) -> Self {
        Self { digest: String::new(), ..self.clone() }
    }

    /// The name of all its layers together.
    pub(crate) fn chain_id(&self) -> String {
        let diff_ids = self.diff_ids.iter().cloned();
        diff_ids.reduce(|below, id| Digest::of(format!("{below} {id}").as_bytes()).to_string()).unwrap()
    }
}

/// The images of an output, of which `--metadata-file` gives the names, and digests of blobs in `layout`. By name.
pub(crate) fn images(layout: &Path, output: &Value) -> Vec<Image> {
    let images = output["images"].as_array().unwrap().iter();
    let mut images: Vec<Image> = images.map(|image| read_image(layout, image)).collect();
    images.sort();
    images
}

fn read_image(layout: &Path, image: &Value) -> Image {
    let digest = text(&image["root"]["digest"]);
    let mut manifest = read_json(&blob(layout, &digest));
    if let Some(platforms) = manifest["manifests"].as_array() {
        let host = platforms.iter().find(|platform| platform["platform"]["architecture"] == HOST).unwrap();
        manifest = read_json(&blob(layout, &text(&host["digest"])));
    }
    let config = text(&manifest["config"]["digest"]);
    assert!(image["config"].is_null() || image["config"] == config.as_str(), "{image} has {config}");
    let diff_ids =
        read_json(&blob(layout, &config))["rootfs"]["diff_ids"].as_array().unwrap().iter().map(text).collect();
    Image { name: text(&image["names"][0]), digest, config, diff_ids }
}

/// The digests of the blobs that a blob refers to, and of those that these do.
pub(crate) fn referenced(layout: &Path, digest: &str) -> Vec<String> {
    let document = read_json(&blob(layout, digest));
    let manifests = document["manifests"].as_array().into_iter().flatten().map(|manifest| text(&manifest["digest"]));
    let below = manifests.flat_map(|manifest| [referenced(layout, &manifest), vec![manifest]].concat());
    let layers = document["layers"].as_array().into_iter().flatten();
    let own = layers.chain([&document["config"]]).filter(|blob| !blob.is_null()).map(|blob| text(&blob["digest"]));
    below.chain(own).collect()
}

pub(crate) fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
}

pub(crate) fn read_json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text")).to_owned()
}
