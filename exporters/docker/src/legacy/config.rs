//! Image configurations as Docker 20.10 reads and writes them: the keys it knows, in the order of its structs.

use std::collections::BTreeMap;

use longshore_core::{Error, Result};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::time::Time;

/// Docker's `V1Image`: the part of a configuration that image format v1 had.
#[derive(Debug, Clone, Serialize)]
pub(super) struct V1Image {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) parent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    pub(super) created: Time,
    #[serde(skip_serializing_if = "String::is_empty")]
    container: String,
    container_config: ContainerConfig,
    #[serde(skip_serializing_if = "String::is_empty")]
    docker_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ContainerConfig>,
    #[serde(skip_serializing_if = "String::is_empty")]
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) os: String,
    #[serde(rename = "Size", skip_serializing_if = "is_zero")]
    size: i64,
}

impl V1Image {
    /// Reads the configuration of an image. Keys unknown to Docker are dropped; of a duplicate key the last one counts;
    /// `null` is the same as a missing key.
    ///
    /// Differs from Docker on keys in another case, which Docker accepts too, and on text with invalid UTF-8 or
    /// half a surrogate pair, which Docker replaces.
    ///
    /// # Errors
    /// Anything but a JSON object in UTF-8, or a field of another type than Docker reads.
    pub(super) fn parse(config: &[u8]) -> Result<Self> {
        let fields = serde_json::from_slice::<Option<_>>(config)
            .map_err(|error| Error::input("not a JSON image configuration").with_source(error))?;
        let fields = fields.ok_or_else(|| Error::input("the image configuration is `null`"))?;
        let fields = Fields { path: String::new(), fields };
        Ok(Self {
            // Docker ignores these two keys of a configuration.
            id: String::new(),
            parent: String::new(),
            comment: fields.value("comment")?,
            created: fields.time("created")?,
            container: fields.value("container")?,
            container_config: fields.object("container_config")?.map_or_else(|| Ok(Default::default()), container)?,
            docker_version: fields.value("docker_version")?,
            author: fields.value("author")?,
            config: fields.object("config")?.map(container).transpose()?,
            architecture: fields.value("architecture")?,
            variant: fields.value("variant")?,
            os: fields.value("os")?,
            size: fields.value("Size")?,
        })
    }

    /// Returns Docker's configuration of all layers but the top one.
    pub(super) fn below() -> Self {
        Self {
            id: String::new(),
            parent: String::new(),
            comment: String::new(),
            created: Time::epoch(),
            container: String::new(),
            container_config: ContainerConfig::default(),
            docker_version: String::new(),
            author: String::new(),
            config: None,
            architecture: String::new(),
            variant: String::new(),
            os: String::new(),
            size: 0,
        }
    }
}

/// A list that may be missing, which differs from an empty one.
type List = Option<Vec<String>>;
/// Docker's sets are maps to empty objects.
type Set = BTreeMap<String, Empty>;

#[derive(Debug, Clone, Serialize)]
struct Empty {}

/// Docker's `container.Config`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    hostname: String,
    domainname: String,
    user: String,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: Set,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: List,
    cmd: List,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<HealthConfig>,
    #[serde(skip_serializing_if = "is_false")]
    args_escaped: bool,
    image: String,
    volumes: Option<Set>,
    working_dir: String,
    entrypoint: List,
    #[serde(skip_serializing_if = "is_false")]
    network_disabled: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    mac_address: String,
    on_build: List,
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "is_empty")]
    shell: List,
}

/// Docker's `container.HealthConfig`; times are in nanoseconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthConfig {
    #[serde(skip_serializing_if = "is_empty")]
    test: List,
    #[serde(skip_serializing_if = "is_zero")]
    interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    retries: i64,
}

fn container(fields: Fields) -> Result<ContainerConfig> {
    Ok(ContainerConfig {
        hostname: fields.value("Hostname")?,
        domainname: fields.value("Domainname")?,
        user: fields.value("User")?,
        attach_stdin: fields.value("AttachStdin")?,
        attach_stdout: fields.value("AttachStdout")?,
        attach_stderr: fields.value("AttachStderr")?,
        exposed_ports: fields.set("ExposedPorts")?.unwrap_or_default(),
        tty: fields.value("Tty")?,
        open_stdin: fields.value("OpenStdin")?,
        stdin_once: fields.value("StdinOnce")?,
        env: fields.list("Env")?,
        cmd: fields.words("Cmd")?,
        healthcheck: fields.object("Healthcheck")?.map(health).transpose()?,
        args_escaped: fields.value("ArgsEscaped")?,
        image: fields.value("Image")?,
        volumes: fields.set("Volumes")?,
        working_dir: fields.value("WorkingDir")?,
        entrypoint: fields.words("Entrypoint")?,
        network_disabled: fields.value("NetworkDisabled")?,
        mac_address: fields.value("MacAddress")?,
        on_build: fields.list("OnBuild")?,
        labels: fields.map("Labels")?,
        stop_signal: fields.value("StopSignal")?,
        stop_timeout: fields.value("StopTimeout")?,
        shell: fields.words("Shell")?,
    })
}

fn health(fields: Fields) -> Result<HealthConfig> {
    Ok(HealthConfig {
        test: fields.list("Test")?,
        interval: fields.value("Interval")?,
        timeout: fields.value("Timeout")?,
        start_period: fields.value("StartPeriod")?,
        retries: fields.value("Retries")?,
    })
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_empty(list: &List) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

/// A JSON object with fields read one by one, so that an error can name the field.
struct Fields {
    /// Its path in the configuration, with a dot at the end.
    path: String,
    fields: BTreeMap<String, Box<RawValue>>,
}

impl Fields {
    /// Returns a value, or Go's zero value.
    fn value<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T> {
        Ok(self.get::<Option<T>>(key)?.flatten().unwrap_or_default())
    }

    fn object(&self, key: &str) -> Result<Option<Self>> {
        let fields: Option<BTreeMap<_, _>> = self.value(key)?;
        Ok(fields.map(|fields| Self { path: format!("{}{key}.", self.path), fields }))
    }

    fn time(&self, key: &str) -> Result<Time> {
        let Some(text) = self.value::<Option<String>>(key)? else { return Ok(Time::zero()) };
        Time::parse(&text).ok_or_else(|| {
            let message =
                format!("invalid image config: `{}{key}`: `{}` is not a time", self.path, text.escape_debug());
            Error::input(message).with_hint("use RFC 3339: 2006-01-02T15:04:05Z")
        })
    }

    /// Returns a list in which `null` is the empty string.
    fn list(&self, key: &str) -> Result<List> {
        Ok(self.value::<Option<Vec<Option<String>>>>(key)?.map(strings))
    }

    /// Docker's `StrSlice`: a list, or a string for a list of one.
    fn words(&self, key: &str) -> Result<List> {
        match self.list(key) {
            Ok(list) => Ok(list),
            Err(error) => match self.get::<String>(key) {
                Ok(word) => Ok(word.map(|word| vec![word])),
                Err(_) => Err(error),
            },
        }
    }

    fn map(&self, key: &str) -> Result<Option<BTreeMap<String, String>>> {
        let map: Option<BTreeMap<String, Option<String>>> = self.value(key)?;
        Ok(map.map(|map| map.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()))
    }

    /// Returns the keys of an object of objects, whatever those contain.
    fn set(&self, key: &str) -> Result<Option<Set>> {
        let set: Option<BTreeMap<String, Option<BTreeMap<String, IgnoredAny>>>> = self.value(key)?;
        Ok(set.map(|set| set.into_keys().map(|key| (key, Empty {})).collect()))
    }

    fn get<'a, T: Deserialize<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        let Some(raw) = self.fields.get(key) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|error| Error::input(format!("invalid image config: `{}{key}`", self.path)).with_source(error))
    }
}

fn strings(list: Vec<Option<String>>) -> Vec<String> {
    list.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use longshore_core::ErrorKind;

    use super::*;

    fn written(config: &str) -> String {
        String::from_utf8(super::super::json::document(&V1Image::parse(config.as_bytes()).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn errors_name_the_field() {
        for (config, field) in [
            (r#"{"comment":1}"#, "`comment`"),
            (r#"{"os":["linux"]}"#, "`os`"),
            (r#"{"Size":"1"}"#, "`Size`"),
            (r#"{"created":1}"#, "`created`"),
            (r#"{"created":""}"#, "`created`: `` is not a time"),
            (r#"{"created":"now"}"#, "`created`: `now` is not a time"),
            (r#"{"config":[]}"#, "`config`"),
            (r#"{"config":{"Env":"A=1"}}"#, "`config.Env`"),
            (r#"{"config":{"Env":[1]}}"#, "`config.Env`"),
            (r#"{"config":{"Cmd":1}}"#, "`config.Cmd`"),
            (r#"{"config":{"Entrypoint":["a",{}]}}"#, "`config.Entrypoint`"),
            (r#"{"config":{"Tty":"true"}}"#, "`config.Tty`"),
            (r#"{"config":{"Labels":{"a":1}}}"#, "`config.Labels`"),
            (r#"{"config":{"Volumes":["/v"]}}"#, "`config.Volumes`"),
            (r#"{"config":{"ExposedPorts":{"80":true}}}"#, "`config.ExposedPorts`"),
            (r#"{"config":{"StopTimeout":1.0}}"#, "`config.StopTimeout`"),
            (r#"{"config":{"StopTimeout":1e1}}"#, "`config.StopTimeout`"),
            (r#"{"container_config":{"Healthcheck":{"Interval":"5s"}}}"#, "`container_config.Healthcheck.Interval`"),
            (r#"{"comment":"\ud800"}"#, "`comment`"),
        ] {
            let error = V1Image::parse(config.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.message(), format!("invalid image config: {field}"), "{config}");
        }
    }

    #[test]
    fn what_is_no_object_in_utf_8_is_refused() {
        for config in [&b""[..], b"[]", b"{", b"{}x", b"{\"comment\":\"\xff\"}", b"{\"\xff\":1}"] {
            let error = V1Image::parse(config).unwrap_err();
            assert_eq!(error.message(), "not a JSON image configuration");
        }
        assert_eq!(V1Image::parse(b"null").unwrap_err().message(), "the image configuration is `null`");
    }

    #[test]
    fn absent_and_null_and_empty_differ_where_they_do_in_go() {
        assert_eq!(written("{}"), written(r#"{"container_config":{},"config":null,"created":null,"Size":0}"#));
        assert!(!written("{}").contains(r#""config":"#));
        let config = written(r#"{"config":{"Env":[],"Cmd":[],"Volumes":{},"Labels":{},"ExposedPorts":{},"Shell":[]}}"#);
        let config = config.split_once(r#""config":"#).unwrap().1;
        for expected in [r#""Env":[]"#, r#""Cmd":[]"#, r#""Volumes":{}"#, r#""Labels":{}"#, r#""OnBuild":null"#] {
            assert!(config.contains(expected), "{expected} in {config}");
        }
        assert!(!config.contains("ExposedPorts") && !config.contains("Shell"), "{config}");
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let twice = r#"{"config":{"Env":["A=1"],"Env":["B=2"],"Labels":{"a":"1","a":"2"}}}"#;
        assert_eq!(written(twice), written(r#"{"config":{"Env":["B=2"],"Labels":{"a":"2"}}}"#));
    }
}
