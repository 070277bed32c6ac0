//! Existing images, as other tools write them.

use std::sync::Arc;

use longshore_core::compression::Algorithm;
use longshore_core::content::MemoryStore;
use longshore_core::oci::{Descriptor, Digest, History, MediaType, Platform};
use longshore_core::{Existing, Image, ImageContent};
use serde_json::{Value, json};

use super::image::{config, layer_seed, platform};
use super::{TarOptions, tar_bytes};

/// What a sample of an existing image is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingOptions {
    /// How many platforms its index has; 0 for a manifest alone.
    pub platforms: usize,
    /// How its layers are compressed, the base first.
    pub layers: Vec<Algorithm>,
    /// Whether its documents have Docker's media types.
    pub docker: bool,
    /// Whether a manifest about it comes along.
    pub referrer: bool,
    /// Whether its index lists, first, an artifact with the manifest of the first platform as a layer of a type that
    /// names no manifest.
    pub carrier: bool,
}

impl Default for ExistingOptions {
    /// An OCI manifest with a layer in each compression.
    fn default() -> Self {
        let layers = vec![Algorithm::Gzip, Algorithm::Zstd, Algorithm::Uncompressed];
        Self { platforms: 0, layers, docker: false, referrer: false, carrier: false }
    }
}

/// An image that is held in memory. Its documents have a field that nobody knows and white space that
/// nobody else writes, so only who passes them through verbatim keeps its digest.
pub fn existing(seed: u64, options: &ExistingOptions) -> Image {
    let store = MemoryStore::default();
    let root = if options.platforms == 0 {
        manifest(&store, seed, 0, options)
    } else {
        let manifests = (0..options.platforms).map(|at| {
            let descriptor = manifest(&store, layer_seed(seed, at * 16), at, options);
            Descriptor { platform: Some(platform(at)), ..descriptor }
        });
        let mut manifests: Vec<Descriptor> = manifests.collect();
        if options.carrier {
            manifests.insert(0, carrier(&store, &manifests[0]));
        }
        let media_type = if options.docker { MediaType::DOCKER_LIST } else { MediaType::INDEX };
        put(&store, media_type, json!({ "manifests": manifests }))
    };
    let referrers = if options.referrer { vec![referrer(&store, &root)] } else { Vec::new() };
    Image::new(ImageContent::Existing(Existing::new(root, Arc::new(store)).with_referrers(referrers)))
}

fn manifest(store: &MemoryStore, seed: u64, platform_at: usize, options: &ExistingOptions) -> Descriptor {
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    let mut history = Vec::new();
    for (at, algorithm) in options.layers.iter().copied().enumerate() {
        let tar = |compression| {
            let options = TarOptions { files: 8, whiteouts: at > 0, compression, ..TarOptions::default() };
            tar_bytes(layer_seed(seed, at), options)
        };
        diff_ids.push(Digest::of(&tar(Algorithm::Uncompressed)));
        layers.push(store.put(layer_type(algorithm, options.docker), &tar(algorithm)));
        let created_by = Some(format!("RUN step {at}"));
        history.push(History { created: Some(CREATED.to_owned()), created_by, ..History::default() });
    }
    let cmd = History { created_by: Some("CMD [\"sh\"]".to_owned()), empty_layer: true, ..History::default() };
    history.push(cmd);
    let mut config = config(&platform(platform_at));
    config.set_diff_ids(diff_ids);
    config.set_history(&history);
    config.set_created(CREATED.parse().expect("a time"));
    let config_type = if options.docker { MediaType::DOCKER_CONFIG } else { MediaType::CONFIG };
    let config = store.put(config_type, &config.to_bytes().expect("a configuration is JSON"));
    let media_type = if options.docker { MediaType::DOCKER_MANIFEST } else { MediaType::MANIFEST };
    put(
        store,
        media_type,
        json!({ "config": config, "layers": layers, "annotations": { "example.sample": "existing" } }),
    )
}

const CREATED: &str = "2020-02-02T02:02:02Z";

/// A manifest about another one, as `cosign` or `oras` attach it.
fn referrer(store: &MemoryStore, subject: &Descriptor) -> Descriptor {
    let artifact_type = "application/vnd.example.sbom";
    let empty = store.put(MediaType::from("application/vnd.oci.empty.v1+json".to_owned()), b"{}");
    let sbom = store.put(MediaType::from(artifact_type.to_owned()), b"{\"packages\":[]}");
    let fields = json!({ "artifactType": artifact_type, "config": empty, "layers": [sbom], "subject": subject });
    Descriptor { artifact_type: Some(artifact_type.to_owned()), ..put(store, MediaType::MANIFEST, fields) }
}

/// An artifact with another manifest as its layer, like those of tools that sign or store any kind of bytes.
fn carrier(store: &MemoryStore, carried: &Descriptor) -> Descriptor {
    let empty = store.put(MediaType::from("application/vnd.oci.empty.v1+json".to_owned()), b"{}");
    let any = MediaType::from("application/octet-stream".to_owned());
    let layer = Descriptor::new(any, carried.digest.clone(), carried.size);
    let fields = json!({ "artifactType": "application/vnd.example.copy", "config": empty, "layers": [layer] });
    let platform = Some(Platform::new("unknown", "unknown", None));
    Descriptor { platform, ..put(store, MediaType::MANIFEST, fields) }
}

fn put(store: &MemoryStore, media_type: MediaType, fields: Value) -> Descriptor {
    let mut document = json!({ "schemaVersion": 2, "mediaType": media_type });
    let all = document.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    all.insert("x-sample".to_owned(), json!({ "zebra": 1, "ant": [null, true] }));
    let text = serde_json::to_string(&document).expect("a document is JSON").replacen(':', " :  ", 1);
    store.put(media_type, format!("{text}\n").as_bytes())
}

fn layer_type(algorithm: Algorithm, docker: bool) -> MediaType {
    if !docker {
        return MediaType::layer(algorithm);
    }
    let suffix = match algorithm {
        Algorithm::Uncompressed => "",
        Algorithm::Gzip => ".gzip",
        Algorithm::Zstd => ".zstd",
    };
    MediaType::from(format!("application/vnd.docker.image.rootfs.diff.tar{suffix}"))
}
