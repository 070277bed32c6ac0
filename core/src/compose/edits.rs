//! Edits of an image: more layers, a configuration, and changes to what it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_oci::{Error, ImageConfig, Result, RunConfig};

use crate::layer::Layer;
use crate::result::Artifact;

/// What goes on top of an image.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Edits {
    /// A configuration whose fields replace those of the image, except for its layers.
    pub config: Option<ImageConfig>,
    /// Changes to what a container runs.
    pub run: RunEdits,
    /// Layers that follow those of the image. They are read once, for however many platforms.
    pub layers: Vec<Arc<Layer>>,
}

/// Changes to what a container runs, as the instructions of a Dockerfile make them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEdits {
    /// Variables; one that is there is replaced in its place.
    pub env: Vec<(String, String)>,
    /// The program. Where it changes and `cmd` does not, the arguments of the image go.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub cmd: Option<Vec<String>>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// Who it runs as.
    pub user: Option<String>,
    /// Labels, added to those of the image.
    pub labels: BTreeMap<String, String>,
    /// Ports such as `80/tcp`, added to those of the image.
    pub expose: Vec<String>,
    /// Volumes, added to those of the image.
    pub volumes: Vec<String>,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
}

impl Edits {
    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.config.is_none() && self.layers.is_empty() && self.run == RunEdits::default()
    }

    pub(super) fn apply(&self, artifact: &mut Artifact) -> Result<()> {
        artifact.config = artifact.effective_config();
        if let Some(config) = &self.config {
            let platform = artifact.config.platform()?;
            if config.has_platform() && !config.platform()?.matches(&platform) {
                let message = format!("the config is for {}, the image for {platform}", config.platform()?);
                return Err(Error::option(message).with_hint("prefix the source with its platform: linux/arm64=…"));
            }
            artifact.config.overlay(config);
        }
        if self.run != RunEdits::default() {
            let mut run = artifact.config.run_config()?;
            self.run.apply(&mut run)?;
            artifact.config.set_run_config(&run);
        }
        artifact.layers.extend(self.layers.iter().cloned());
        Ok(())
    }
}

impl RunEdits {
    fn apply(&self, run: &mut RunConfig) -> Result<()> {
        if !self.env.is_empty() {
            let mut env: Vec<String> = run.get("Env")?.unwrap_or_default();
            for (name, value) in &self.env {
                let line = format!("{name}={value}");
                match env.iter_mut().find(|present| present.split('=').next() == Some(name)) {
                    Some(present) => *present = line,
                    None => env.push(line),
                }
            }
            run.set("Env", &env);
        }
        if let Some(entrypoint) = &self.entrypoint {
            run.set("Entrypoint", entrypoint);
            if self.cmd.is_none() {
                run.remove("Cmd");
            }
        }
        let texts = [("WorkingDir", &self.workdir), ("User", &self.user), ("StopSignal", &self.stop_signal)];
        for (key, text) in texts {
            text.iter().for_each(|text| run.set(key, text));
        }
        self.cmd.iter().for_each(|cmd| run.set("Cmd", cmd));
        if !self.labels.is_empty() {
            let mut labels: BTreeMap<String, String> = run.get("Labels")?.unwrap_or_default();
            labels.extend(self.labels.clone());
            run.set("Labels", &labels);
        }
        for (key, added) in [("ExposedPorts", &self.expose), ("Volumes", &self.volumes)] {
            if !added.is_empty() {
                let mut set: BTreeMap<String, Empty> = run.get(key)?.unwrap_or_default();
                set.extend(added.iter().map(|added| (added.clone(), Empty {})));
                run.set(key, &set);
            }
        }
        Ok(())
    }
}

/// Go's `struct{}`, which configurations use for sets.
#[derive(serde::Serialize, serde::Deserialize)]
struct Empty {}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Platform;

    fn edited(config: &str, edits: &Edits) -> Result<String> {
        let mut artifact = Artifact::new(Vec::new(), ImageConfig::parse(config.as_bytes()).unwrap());
        edits.apply(&mut artifact)?;
        Ok(String::from_utf8(artifact.config.to_bytes().unwrap()).unwrap())
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn instructions_change_what_is_there() {
        let run = RunEdits {
            env: vec![("A".into(), "2".into()), ("C".into(), "3".into())],
            entrypoint: Some(strings(&["/app"])),
            expose: strings(&["80/tcp"]),
            labels: BTreeMap::from([("b".into(), "2".into())]),
            ..RunEdits::default()
        };
        let config = r#"{"architecture":"amd64","config":{"Env":["A=1","B=x"],"Cmd":["old"],"Labels":{"c":"3","a":"1"}},"os":"linux"}"#;
        let expected = r#"{"architecture":"amd64","config":{"ExposedPorts":{"80/tcp":{}},"Env":["A=2","B=x","C=3"],"Entrypoint":["/app"],"Labels":{"a":"1","b":"2","c":"3"}},"os":"linux"}"#;
        assert_eq!(edited(config, &Edits { run, ..Edits::default() }).unwrap(), expected);
    }

    #[test]
    fn a_config_replaces_fields_but_not_the_platform() {
        let base = r#"{"architecture":"amd64","os":"linux","author":"a","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let with = |config: &str| {
            edited(base, &Edits { config: Some(ImageConfig::parse(config.as_bytes()).unwrap()), ..Edits::default() })
        };
        let merged = with(r#"{"author":"b","x":1,"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}"#).unwrap();
        let expected =
            r#"{"architecture":"amd64","author":"b","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"x":1}"#;
        assert_eq!(merged, expected);
        let other = ImageConfig::new(&Platform::new("linux", "arm64", None)).to_bytes().unwrap();
        assert!(with(std::str::from_utf8(&other).unwrap()).is_err());
    }
}
