//! The images of an engine, as its documents describe them.

use longshore_oci::Digest;
use serde::Deserialize;

/// How an engine keeps images, which decides what it can do without in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Docker's graph drivers: layers, by chain ID. The ID of an image is the digest of its configuration.
    Layers,
    /// containerd's store: blobs, by digest. The ID of an image is the digest of its root, a manifest or an index.
    Blobs,
    /// Podman's storage: layers, and the digests of the blobs that they came in. The ID of an image is the digest of
    /// its configuration.
    LayersOfBlobs,
}

/// An image in the list of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineImage {
    /// Its ID: see [`Keeps`].
    pub id: Digest,
    /// Its names.
    pub tags: Vec<String>,
    /// The manifests of which the engine says that it has all content; `None` where engines of its kind, or its age, do
    /// not say.
    pub complete: Option<Vec<Digest>>,
}

/// An image that an engine was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its ID: see [`Keeps`].
    pub id: Digest,
    /// Its names.
    pub tags: Vec<String>,
    /// The diffIDs of its layers, the base first.
    pub diff_ids: Vec<Digest>,
}

/// An entry of `GET /images/json`. Its digests are read one by one: an entry with an odd one is of no use, but no error.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
    #[serde(rename = "Manifests")]
    manifests: Option<Vec<ListedManifest>>,
    /// The digest of the manifest, which only Podman has there.
    #[serde(rename = "Digest")]
    digest: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ListedManifest {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Available")]
    is_available: bool,
}

impl Listed {
    pub(crate) fn image(self, keeps: Keeps) -> Option<EngineImage> {
        let complete: Option<Vec<String>> = match keeps {
            Keeps::Layers => None,
            Keeps::Blobs => self.manifests.map(|manifests| {
                let complete = manifests.into_iter().filter(|manifest| manifest.is_available);
                complete.map(|manifest| manifest.id).collect()
            }),
            Keeps::LayersOfBlobs => self.digest.map(|digest| vec![digest]),
        };
        let parse = |digests: Vec<String>| digests.iter().filter_map(|digest| digest.parse().ok()).collect();
        let complete = complete.map(parse);
        Some(EngineImage { id: self.id.parse().ok()?, tags: tags(self.tags), complete })
    }
}

/// The part of `GET /images/NAME/json` that is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Description {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
    #[serde(rename = "RootFS")]
    root: Option<Root>,
}

#[derive(Debug, Deserialize)]
struct Root {
    #[serde(rename = "Layers")]
    layers: Option<Vec<String>>,
}

impl Description {
    pub(crate) fn image(self) -> Option<Inspected> {
        let layers = self.root.and_then(|root| root.layers).unwrap_or_default();
        let diff_ids = layers.iter().map(|layer| layer.parse().ok()).collect::<Option<_>>()?;
        Some(Inspected { id: self.id.parse().ok()?, tags: tags(self.tags), diff_ids })
    }
}

/// Returns the names of an image, without the word that older engines have for none.
fn tags(tags: Option<Vec<String>>) -> Vec<String> {
    tags.unwrap_or_default().into_iter().filter(|tag| tag != "<none>:<none>").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:1fbc50405beb876f5e74eee1792b934ac85964350fc54b65732d6086effad3d6";
    const B: &str = "sha256:b3ea09b9ac46e845758db5670ccfbf6bbd61a279ed38bda51e905a9d44e15dfe";

    fn listed(text: &str, keeps: Keeps) -> Option<EngineImage> {
        serde_json::from_str::<Listed>(text).unwrap().image(keeps)
    }

    /// An image of containerd's store may lack content; only what the engine calls available counts.
    #[test]
    fn a_manifest_is_complete_if_the_engine_says_so() {
        let text = format!(
            r#"{{"Id":"{A}","RepoTags":[],"Manifests":[{{"ID":"{A}","Available":false}},{{"ID":"{B}","Available":true}}]}}"#
        );
        assert_eq!(listed(&text, Keeps::Blobs).unwrap().complete, Some(vec![B.parse().unwrap()]));
        assert_eq!(listed(&text, Keeps::Layers).unwrap().complete, None);
        let old = format!(r#"{{"Id":"{A}","RepoTags":["<none>:<none>"]}}"#);
        let expected = EngineImage { id: A.parse().unwrap(), tags: Vec::new(), complete: None };
        assert_eq!(listed(&old, Keeps::Blobs).unwrap(), expected);
        let podman = format!(r#"{{"Id":"{A}","RepoTags":null,"Digest":"{B}"}}"#);
        assert_eq!(listed(&podman, Keeps::LayersOfBlobs).unwrap().complete, Some(vec![B.parse().unwrap()]));
        assert_eq!(listed(r#"{"Id":"x"}"#, Keeps::Layers), None);
    }
}
