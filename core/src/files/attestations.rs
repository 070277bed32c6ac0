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
        Self(own.map(|own| (format!("{prefix}{}", name(own, is_merged.then_some(platform))), own)).collect())
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
            if files.iter().any(|(other, _)| other == name) {
                return Err(Error::input(format!("duplicate attestation path name {name}")));
            }
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

/// Returns the name of the file of an attestation, with the platform where several share a directory.
fn name(attestation: &Attestation, platform: Option<&Platform>) -> String {
    let kind = &attestation.predicate_type;
    let stem = match attestation.is_sbom() {
        true if kind.starts_with(SPDX) => "sbom.spdx",
        true if kind.starts_with(CYCLONEDX) => "sbom.cdx",
        _ if kind.starts_with("https://slsa.dev/provenance/") => "provenance",
        _ => "attestation",
    };
    match platform {
        Some(platform) => format!("{stem}.{}.json", platform.to_string().replace('/', "_")),
        None => format!("{stem}.json"),
    }
}
