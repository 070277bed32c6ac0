//! Attestations beside the files that they are about.

use longshore_oci::{Digest, Error, ImageName, Platform, Result};
use serde_json::Value;

use super::options::FilesOptions;
use crate::attestation::{Attestation, CYCLONEDX, Facts, SPDX, Subject, statement};
use crate::result::Image;

/// The statements about one platform, each with the name of its file.
pub(super) struct Attestations<'i>(Vec<(String, &'i Attestation)>);

impl<'i> Attestations<'i> {
    /// Returns those that are written: not what is for inline use alone. With `is_merged`, platforms share a directory.
    pub(super) fn of(options: &FilesOptions, image: &'i Image, platform: &Platform, is_merged: bool) -> Self {
        let prefix = options.attestation_prefix.as_deref().unwrap_or_default();
        let own = image.attestations.iter().filter(|own| own.is_about(platform) && !own.is_inline_only);
        let mut all: Vec<(String, &Attestation)> = Vec::new();
        for own in own {
            let name = |number| format!("{prefix}{}", name(own, number, is_merged.then_some(platform)));
            let is_free = |name: &String| all.iter().all(|(other, _)| other != name);
            if let Some(name) = (1..).map(name).find(is_free) {
                all.push((name, own));
            }
        }
        Self(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if a file of the image has the name of an attestation.
    pub(super) fn check_name(&self, path: &str) -> Result<()> {
        match self.0.iter().find(|(name, _)| name == path) {
            Some(_) => Err(Error::option(format!("the image has a file {path}, as an attestation would be called"))
                .with_hint("add attestation-prefix=PREFIX")),
            None => Ok(()),
        }
    }

    /// Returns the files, with statements about `subjects`.
    pub(super) fn files(&self, subjects: &[Subject], platform: &Platform) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        let nothing = (Digest::of(b""), serde_json::Map::new());
        let names: &[ImageName] = &[];
        let facts = Facts { manifest: &nothing.0, platform, names, layers: &[], options: &nothing.1 };
        for (name, own) in &self.0 {
            let about = Attestation { subjects: subjects.to_vec(), ..(*own).clone() };
            files.push((name.clone(), indented(&statement(&about, &facts)?)?));
        }
        Ok(files)
    }
}

fn indented(statement: &[u8]) -> Result<Vec<u8>> {
    let unexpected = |error| Error::input("cannot write a statement").with_source(error);
    let value: Value = serde_json::from_slice(statement).map_err(unexpected)?;
    serde_json::to_vec_pretty(&value).map_err(unexpected)
}

/// Returns the name of the file of an attestation, the `number`th of its kind, with the platform where several share a
/// directory.
fn name(attestation: &Attestation, number: u32, platform: Option<&Platform>) -> String {
    let kind = &attestation.predicate_type;
    let stem = match attestation.is_sbom() {
        true if kind.starts_with(SPDX) => "sbom.spdx",
        true if kind.starts_with(CYCLONEDX) => "sbom.cdx",
        _ if attestation.is_provenance() => "provenance",
        _ => "attestation",
    };
    let number = if number == 1 { String::new() } else { format!("-{number}") };
    match platform {
        Some(platform) => format!("{stem}{number}.{}.json", platform.to_string().replace('/', "_")),
        None => format!("{stem}{number}.json"),
    }
}
