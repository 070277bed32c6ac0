//! In-toto statements: an attestation as the bytes of a blob.

use std::collections::BTreeMap;

use longshore_oci::{Digest, ImageName, Platform, Result, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Attestation, Predicate, package_url, provenance};

/// The type of statements (in-toto attestation framework, "Statement").
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name, such as a package URL.
    #[serde(default)]
    pub name: String,
    /// Its digests in hexadecimal, by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// Creates a subject.
    pub fn new(name: impl Into<String>, digest: &Digest) -> Self {
        Self { name: name.into(), digest: digest_set(digest) }
    }
}

/// Returns a digest by its algorithm (in-toto attestation framework v1, "`DigestSet`").
pub(super) fn digest_set(digest: &Digest) -> BTreeMap<String, String> {
    BTreeMap::from([(digest.algorithm().to_string(), digest.hex().to_owned())])
}

/// What is known about an image when the statements about it are written.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// Its manifest.
    pub(crate) manifest: &'a Digest,
    /// Its platform.
    pub(crate) platform: &'a Platform,
    /// Its names.
    pub(crate) names: &'a [ImageName],
    /// The diffIDs of its layers, the base first; none for an image that was not made here.
    pub(crate) layers: &'a [Digest],
    /// The options of the output that determined it.
    pub(crate) options: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a, P> {
    #[serde(rename = "_type")]
    kind: &'static str,
    predicate_type: &'a str,
    subject: &'a [Subject],
    predicate: P,
}

/// Returns the bytes of the statement that `attestation` makes about an image.
///
/// # Errors
/// None in practice: what is written was JSON.
pub(crate) fn statement(attestation: &Attestation, facts: &Facts<'_>) -> Result<Vec<u8>> {
    let about_image;
    let subject = match attestation.subjects.as_slice() {
        [] => {
            about_image = facts.names.iter().map(|name| subject(name, facts)).collect::<Vec<_>>();
            &about_image
        }
        own => own,
    };
    let predicate_type = &attestation.predicate_type;
    match &attestation.predicate {
        Predicate::Json(predicate) => {
            json::compact(&Statement::<&RawValue> { kind: STATEMENT, predicate_type, subject, predicate })
        }
        Predicate::Provenance(provenance) => json::compact(&Statement {
            kind: STATEMENT,
            predicate_type,
            subject,
            predicate: provenance::predicate(provenance, facts),
        }),
    }
}

fn subject(name: &ImageName, facts: &Facts<'_>) -> Subject {
    Subject::new(package_url(name, Some(facts.platform)), facts.manifest)
}
