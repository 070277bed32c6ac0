//! `manifest.json` and `repositories`: the images in the archive, and their names.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::Result;
use longshore_core::oci::{Descriptor, Digest, ImageName, MediaType, Platform};
use serde::Serialize;

use super::json;
use super::plan::{LAYER, SavedImage};

/// An image as listed in both documents.
#[derive(Debug)]
pub(super) struct Listed {
    id: Digest,
    /// Their v1 IDs, the base first.
    layers: Vec<String>,
    tags: Vec<Tag>,
    parent: Option<Digest>,
    foreign: BTreeMap<Digest, Descriptor>,
}

/// A familiar name, split at its tag.
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    name: String,
    tag: String,
}

/// An image in `manifest.json`, in the field order of Go's struct.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'a> {
    config: String,
    /// `null` for an image without tags.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a Digest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    layer_sources: BTreeMap<&'a Digest, LayerSource<'a>>,
}

/// A descriptor in the field order of distribution's struct, which differs from OCI's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerSource<'a> {
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    urls: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
}

impl Listed {
    pub(super) fn new(id: Digest, layers: Vec<String>) -> Self {
        Self { id, layers, tags: Vec::new(), parent: None, foreign: BTreeMap::new() }
    }

    /// Adds the names and origins of `image`, which has this ID.
    pub(super) fn add(&mut self, image: &SavedImage) {
        for tag in image.names.iter().filter_map(Tag::of) {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
        if self.parent.is_none() {
            self.parent.clone_from(&image.parent);
        }
        for layer in &image.layers {
            if let Some(foreign) = &layer.foreign {
                self.foreign.entry(layer.diff_id.clone()).or_insert_with(|| foreign.clone());
            }
        }
    }
}

impl Tag {
    /// A name with a digest is not a tag, even if it has one: Docker refuses to load such a name.
    fn of(name: &ImageName) -> Option<Self> {
        let tag = name.tag().filter(|_| name.digest().is_none())?;
        let familiar = name.familiar();
        let name = familiar.strip_suffix(tag)?.strip_suffix(':')?;
        Some(Self { name: name.to_owned(), tag: tag.to_owned() })
    }
}

/// Returns the documents of an archive with `images`, by file name.
///
/// `repositories` exists if there is a tag. It lists one image for each tag: the last one, as
/// loading all of `manifest.json` leaves the tag on it.
pub(super) fn documents(images: &[Listed]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let ids: BTreeSet<&Digest> = images.iter().map(|image| &image.id).collect();
    let items: Vec<Item<'_>> = images.iter().map(|image| item(image, &ids)).collect();
    let mut documents = vec![("manifest.json", json::line(&items)?)];
    let mut repositories: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for image in images {
        let Some(top) = image.layers.last() else { continue };
        for Tag { name, tag } in &image.tags {
            repositories.entry(name).or_default().insert(tag, top);
        }
    }
    if !repositories.is_empty() {
        documents.push(("repositories", json::line(&repositories)?));
    }
    Ok(documents)
}

fn item<'a>(image: &'a Listed, ids: &BTreeSet<&Digest>) -> Item<'a> {
    let tags: Vec<String> = image.tags.iter().map(|Tag { name, tag }| format!("{name}:{tag}")).collect();
    // As in Docker: only another saved image, not itself.
    let is_saved = |parent: &&Digest| ids.contains(parent) && **parent != image.id;
    Item {
        config: format!("{}.json", image.id.hex()),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: image.layers.iter().map(|id| format!("{id}/{LAYER}")).collect(),
        parent: image.parent.as_ref().filter(is_saved),
        layer_sources: image.foreign.iter().map(|(diff_id, foreign)| (diff_id, source(foreign))).collect(),
    }
}

fn source(descriptor: &Descriptor) -> LayerSource<'_> {
    LayerSource {
        media_type: &descriptor.media_type,
        size: descriptor.size,
        digest: &descriptor.digest,
        urls: &descriptor.urls,
        annotations: &descriptor.annotations,
        platform: descriptor.platform.as_ref(),
    }
}

fn is_zero(size: &u64) -> bool {
    *size == 0
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Content, records};
    use super::super::samples::{ONE, THREE, TWO, config, diff_ids, image};
    use super::*;

    /// `manifest.json` and `repositories` of an archive with `images`.
    fn documents(images: &[SavedImage]) -> [Option<serde_json::Value>; 2] {
        let records = records(images, true, &|_| 0).unwrap();
        ["manifest.json", "repositories"].map(|name| {
            let record = records.iter().find(|record| record.entry.path == name.as_bytes())?;
            let Content::Bytes(bytes) = &record.content else { panic!("{name} is no document") };
            assert!(bytes.ends_with(b"}\n") || bytes.ends_with(b"]\n"));
            Some(serde_json::from_slice(bytes).unwrap())
        })
    }

    const TOP: &str = "6ef7264dc11865d5194d51dcc9534e86fac0be10e1dfdeee6fbb42b1a9be9ecb";

    #[test]
    fn an_image_that_is_given_twice_is_listed_once_with_all_its_names() {
        let names = ["plain:t", "registry.example:5000/x/plain:1", "plain:t"];
        let again = ["docker.io/library/plain:t", "plain"];
        let [manifest, repositories] = documents(&[
            image(ONE, "a", &names),
            image(TWO, "ab", &[]),
            SavedImage { parent: Some(Digest::of(&config(TWO, "ab"))), ..image(ONE, "a", &again) },
        ]);
        let manifest = manifest.unwrap();
        assert_eq!(manifest.as_array().unwrap().len(), 2);
        let tags = ["plain:t", "registry.example:5000/x/plain:1", "plain:latest"];
        assert_eq!(manifest[0]["RepoTags"], serde_json::json!(tags));
        assert_eq!(manifest[0]["Parent"], Digest::of(&config(TWO, "ab")).to_string());
        assert_eq!(manifest[1]["RepoTags"], serde_json::Value::Null);
        let expected = serde_json::json!({
            "plain": {"latest": TOP, "t": TOP},
            "registry.example:5000/x/plain": {"1": TOP},
        });
        assert_eq!(repositories, Some(expected));
    }

    #[test]
    fn names_by_digest_are_no_tags() {
        let digest = Digest::of(b"x");
        let names = [format!("plain@{digest}"), format!("plain:t@{digest}")];
        let [manifest, repositories] = documents(&[image(ONE, "a", &names.each_ref().map(String::as_str))]);
        assert_eq!(manifest.unwrap()[0]["RepoTags"], serde_json::Value::Null);
        assert_eq!(repositories, None);
    }

    #[test]
    fn a_tag_of_two_images_is_that_of_the_last() {
        for (images, top) in [
            ([image(TWO, "ab", &["x:t"]), image(ONE, "a", &["x:t"])], TOP),
            (
                [image(ONE, "a", &["x:t"]), image(TWO, "ab", &["x:t"])],
                "dedec9e218961afcfa5c82d7f5d84b11e1da69cc70e8db0d4645c2c672c721e0",
            ),
        ] {
            assert_eq!(documents(&images)[1], Some(serde_json::json!({"x": {"t": top}})));
        }
    }

    #[test]
    fn a_parent_is_named_if_it_is_in_the_archive() {
        let id = |image: &SavedImage| Digest::of(&image.config);
        let parent = image(ONE, "a", &[]);
        let child = SavedImage { parent: Some(id(&parent)), ..image(TWO, "ab", &[]) };
        let own = SavedImage { parent: Some(id(&image(THREE, "abc", &[]))), ..image(THREE, "abc", &[]) };
        let parents = |images: &[SavedImage]| -> Vec<Option<String>> {
            let manifest = documents(images)[0].clone().unwrap();
            manifest.as_array().unwrap().iter().map(|item| Some(item.get("Parent")?.as_str()?.to_owned())).collect()
        };
        let name = Some(id(&parent).to_string());
        assert_eq!(parents(&[parent.clone(), child.clone()]), [None, name.clone()]);
        assert_eq!(parents(&[child.clone(), parent]), [name, None]);
        assert_eq!(parents(&[child, own]), [None, None]);
    }

    #[test]
    fn every_image_names_the_sources_of_its_foreign_layers() {
        let media_type = MediaType::from("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".to_owned());
        let mut foreign = Descriptor::new(media_type, Digest::of(b"gzip"), 123).annotated("z", "1");
        foreign.urls = vec!["https://example.com/?a&b".into()];
        foreign.data = Some("dropped".into());
        let with_source = |mut image: SavedImage| {
            image.layers[1].foreign = Some(foreign.clone());
            image
        };
        let images = [image(ONE, "a", &[]), with_source(image(TWO, "ab", &[])), with_source(image(THREE, "abc", &[]))];
        let records = records(&images, true, &|_| 0).unwrap();
        let manifest = records.iter().find(|record| record.entry.path == b"manifest.json").unwrap();
        let Content::Bytes(bytes) = &manifest.content else { panic!("no document") };
        let source = format!(
            concat!(
                r#","LayerSources":{{"{}":{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","#,
                r#""size":123,"digest":"{}","urls":["https://example.com/?a\u0026b"],"annotations":{{"z":"1"}}}}}}}}"#
            ),
            diff_ids("b")[0],
            Digest::of(b"gzip"),
        );
        let text = std::str::from_utf8(bytes).unwrap();
        assert_eq!(text.matches(&source).count(), 2, "{text}");
        assert_eq!(text.matches("LayerSources").count(), 2, "{text}");
        assert!(records.iter().any(|record| record.content == Content::Layer(diff_ids("b")[0].clone())));
    }
}
