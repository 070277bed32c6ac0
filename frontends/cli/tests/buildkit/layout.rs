//! An OCI layout, read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_core::oci::Digest;
use serde_json::Value;

use super::builder::succeeds;

/// A layout in a directory.
#[derive(Debug)]
pub struct Layout(PathBuf);

impl Layout {
    pub fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// What is in an archive.
    pub fn unpack(archive: &Path, directory: &Path) -> Self {
        fs::create_dir(directory).unwrap();
        succeeds(Command::new("tar").arg("-C").arg(directory).arg("-xf").arg(archive));
        Self(directory.to_owned())
    }

    /// The text of index.json.
    pub fn index_json(&self) -> String {
        fs::read_to_string(self.0.join("index.json")).unwrap()
    }

    /// The text of manifest.json, which only Docker reads.
    pub fn manifest_json(&self) -> Option<String> {
        fs::read_to_string(self.0.join("manifest.json")).ok()
    }

    /// The predicates of attestations, as their statements have them.
    pub fn predicates(&self) -> Vec<String> {
        let root = self.document(&self.root());
        let manifests = root["manifests"].as_array().into_iter().flatten();
        let attestations = manifests.filter(|manifest| manifest["platform"]["os"] == "unknown");
        let statements = attestations.flat_map(|manifest| {
            let manifest = self.document(manifest);
            manifest["layers"].as_array().unwrap().iter().map(|layer| self.blob(layer)).collect::<Vec<_>>()
        });
        let predicate = |statement: Vec<u8>| {
            let text = String::from_utf8(statement).unwrap();
            let predicate = text.split_once(r#","predicate":"#).unwrap().1;
            predicate.strip_suffix('}').unwrap().to_owned()
        };
        statements.map(predicate).collect()
    }

    /// The first descriptor of index.json.
    pub fn root(&self) -> Value {
        let index: Value = serde_json::from_str(&self.index_json()).unwrap();
        index["manifests"][0].clone()
    }

    /// The bytes of a blob, which are those that its descriptor says.
    pub fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let path = self.0.join("blobs").join(digest.replace(':', "/"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        assert_eq!(descriptor["size"], bytes.len(), "{descriptor}");
        bytes
    }

    pub fn document(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&self.blob(descriptor)).unwrap()
    }

    /// The digests of all blobs, sorted.
    pub fn blobs(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.join("blobs/sha256")).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| format!("sha256:{}", entry.unwrap().file_name().display())).collect();
        names.sort();
        names
    }
}
