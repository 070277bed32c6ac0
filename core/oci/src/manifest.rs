//! Manifests and indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Descriptor, MediaType};
use crate::error::{Error, Result};
use crate::json::{self, null_is_empty};

/// An image manifest (image-spec, manifest.md), in Go's field order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2; 0 in one that was read and has none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub schema_version: u32,
    /// Its own media type; required by Docker, optional for OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The artifact type, if it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, the base first.
    #[serde(deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The subject that this manifest refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Facts about the image.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Unknown fields, preserved.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Manifest {
    /// Creates an OCI manifest with only a configuration and layers.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            unknown: Map::new(),
        }
    }
}

/// An image index (image-spec, image-index.md), in Go's field order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2; 0 in one that was read and has none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub schema_version: u32,
    /// Its own media type; required by Docker, optional for OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The artifact type, if it is not a multi-platform image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Manifests and further indexes.
    #[serde(deserialize_with = "null_is_empty")]
    pub manifests: Vec<Descriptor>,
    /// The subject that this index refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Facts about the image.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Unknown fields, preserved.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Index {
    /// Creates an OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::INDEX),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            unknown: Map::new(),
        }
    }
}

/// Reads the manifest that `descriptor` references from its verified bytes.
///
/// # Errors
/// Not JSON, not a manifest, of another media type than its descriptor says, or both an index and a manifest,
/// which two readers could interpret as different images (CVE-2021-41190).
pub fn parse_manifest(descriptor: &Descriptor, bytes: &[u8]) -> Result<Manifest> {
    let manifest: Manifest = parse("manifest", descriptor, bytes)?;
    check(
        "manifest",
        descriptor,
        manifest.schema_version,
        manifest.media_type.as_ref(),
        &manifest.unknown,
        &["manifests"],
    )?;
    Ok(manifest)
}

/// Reads the index that `descriptor` references from its verified bytes.
///
/// # Errors
/// As [`parse_manifest`].
pub fn parse_index(descriptor: &Descriptor, bytes: &[u8]) -> Result<Index> {
    let index: Index = parse("index", descriptor, bytes)?;
    check("index", descriptor, index.schema_version, index.media_type.as_ref(), &index.unknown, &["layers", "config"])?;
    Ok(index)
}

/// Reads the `index.json` of a layout. Some tools leave out its `schemaVersion`, which is taken to be 2: unlike an
/// index that is known by its digest, the file is rewritten when the layout changes.
///
/// # Errors
/// Not JSON, not an index, or of another version.
pub fn parse_layout_index(bytes: &[u8]) -> Result<Index> {
    let mut index: Index =
        json::read(bytes).map_err(|error| Error::input("`index.json` is not an image index").with_source(error))?;
    if index.schema_version == 0 {
        index.schema_version = 2;
    }
    check_version(index.schema_version).map_err(|reason| Error::input(format!("`index.json` {reason}")))?;
    Ok(index)
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<T> {
    json::read(bytes)
        .map_err(|error| Error::input(format!("cannot read {what} {}", descriptor.digest)).with_source(error))
}

fn check(
    what: &str,
    descriptor: &Descriptor,
    schema_version: u32,
    media_type: Option<&MediaType>,
    unknown: &Map<String, Value>,
    forbidden: &[&str],
) -> Result<()> {
    let refuse = |reason: String| Err(Error::input(format!("{what} {} {reason}", descriptor.digest)));
    if let Err(reason) = check_version(schema_version) {
        return refuse(reason);
    }
    if let Some(own) = media_type.filter(|own| **own != descriptor.media_type) {
        return refuse(format!("says it is `{own}`, but is referenced as `{}`", descriptor.media_type));
    }
    if let Some(key) = forbidden.iter().find(|key| unknown.contains_key(**key)) {
        return refuse(format!("has `{key}`, which makes it both an index and a manifest"));
    }
    Ok(())
}

fn check_version(schema_version: u32) -> Result<(), String> {
    match schema_version {
        2 => Ok(()),
        0 => Err("has no schemaVersion, expected 2".to_owned()),
        other => Err(format!("has schemaVersion {other}, expected 2")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn manifest_text(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}",{extra}"config":{{"mediaType":"{}","digest":"{EMPTY}","size":2}},"layers":[]}}"#,
            MediaType::MANIFEST,
            MediaType::CONFIG
        )
    }

    #[test]
    fn unknown_fields_survive_in_manifest_and_descriptor() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a","digest":"{EMPTY}","size":2,"new":{{"b":1,"a":2}}}},"layers":[],"later":[1]}}"#
        );
        let manifest: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(String::from_utf8(json::compact(&manifest).unwrap()).unwrap(), text);
    }

    #[test]
    fn null_is_an_empty_list_or_map_in_every_document() {
        let full = format!(
            r#"{{"mediaType":"a","digest":"{EMPTY}","size":2,"urls":null,"annotations":null,"platform":{{"architecture":"arm64","os":"linux","os.features":null}}}}"#
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{full},"layers":null,"subject":null,"annotations":null,"artifactType":null}}"#
        );
        let plain = format!(
            r#"{{"mediaType":"a","digest":"{EMPTY}","size":2,"platform":{{"architecture":"arm64","os":"linux"}}}}"#
        );
        let written: Manifest = serde_json::from_str(&manifest).unwrap();
        let expected = format!(r#"{{"schemaVersion":2,"config":{plain},"layers":[]}}"#);
        assert_eq!(String::from_utf8(json::compact(&written).unwrap()).unwrap(), expected);
        let index = r#"{"schemaVersion":2,"manifests":null,"annotations":null,"later":null}"#;
        let written: Index = serde_json::from_str(index).unwrap();
        let expected = r#"{"schemaVersion":2,"manifests":[],"later":null}"#;
        assert_eq!(String::from_utf8(json::compact(&written).unwrap()).unwrap(), expected);
        for missing in [r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"manifests":{}}"#] {
            assert!(serde_json::from_str::<Index>(missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn the_version_may_be_missing_from_the_index_of_a_layout_alone() {
        for text in [r#"{"manifests":[]}"#, r#"{"schemaVersion":null,"manifests":[]}"#] {
            let index = parse_layout_index(text.as_bytes()).unwrap();
            assert_eq!(json::compact(&index).unwrap(), br#"{"schemaVersion":2,"manifests":[]}"#, "{text}");
            let descriptor = Descriptor::of(MediaType::INDEX, text.as_bytes());
            let error = parse_index(&descriptor, text.as_bytes()).unwrap_err();
            let expected = format!("index {} has no schemaVersion, expected 2", descriptor.digest);
            assert_eq!(error.message(), expected, "{text}");
        }
        let other = parse_layout_index(br#"{"schemaVersion":1,"manifests":[]}"#).unwrap_err();
        assert_eq!(other.message(), "`index.json` has schemaVersion 1, expected 2");
    }

    /// Only a line and a column were said, of a document that has one line.
    #[test]
    fn a_field_of_another_type_is_named() {
        let layer = |fields: &str| format!(r#"{{"mediaType":"a","digest":"{EMPTY}",{fields}}}"#);
        let good = layer(r#""size":1"#);
        for (layers, expected) in [
            (format!("[{good},{}]", layer(r#""size":"12""#)), "`layers[1].size`: invalid type: string"),
            (format!("[{}]", layer(r#""size":-1"#)), "`layers[0].size`: invalid value"),
            (format!("[{good},7]"), "`layers[1]`: invalid type: integer `7`"),
            (
                format!("[{}]", layer(r#""size":1,"annotations":{"a\u001b":[]}"#)),
                "`layers[0].annotations.a\\u{1b}`: invalid",
            ),
            ("{}".to_owned(), "`layers`: invalid type: map"),
        ] {
            let text = format!(r#"{{"schemaVersion":2,"config":{good},"layers":{layers}}}"#);
            let descriptor = Descriptor::of(MediaType::MANIFEST, text.as_bytes());
            let error = parse_manifest(&descriptor, text.as_bytes()).unwrap_err().with_causes();
            let expected = format!("cannot read manifest {}: {expected}", descriptor.digest);
            assert!(error.starts_with(&expected), "{layers}: {error}");
            let index = format!(r#"{{"manifests":{layers}}}"#).replace("layers", "manifests");
            let error = parse_layout_index(index.as_bytes()).unwrap_err().with_causes();
            assert!(error.starts_with("`index.json` is not an image index: `manifests"), "{error}");
        }
        for text in ["", "[", "{} x", r#"{"schemaVersion":2,"layers":[]} {"#] {
            let descriptor = Descriptor::of(MediaType::MANIFEST, text.as_bytes());
            assert!(parse_manifest(&descriptor, text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_media_type_confusion() {
        let descriptor = |bytes: &str| Descriptor::of(MediaType::MANIFEST, bytes.as_bytes());
        let good = manifest_text("");
        assert!(parse_manifest(&descriptor(&good), good.as_bytes()).is_ok());
        let both = manifest_text(r#""manifests":[],"#);
        assert!(parse_manifest(&descriptor(&both), both.as_bytes()).unwrap_err().message().contains("`manifests`"));
        let other = Descriptor::of(MediaType::DOCKER_MANIFEST, good.as_bytes());
        assert!(parse_manifest(&other, good.as_bytes()).unwrap_err().message().contains("referenced as"));
    }
}
