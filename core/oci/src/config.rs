//! Image configurations: read where needed, otherwise kept byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::{Digest, Platform, json};
use crate::error::{Context, Error, Result};

/// An image configuration (image-spec, config.md).
///
/// An unchanged configuration keeps its bytes, and therefore its digest, which is Docker's image ID. In a changed
/// one, unset fields keep their text, so fields of other tools are preserved; it is written as `BuildKit` writes
/// it: on one line, the top-level keys sorted.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct ImageConfig {
    fields: BTreeMap<String, Box<RawValue>>,
    /// The original text, as long as it is unchanged.
    #[serde(skip)]
    text: Option<Arc<[u8]>>,
}

/// The default `PATH` on every system but Windows.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One step in the history of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Creation time, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The author's comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it created no layer.
    #[serde(default, deserialize_with = "json::null_is_empty", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Unknown fields, preserved.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "json::null_is_empty")]
    diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// Creates a configuration with only a platform.
    pub fn new(platform: &Platform) -> Self {
        let mut config = Self::default();
        config.set_platform(platform);
        config
    }

    /// Creates the configuration of an image about which only the platform is known, as `BuildKit` does: the usual
    /// `PATH`, and the root as working directory.
    pub fn with_defaults(platform: &Platform) -> Self {
        let mut config = Self::new(platform);
        let mut run = RunConfig::default();
        if platform.os != "windows" {
            run.set("Env", &[DEFAULT_PATH]);
        }
        run.set("WorkingDir", &"/");
        config.set_run_config(&run);
        config
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// Not a JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let fields: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_slice(bytes)
            .map_err(|error| Error::input("not a JSON image configuration").with_source(error))?;
        let fields = fields.ok_or_else(|| Error::input("the image configuration is `null`"))?;
        Ok(Self { fields, text: Some(bytes.into()) })
    }

    /// Returns the bytes to hash and store.
    ///
    /// # Errors
    /// None in practice: every field was JSON when it came in.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.text.as_ref().map_or_else(|| json::compact(self), |text| Ok(text.to_vec()))
    }

    /// Returns the platform of the image.
    ///
    /// # Errors
    /// `os` or `architecture` is missing or not a string.
    pub fn platform(&self) -> Result<Platform> {
        let required = |key| -> Result<String> {
            self.get::<String>(key)?
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Error::input(format!("invalid image config: missing {key}")))
        };
        Ok(Platform {
            architecture: required("architecture")?,
            os: required("os")?,
            os_version: self.get("os.version")?,
            os_features: self.get("os.features")?.unwrap_or_default(),
            variant: self.get("variant")?,
        })
    }

    /// Returns whether it has no fields at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns whether it has any platform fields.
    pub fn has_platform(&self) -> bool {
        self.fields.contains_key("os") || self.fields.contains_key("architecture")
    }

    /// Sets the platform of the image.
    pub fn set_platform(&mut self, platform: &Platform) {
        self.set("architecture", &platform.architecture);
        self.set("os", &platform.os);
        match &platform.variant {
            Some(variant) => self.set("variant", variant),
            None => self.remove("variant"),
        }
    }

    /// Returns the digests of the uncompressed layers, the base first.
    ///
    /// # Errors
    /// `rootfs` is malformed.
    pub fn diff_ids(&self) -> Result<Vec<Digest>> {
        Ok(self.get::<RootFs>("rootfs")?.map(|rootfs| rootfs.diff_ids).unwrap_or_default())
    }

    /// Replaces the digests of the uncompressed layers.
    pub fn set_diff_ids(&mut self, diff_ids: Vec<Digest>) {
        self.set("rootfs", &RootFs { kind: "layers".to_owned(), diff_ids });
    }

    /// Returns the history of the image.
    ///
    /// # Errors
    /// `history` is malformed.
    pub fn history(&self) -> Result<Vec<History>> {
        Ok(self.get("history")?.unwrap_or_default())
    }

    /// Replaces the history of the image.
    pub fn set_history(&mut self, history: &[History]) {
        self.set("history", &history);
    }

    /// Returns the creation time of the image.
    ///
    /// # Errors
    /// `created` is not a time of RFC 3339.
    pub fn created(&self) -> Result<Option<Timestamp>> {
        let text: Option<String> = self.get("created")?;
        text.filter(|text| !text.is_empty()).map(|text| parse_time(&text)).transpose()
    }

    /// Sets the creation time of the image.
    pub fn set_created(&mut self, created: Timestamp) {
        self.set("created", &created.to_string());
    }

    /// Returns the run configuration of the image's containers.
    ///
    /// # Errors
    /// `config` is not a JSON object.
    pub fn run_config(&self) -> Result<RunConfig> {
        Ok(self.get("config")?.unwrap_or_default())
    }

    /// Replaces the run configuration of the image's containers.
    pub fn set_run_config(&mut self, config: &RunConfig) {
        self.set("config", config);
    }

    /// Overrides every field with that of `other`, except the layers.
    pub fn overlay(&mut self, other: &Self) {
        let fields = other.fields.iter().filter(|(key, _)| key.as_str() != "rootfs");
        fields.for_each(|(key, value)| self.put(key, value.clone()));
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(raw) = self.fields.get(key) else { return Ok(None) };
        json::read(raw.get().as_bytes())
            .map_err(|error| Error::input(format!("invalid image config: `{key}`")).with_source(error))
    }

    fn set<T: Serialize>(&mut self, key: &str, value: &T) {
        self.put(key, raw(value));
    }

    /// Replaces a field, unless its value is unchanged.
    fn put(&mut self, key: &str, value: Box<RawValue>) {
        if !self.fields.get(key).is_some_and(|present| says_the_same(present, &value)) {
            self.fields.insert(key.to_owned(), value);
            self.text = None;
        }
    }

    fn remove(&mut self, key: &str) {
        if self.fields.remove(key).is_some() {
            self.text = None;
        }
    }
}

/// The run configuration of an image's containers: the object `config` of an image configuration.
///
/// New keys are inserted in the order of Go's struct; existing keys keep their position and text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunConfig(IndexMap<String, Box<RawValue>>);

/// The keys of the image specification, in the order of its Go struct.
const RUN_CONFIG_ORDER: [&str; 9] =
    ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"];

impl RunConfig {
    /// Returns the value of `key`.
    ///
    /// # Errors
    /// The value cannot be parsed as `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(raw) = self.0.get(key) else { return Ok(None) };
        json::read(raw.get().as_bytes())
            .map_err(|error| Error::input(format!("invalid image config: `config.{key}`")).with_source(error))
    }

    /// Replaces the value of `key`.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) {
        let value = raw(value);
        if let Some(present) = self.0.get_mut(key) {
            *present = value;
            return;
        }
        let rank = |key: &str| RUN_CONFIG_ORDER.iter().position(|known| *known == key);
        let place = self.0.keys().position(|present| rank(present) > rank(key)).unwrap_or(self.0.len());
        self.0.shift_insert(place, key.to_owned(), value);
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &str) {
        self.0.shift_remove(key);
    }
}

/// Returns whether two texts differ only in white space, escapes and the order of keys.
fn says_the_same(one: &RawValue, other: &RawValue) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    one.get() == other.get() || value(one).is_some_and(|one| value(other) == Some(one))
}

#[expect(clippy::expect_used, reason = "strings, lists and maps of strings are always JSON")]
fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("the fields of a configuration serialise")
}

/// Reads a time of RFC 3339, as configurations and history hold it.
///
/// # Errors
/// Text that is no such time.
pub fn parse_time(text: &str) -> Result<Timestamp> {
    text.parse()
        .map_err(|error: jiff::Error| Error::input(error.to_string()))
        .attempt(|| format!("invalid image config: `{}` is not a time", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sets_keeps_its_text() {
        let text = r#"{"architecture":"amd64","os":"linux","x.y":{"b":1.50,"a":[1e400]},"config":{"Shell":["sh"],"Env":["A=<1>"],"OnBuild":null}}"#;
        let mut config = ImageConfig::parse(text.as_bytes()).unwrap();
        let mut run = config.run_config().unwrap();
        run.set("Cmd", &["a&b"]);
        config.set_run_config(&run);
        assert_eq!(
            String::from_utf8(config.to_bytes().unwrap()).unwrap(),
            r#"{"architecture":"amd64","config":{"Shell":["sh"],"Env":["A=\u003c1\u003e"],"OnBuild":null,"Cmd":["a\u0026b"]},"os":"linux","x.y":{"b":1.50,"a":[1e400]}}"#
        );
    }

    #[test]
    fn a_config_that_says_the_same_keeps_its_bytes() {
        let text = r#"{"rootfs":{"diff_ids":[],"type":"layers"}, "os":"linux","history":[{"created_by":"a","created":"x"}],"architecture":"amd64"}"#;
        let mut config = ImageConfig::parse(text.as_bytes()).unwrap();
        config.set_history(&config.history().unwrap());
        config.set_diff_ids(config.diff_ids().unwrap());
        config.set_platform(&config.platform().unwrap());
        config.overlay(&config.clone());
        assert_eq!(config.to_bytes().unwrap(), text.as_bytes());
        config.set_history(&[]);
        let changed = r#"{"architecture":"amd64","history":[],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}"#;
        assert_eq!(String::from_utf8(config.to_bytes().unwrap()).unwrap(), changed);
    }

    #[test]
    fn set_keys_follow_the_order_of_the_specification() {
        let mut run = RunConfig::default();
        for key in ["StopSignal", "Cmd", "User", "Env"] {
            run.set(key, &"x");
        }
        assert_eq!(run.0.keys().collect::<Vec<_>>(), ["User", "Env", "Cmd", "StopSignal"]);
    }

    #[test]
    fn a_platform_is_required() {
        let message =
            |text: &str| ImageConfig::parse(text.as_bytes()).unwrap().platform().unwrap_err().message().to_owned();
        assert_eq!(message(r#"{"os":"linux"}"#), "invalid image config: missing architecture");
        assert_eq!(message(r#"{"architecture":"amd64","os":""}"#), "invalid image config: missing os");
        assert!(ImageConfig::parse(b"null").is_err());
        assert!(ImageConfig::parse(b"[]").is_err());
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let text = r#"{"architecture":"arm","os":"linux","variant":null,"os.version":null,"os.features":null,"created":null,"config":null,"rootfs":{"type":"layers","diff_ids":null},"history":[{"created":null,"empty_layer":null}]}"#;
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform().unwrap(), Platform { variant: None, ..Platform::new("linux", "arm", Some("x")) });
        assert_eq!((config.diff_ids().unwrap(), config.created().unwrap()), (Vec::new(), None));
        assert_eq!(config.history().unwrap(), [History::default()]);
        assert_eq!(config.run_config().unwrap().get::<Vec<String>>("Env").unwrap(), None);
        assert_eq!(config.to_bytes().unwrap(), text.as_bytes());
        for text in [r#"{"history":null}"#, r#"{"rootfs":null}"#] {
            let config = ImageConfig::parse(text.as_bytes()).unwrap();
            assert_eq!((config.history().unwrap(), config.diff_ids().unwrap()), (Vec::new(), Vec::new()), "{text}");
        }
    }
}
