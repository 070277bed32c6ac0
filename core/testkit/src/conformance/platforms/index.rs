//! Indexes for the table, built from a few words each.

use std::sync::Arc;

use longshore_core::Existing;
use longshore_core::compression::Algorithm;
use longshore_core::content::MemoryStore;
use longshore_core::oci::{Descriptor, Digest, MediaType, Platform};
use serde_json::{Value, json};

use crate::sample::{TarOptions, tar_bytes};

/// An entry of an index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    /// An image: its name, its platform in the index, and its platform in its configuration. A platform is
    /// `OS/ARCH[/VARIANT][+FEATURE]`, as in the document; empty for none.
    Image(&'static str, &'static str, &'static str),
    /// An image whose configuration has another media type.
    Typed(&'static str, &'static str, &'static str),
    /// An attestation with this platform in the index and in its configuration.
    Attestation(&'static str, &'static str),
    /// An attestation marked only by its annotation.
    Annotated(&'static str),
    /// A non-image with an image manifest, with this platform in the index.
    Artifact(&'static str),
    /// A signature: an image configuration without a platform.
    Signature,
    /// A blob of an unknown type, with this platform in the index.
    Unknown(&'static str),
    /// A missing manifest, with this platform in the index.
    Missing(&'static str),
    /// A nested index.
    Index(&'static [Node]),
    /// Nested indexes: each of 10 lists the next one 20 times, and the last one lists these.
    Deep(&'static [Node]),
}

/// Returns an image with such an index as its root, and the digests of the configurations in it.
pub(super) fn build(index: &[Node]) -> (Existing, Vec<(&'static str, Digest)>) {
    let store = MemoryStore::default();
    let mut configs = Vec::new();
    let root = put_index(&store, index, &mut configs);
    (Existing::new(root, Arc::new(store)), configs)
}

type Configs = Vec<(&'static str, Digest)>;

fn put_index(store: &MemoryStore, nodes: &[Node], configs: &mut Configs) -> Descriptor {
    let manifests = nodes.iter().map(|node| put_node(store, *node, configs)).collect();
    list(store, manifests)
}

fn list(store: &MemoryStore, manifests: Vec<Descriptor>) -> Descriptor {
    put(store, MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": manifests}))
}

fn put_node(store: &MemoryStore, node: Node, configs: &mut Configs) -> Descriptor {
    let config_type = MediaType::CONFIG;
    let in_toto = || store.put(MediaType::from("application/vnd.in-toto+json".to_owned()), b"{}");
    match node {
        Node::Image(name, listed, own) => listed_as(listed, image(store, name, own, config_type, configs)),
        Node::Typed(name, own, media_type) => image(store, name, own, media_type.to_owned().into(), configs),
        Node::Attestation(listed, own) => {
            listed_as(listed, manifest(store, "attestation", own, config_type, &in_toto()).0)
        }
        Node::Annotated(own) => manifest(store, "attestation", own, config_type, &in_toto())
            .0
            .annotated("vnd.docker.reference.type", "attestation-manifest"),
        Node::Artifact(listed) => {
            let media_type = MediaType::from("application/vnd.example.config".to_owned());
            listed_as(listed, manifest(store, "artifact", listed, media_type, &in_toto()).0)
        }
        Node::Signature => manifest(store, "signature", "", config_type, &in_toto()).0,
        Node::Unknown(listed) => {
            let media_type = MediaType::from("application/vnd.example.later+json".to_owned());
            listed_as(listed, store.put(media_type, b"{\"later\":true}"))
        }
        Node::Missing(listed) => listed_as(listed, Descriptor::of(MediaType::MANIFEST, listed.as_bytes())),
        Node::Index(nodes) => put_index(store, nodes, configs),
        Node::Deep(nodes) => {
            let innermost = put_index(store, nodes, configs);
            (0..10).fold(innermost, |below, _| list(store, vec![below; 20]))
        }
    }
}

fn image(store: &MemoryStore, name: &'static str, own: &str, config: MediaType, configs: &mut Configs) -> Descriptor {
    let layer = tar_bytes(1, TarOptions { files: 1, ..TarOptions::default() });
    let layer = store.put(MediaType::layer(Algorithm::Uncompressed), &layer);
    let (manifest, config) = manifest(store, name, own, config, &layer);
    configs.push((name, config));
    manifest
}

/// Returns a manifest with one layer, and the digest of its configuration.
fn manifest(
    store: &MemoryStore,
    name: &str,
    own: &str,
    config_type: MediaType,
    layer: &Descriptor,
) -> (Descriptor, Digest) {
    let mut config = json!({"example.name": name, "rootfs": {"type": "layers", "diff_ids": [layer.digest]}});
    if let Some(own) = platform(own) {
        let own = serde_json::to_value(own).expect("a platform is JSON");
        let own = own.as_object().expect("a platform is an object").clone();
        config.as_object_mut().expect("an object").extend(own);
    }
    let config = put(store, config_type, &config);
    let document = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    (put(store, MediaType::MANIFEST, &document), config.digest)
}

fn put(store: &MemoryStore, media_type: MediaType, document: &Value) -> Descriptor {
    store.put(media_type, document.to_string().as_bytes())
}

fn listed_as(listed: &str, descriptor: Descriptor) -> Descriptor {
    Descriptor { platform: platform(listed), ..descriptor }
}

/// Returns a platform as in a document, not normalised.
fn platform(text: &str) -> Option<Platform> {
    let (text, feature) = text.split_once('+').map_or((text, None), |(text, feature)| (text, Some(feature)));
    let mut words = text.split('/').filter(|word| !word.is_empty()).map(str::to_owned);
    Some(Platform {
        os: words.next()?,
        architecture: words.next()?,
        os_version: None,
        os_features: feature.into_iter().map(str::to_owned).collect(),
        variant: words.next(),
    })
}
