//! SLSA provenance of what Longshore itself did (SLSA v1.0, "Provenance").
//!
//! Two runs with the same sources and options say the same: there is no clock, no random number, no name of a machine
//! or a user, and no path in it.

use std::collections::BTreeMap;

use longshore_oci::{Digest, Platform};
use serde::Serialize;
use serde_json::{Map, Value};

use super::statement::{Facts, digest_set};

/// What the parameters of this type of build mean: `docs/provenance.md`.
const BUILD_TYPE: &str = "https://longshore.dev/provenance/export/v1";

/// How an image was made. The layers of the image are added when they are known.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Provenance {
    /// The options that determined the image. Secrets and details of the machine must not be among them.
    pub parameters: Map<String, Value>,
    /// The images that it was made from.
    pub dependencies: Vec<Dependency>,
    /// The program that made it: a URI. Empty for this library.
    pub builder: String,
}

/// Something that an image was made from (SLSA v1.0, "`ResourceDescriptor`").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dependency {
    /// What it is, such as a package URL; empty if only its digest says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Its digests in hexadecimal, by algorithm.
    pub digest: BTreeMap<String, String>,
    /// What it was used as, such as `layer 2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Provenance {
    /// Creates the provenance of an image that was made with `parameters`, from `dependencies` and its layers.
    pub fn new(parameters: Map<String, Value>, dependencies: Vec<Dependency>) -> Self {
        Self { parameters, dependencies, builder: String::new() }
    }

    /// Sets the program that made the image, a URI.
    #[must_use]
    pub fn with_builder(self, builder: impl Into<String>) -> Self {
        Self { builder: builder.into(), ..self }
    }
}

impl Dependency {
    /// Creates a dependency.
    pub fn new(uri: impl Into<String>, digest: &Digest) -> Self {
        Self { uri: uri.into(), digest: digest_set(digest), name: String::new() }
    }

    /// Sets what it was used as.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// The predicate, in the order of the specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: External<'a>,
    internal_parameters: Internal<'a>,
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct External<'a> {
    #[serde(flatten)]
    parameters: &'a Map<String, Value>,
    output: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Internal<'a> {
    #[serde(serialize_with = "as_text")]
    platform: &'a Platform,
}

#[derive(Serialize)]
struct RunDetails<'a> {
    builder: Builder<'a>,
}

#[derive(Serialize)]
struct Builder<'a> {
    id: &'a str,
    version: BTreeMap<&'static str, &'static str>,
}

fn as_text<S: serde::Serializer>(platform: &Platform, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(platform)
}

/// Returns the predicate of an image.
pub(super) fn predicate<'a>(provenance: &'a Provenance, facts: &Facts<'a>) -> Predicate<'a> {
    let layers = facts.layers.iter().enumerate();
    let layers = layers.map(|(at, diff_id)| Dependency::new("", diff_id).with_name(format!("layer {}", at + 1)));
    Predicate {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE,
            external_parameters: External { parameters: &provenance.parameters, output: facts.options },
            internal_parameters: Internal { platform: facts.platform },
            resolved_dependencies: provenance.dependencies.iter().cloned().chain(layers).collect(),
        },
        run_details: RunDetails {
            builder: Builder {
                id: &provenance.builder,
                version: BTreeMap::from([("longshore", env!("CARGO_PKG_VERSION"))]),
            },
        },
    }
}
