//! `manifest.json`, Docker's description of the images in a tarball, and the parts that a layout beside it lacks.

use std::collections::{HashMap, HashSet};

use longshore_core::content::{Progress, Provider, read};
use longshore_core::layout::valid_names;
use longshore_core::oci::{
    Descriptor, Digest, ImageConfig, ImageName, Index, MANIFEST_LIMIT, Manifest, MediaType, json, parse_index,
    parse_manifest,
};
use longshore_core::{Context, Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// An image in `manifest.json`. Other fields that Docker writes there are redundant.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) config: String,
    pub(crate) repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// A manifest made for an image, as Docker's format has none.
pub(crate) struct MadeManifest {
    pub(crate) root: Descriptor,
    pub(crate) bytes: Vec<u8>,
    pub(crate) config: Digest,
    /// Its configuration and its layers.
    pub(crate) references: Vec<Digest>,
}

/// Reads `manifest.json`.
///
/// # Errors
/// Anything but a list of images, stating the image and the invalid field.
pub(crate) fn items(manifest: &[u8]) -> Result<Vec<Item>> {
    let items: Option<Vec<&RawValue>> = serde_json::from_slice(manifest)
        .map_err(|error| Error::input("`manifest.json` is not a list of images").with_source(error))?;
    let items = items.ok_or_else(|| Error::input("`manifest.json` is `null`"))?;
    let read = |(at, item): (usize, &&RawValue)| {
        item_of(item).attempt(|| format!("cannot read image {} of `manifest.json`", at + 1))
    };
    items.iter().enumerate().map(read).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    config: Option<Value>,
    repo_tags: Option<Value>,
    layers: Option<Value>,
}

fn item_of(item: &RawValue) -> Result<Item> {
    let fields: Fields =
        serde_json::from_str(item.get()).map_err(|error| Error::input("it is malformed").with_source(error))?;
    let config = field(fields.config, "Config", "a string")?;
    Ok(Item {
        config: config.ok_or_else(|| Error::input("it has no `Config`"))?,
        repo_tags: field(fields.repo_tags, "RepoTags", "a list of strings")?.unwrap_or_default(),
        layers: field(fields.layers, "Layers", "a list of strings")?.unwrap_or_default(),
    })
}

/// A field that may be missing or `null`.
fn field<T: DeserializeOwned>(value: Option<Value>, key: &str, kind: &str) -> Result<Option<T>> {
    let parse = |value| serde_json::from_value(value).map_err(|error| not_of_kind(key, kind).with_source(error));
    value.map(parse).transpose()
}

fn not_of_kind(key: &str, kind: &str) -> Error {
    Error::input(format!("`{key}` is not {kind}"))
}

impl Item {
    /// Returns the tags that are valid names. Warns about others and drops them, as nothing can refer to them.
    pub(crate) fn names(&self, progress: &Progress) -> Vec<ImageName> {
        valid_names(&self.repo_tags, progress)
    }

    /// Makes the manifest of an image with this configuration. `layer` finds the layer at a path, which must have
    /// a diffID.
    pub(crate) fn manifest(
        &self,
        config: &[u8],
        mut layer: impl FnMut(&str, &Digest) -> Result<Descriptor>,
    ) -> Result<MadeManifest> {
        let parsed = ImageConfig::parse(config).attempt(|| format!("cannot read config `{}`", self.config))?;
        let diff_ids = parsed.diff_ids()?;
        if diff_ids.len() != self.layers.len() {
            let (layers, listed) = (self.layers.len(), diff_ids.len());
            let message = format!("config `{}` lists {listed} layers, `manifest.json` {layers}", self.config);
            return Err(Error::input(message));
        }
        let layers = self.layers.iter().zip(&diff_ids);
        let layers =
            layers.map(|(path, diff_id)| layer(path, diff_id).attempt(|| format!("cannot read layer `{path}`")));
        let layers: Vec<Descriptor> = layers.collect::<Result<_>>()?;
        let config = Descriptor::of(MediaType::CONFIG, config);
        if self.claimed().is_some_and(|claimed| claimed != config.digest) {
            return Err(Error::corrupt(format!("config `{}` has the digest {}", self.config, config.digest)));
        }
        let references = [&config].into_iter().chain(&layers).map(|blob| blob.digest.clone()).collect();
        let bytes = json::indented(&Manifest::new(config.clone(), layers))?;
        Ok(MadeManifest { root: Descriptor::of(MediaType::MANIFEST, &bytes), bytes, config: config.digest, references })
    }

    /// Returns the digest stated in the path of the configuration, which is the image ID.
    fn claimed(&self) -> Option<Digest> {
        let name = self.config.rsplit('/').next().unwrap_or(&self.config).trim_end_matches(".json");
        format!("sha256:{name}").parse().ok()
    }
}

/// Returns whether `manifest.json` has images or layers that the layout beside it lacks. Docker 25.0 wrote such
/// tarballs: the index of their layout lists no image, or a manifest no layers. Other tools list some images only.
///
/// # Errors
/// Each of the two has an image that the other lacks, so that either would lose one. Those of `items`, which reads
/// `manifest.json`, if the layout cannot be complete; it returns `None` if the file is missing.
pub(crate) fn is_hollow(
    index: &Index,
    provider: &dyn Provider,
    items: impl FnOnce() -> Result<Option<Vec<Item>>>,
) -> Result<bool> {
    // An unreadable document is an error of the layout, raised where that is used.
    let Ok(layers) = layers_by_config(index, provider) else { return Ok(false) };
    let items = match items() {
        Ok(Some(items)) => items,
        Err(error) if layers.is_empty() || layers.values().any(|count| *count == 0) => return Err(error),
        Ok(None) | Err(_) => return Ok(false),
    };
    if index.manifests.is_empty() {
        return Ok(true);
    }
    let claimed: Vec<(Digest, usize)> =
        items.iter().filter_map(|item| Some((item.claimed()?, item.layers.len()))).collect();
    let lacks = |(config, count): &(Digest, usize)| layers.get(config).is_none_or(|found| found < count);
    let Some((lost, _)) = claimed.iter().find(|each| lacks(each)) else { return Ok(false) };
    let is_claimed = |config: &Digest| claimed.iter().any(|(each, _)| each == config);
    if items.len() > claimed.len() || layers.keys().all(is_claimed) {
        return Ok(true);
    }
    let message = "its `manifest.json` and its `index.json` list different images";
    Err(Error::input(message).with_hint(format!("export the images again: image {lost} is in `manifest.json` only")))
}

/// Returns how many layers the images of a layout have, by the digests of their configurations, through nested indexes.
fn layers_by_config(index: &Index, provider: &dyn Provider) -> Result<HashMap<Digest, usize>> {
    let mut layers = HashMap::new();
    let mut seen = HashSet::new();
    let mut left: Vec<(Descriptor, bool)> = index.manifests.iter().map(|entry| (entry.clone(), true)).collect();
    while let Some((entry, is_top)) = left.pop() {
        let is_index = entry.media_type.is_index();
        if !(is_index || entry.media_type.is_manifest()) || !seen.insert(entry.digest.clone()) {
            continue;
        }
        let bytes = match read(provider, &entry, MANIFEST_LIMIT) {
            // An archive may have some platforms only.
            Err(error) if error.kind() == ErrorKind::NotFound && !is_top => continue,
            bytes => bytes?,
        };
        if is_index {
            left.extend(parse_index(&entry, &bytes)?.manifests.into_iter().map(|entry| (entry, false)));
        } else {
            let Manifest { config, layers: listed, .. } = parse_manifest(&entry, &bytes)?;
            // Attestations have a configuration, too, but no layers that are archives.
            let is_image =
                listed.is_empty() || listed.iter().any(|layer| layer.media_type.layer_compression().is_some());
            if config.media_type.may_be_config() && is_image {
                let most = layers.entry(config.digest).or_insert(0);
                *most = listed.len().max(*most);
            }
        }
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_another_type_is_named_with_its_image() {
        let good = r#"{"Config":"a","RepoTags":null,"Layers":null}"#;
        assert_eq!(items(format!("[{good}]").as_bytes()).unwrap()[0].layers, Vec::<String>::new());
        for (item, expected) in [
            (r#"{"Config":"a","RepoTags":"app:1"}"#, "`RepoTags` is not a list of strings"),
            (r#"{"Config":"a","RepoTags":[1]}"#, "`RepoTags` is not a list of strings"),
            (r#"{"Config":"a","RepoTags":{"app":"1"}}"#, "`RepoTags` is not a list of strings"),
            (r#"{"Config":"a","Layers":"x.tar"}"#, "`Layers` is not a list of strings"),
            (r#"{"Config":["a"]}"#, "`Config` is not a string"),
            (r#"{"Layers":[]}"#, "it has no `Config`"),
            (r#"{"Config":null}"#, "it has no `Config`"),
            (r#"{"Config":"a","Config":"b"}"#, "it is malformed"),
            (r#""a.json""#, "it is malformed"),
        ] {
            let error = items(format!("[{good}, {item}]").as_bytes()).unwrap_err();
            let expected = format!("cannot read image 2 of `manifest.json`: {expected}");
            assert!(error.with_causes().starts_with(&expected), "{item}: {}", error.with_causes());
        }
        assert_eq!(items(br#"{"Config":"a"}"#).unwrap_err().message(), "`manifest.json` is not a list of images");
    }
}
