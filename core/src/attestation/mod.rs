//! Attestations: statements about images, such as SBOMs and provenance.

mod provenance;
mod purl;
mod statement;

use longshore_oci::{Error, ErrorKind, Platform, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use provenance::{Dependency, Provenance};
pub use purl::package_url;
pub use statement::Subject;
pub(crate) use statement::{Facts, statement};

/// The predicate type of an SPDX document (in-toto attestation, "SPDX").
pub const SPDX: &str = "https://spdx.dev/Document";
/// The predicate type of a `CycloneDX` document (in-toto attestation, "CycloneDX").
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// What the predicate types of all versions of SLSA provenance begin with.
const SLSA: &str = "https://slsa.dev/provenance/";
/// The predicate type of SLSA provenance v1.
pub const SLSA_V1: &str = "https://slsa.dev/provenance/v1";
/// The predicate type of SLSA provenance v0.2.
pub const SLSA_V02: &str = "https://slsa.dev/provenance/v0.2";

/// The largest attestation in bytes, as in `BuildKit`. It is kept in memory.
pub const ATTESTATION_LIMIT: u64 = 40 << 20;

/// A statement about an image (in-toto attestation framework, v1). The image refers to it by its index.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attestation {
    /// What kind of statement it is: a URI, such as [`SPDX`].
    pub predicate_type: String,
    /// The statement.
    pub predicate: Predicate,
    /// What it is about; empty for the image, under each of its names.
    pub subjects: Vec<Subject>,
    /// The platform of the image that it is about; `None` for all.
    pub platform: Option<Platform>,
    /// Whether it is left out where it alone would make an index of an image for one platform, and
    /// `attestation-inline` is off.
    pub is_inline_only: bool,
}

/// The content of an attestation.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// A JSON object, kept as it is but for white space.
    Json(Box<RawValue>),
    /// How an image was made, completed when its layers are known.
    Provenance(Provenance),
}

/// A word for a predicate type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttestationKind {
    /// A list of what is in the image: SPDX or `CycloneDX`.
    Sbom,
    /// How the image was made: SLSA.
    Provenance,
    /// Any other predicate type.
    Other(String),
}

/// The fields that tell documents apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    #[serde(rename = "_type")]
    statement: Option<String>,
    #[serde(rename = "predicateType")]
    predicate_type: Option<String>,
    subject: Option<Vec<Subject>>,
    predicate: Option<Box<RawValue>>,
    #[serde(rename = "payloadType")]
    payload_type: Option<String>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<Box<RawValue>>,
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<Box<RawValue>>,
    #[serde(rename = "buildDefinition")]
    slsa_v1: Option<Box<RawValue>>,
    #[serde(rename = "buildType")]
    slsa_v02: Option<Box<RawValue>>,
}

impl Attestation {
    /// Creates an attestation about all platforms of an image.
    pub fn new(predicate_type: impl Into<String>, predicate: Predicate) -> Self {
        Self {
            predicate_type: predicate_type.into(),
            predicate,
            subjects: Vec::new(),
            platform: None,
            is_inline_only: false,
        }
    }

    /// Reads an in-toto statement, or the predicate of one, of this `kind`.
    ///
    /// The subjects of a statement are kept; one without subjects, and a predicate alone, are about the image.
    ///
    /// # Errors
    /// More than [`ATTESTATION_LIMIT`] bytes; not a JSON object; a statement of another kind; a signed envelope; a
    /// document that is none of `kind`.
    pub fn parse(kind: &AttestationKind, bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > ATTESTATION_LIMIT {
            return Err(Error::input(format!("{} bytes are more than the limit of {ATTESTATION_LIMIT}", bytes.len())));
        }
        let raw: Box<RawValue> = serde_json::from_slice(bytes)
            .map_err(|error| Error::input("an attestation is one JSON object").with_source(error))?;
        if !raw.get().starts_with('{') {
            return Err(Error::input("an attestation is one JSON object"));
        }
        let document: Document = serde_json::from_str(raw.get())
            .map_err(|error| Error::input("not an in-toto statement").with_source(error))?;
        if document.payload_type.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "it is a signed envelope (DSSE)")
                .with_hint("give the statement in it: jq -r .payload FILE | base64 -d"));
        }
        if document.statement.is_some() {
            return Self::of_statement(kind, document);
        }
        Ok(Self::new(kind.predicate_type(&document)?, Predicate::Json(raw)))
    }

    fn of_statement(kind: &AttestationKind, document: Document) -> Result<Self> {
        let version = document.statement.unwrap_or_default();
        if !version.starts_with("https://in-toto.io/Statement/") {
            let message = format!("`{}` is not the type of an in-toto statement", version.escape_debug());
            return Err(Error::input(message));
        }
        let missing = |field| Error::input(format!("the in-toto statement has no `{field}`"));
        let predicate_type = document.predicate_type.ok_or_else(|| missing("predicateType"))?;
        let predicate = document.predicate.ok_or_else(|| missing("predicate"))?;
        if !kind.takes(&predicate_type) {
            let message = format!("it has the predicate type `{}`", predicate_type.escape_debug());
            return Err(Error::input(format!("{message}, expected {}", kind.expected())));
        }
        let subjects = document.subject.unwrap_or_default();
        Ok(Self { subjects, ..Self::new(predicate_type, Predicate::Json(predicate)) })
    }

    /// Sets the platform that it is about.
    #[must_use]
    pub fn with_platform(self, platform: Option<Platform>) -> Self {
        Self { platform, ..self }
    }

    /// Sets whether it is left out where it alone would make an index.
    #[must_use]
    pub fn with_inline_only(self, is_inline_only: bool) -> Self {
        Self { is_inline_only, ..self }
    }

    /// Returns whether it lists what is in the image.
    pub fn is_sbom(&self) -> bool {
        AttestationKind::Sbom.takes(&self.predicate_type)
    }

    /// Returns whether it tells how the image was made.
    pub(crate) fn is_provenance(&self) -> bool {
        AttestationKind::Provenance.takes(&self.predicate_type)
    }

    /// Returns whether it is about the image for `platform`.
    pub(crate) fn is_about(&self, platform: &Platform) -> bool {
        self.platform.as_ref().is_none_or(|own| own.normal() == platform.normal())
    }
}

impl AttestationKind {
    /// Reads `sbom`, `provenance` or a URI.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "sbom" => Ok(Self::Sbom),
            "provenance" => Ok(Self::Provenance),
            uri if uri.contains(':') && !uri.contains(char::is_whitespace) => Ok(Self::Other(uri.to_owned())),
            other => Err(Error::option(format!("`{}` is not a type of attestations", other.escape_debug()))
                .with_hint("it is sbom, provenance, or a predicate type such as https://example.com/review/v1")),
        }
    }

    fn takes(&self, predicate_type: &str) -> bool {
        match self {
            // Versions of the format may follow the type.
            Self::Sbom => [SPDX, CYCLONEDX].iter().any(|known| predicate_type.starts_with(known)),
            Self::Provenance => predicate_type.starts_with(SLSA),
            Self::Other(uri) => predicate_type == uri,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Sbom => format!("{SPDX} or {CYCLONEDX}"),
            Self::Provenance => format!("{SLSA_V1} or {SLSA_V02}"),
            Self::Other(uri) => uri.clone(),
        }
    }

    /// Returns the predicate type of a predicate without a statement.
    fn predicate_type(&self, document: &Document) -> Result<String> {
        let found = match self {
            Self::Sbom if document.spdx.is_some() => Some(SPDX),
            Self::Sbom if document.cyclonedx.is_some() => Some(CYCLONEDX),
            Self::Provenance if document.slsa_v1.is_some() => Some(SLSA_V1),
            Self::Provenance if document.slsa_v02.is_some() => Some(SLSA_V02),
            Self::Sbom | Self::Provenance => None,
            Self::Other(uri) => Some(uri.as_str()),
        };
        found.map(str::to_owned).ok_or_else(|| match self {
            Self::Sbom => Error::input("it is neither an SPDX nor a CycloneDX document in JSON"),
            _ => Error::input("it is no SLSA provenance, of v1 or v0.2"),
        })
    }
}
