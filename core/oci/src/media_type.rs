//! Media types, and the formats they describe.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::algorithm::Algorithm;

/// A media type. Unknown types are preserved, never refused (image-spec, media-types.md).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

impl MediaType {
    /// An OCI image manifest.
    pub const MANIFEST: Self = Self(Cow::Borrowed("application/vnd.oci.image.manifest.v1+json"));
    /// An OCI image index.
    pub const INDEX: Self = Self(Cow::Borrowed("application/vnd.oci.image.index.v1+json"));
    /// An OCI image configuration.
    pub const CONFIG: Self = Self(Cow::Borrowed("application/vnd.oci.image.config.v1+json"));
    /// Docker's manifest, version 2 schema 2.
    pub const DOCKER_MANIFEST: Self = Self(Cow::Borrowed("application/vnd.docker.distribution.manifest.v2+json"));
    /// Docker's manifest list.
    pub const DOCKER_LIST: Self = Self(Cow::Borrowed("application/vnd.docker.distribution.manifest.list.v2+json"));
    /// Docker's image configuration.
    pub const DOCKER_CONFIG: Self = Self(Cow::Borrowed("application/vnd.docker.container.image.v1+json"));

    /// Returns the type of an OCI layer that is compressed with `algorithm`.
    pub fn layer(algorithm: Algorithm) -> Self {
        Self(Cow::Borrowed(match algorithm {
            Algorithm::Uncompressed => OCI_LAYER,
            Algorithm::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Algorithm::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }))
    }

    /// Returns OCI's equivalent of a Docker type; any other type unchanged.
    #[must_use]
    pub fn to_oci(&self) -> Self {
        if let Some(algorithm) = self.layer_compression()
            && self.0.starts_with("application/vnd.docker.")
        {
            let oci = Self::layer(algorithm);
            return match self.is_not_distributable() {
                true => Self(oci.0.replace(OCI_LAYER, OCI_FOREIGN_LAYER).into()),
                false => oci,
            };
        }
        match self {
            twin if *twin == Self::DOCKER_MANIFEST => Self::MANIFEST,
            twin if *twin == Self::DOCKER_LIST => Self::INDEX,
            twin if *twin == Self::DOCKER_CONFIG => Self::CONFIG,
            other => other.clone(),
        }
    }

    /// Returns Docker's equivalent of an OCI type; any other type unchanged.
    #[must_use]
    pub fn to_docker(&self) -> Self {
        for (oci, docker) in [(OCI_LAYER, DOCKER_LAYER), (OCI_FOREIGN_LAYER, DOCKER_FOREIGN_LAYER)] {
            if let Some(suffix) = self.0.strip_prefix(oci)
                && self.layer_compression().is_some()
            {
                return Self(format!("{docker}{}", suffix.replace('+', ".")).into());
            }
        }
        match self {
            twin if *twin == Self::MANIFEST => Self::DOCKER_MANIFEST,
            twin if *twin == Self::INDEX => Self::DOCKER_LIST,
            twin if *twin == Self::CONFIG => Self::DOCKER_CONFIG,
            other => other.clone(),
        }
    }

    /// Returns the type as written in documents.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it names an image manifest, of OCI or of Docker.
    pub fn is_manifest(&self) -> bool {
        *self == Self::MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Returns whether it names an index, of OCI or of Docker.
    pub fn is_index(&self) -> bool {
        *self == Self::INDEX || *self == Self::DOCKER_LIST
    }

    /// Returns whether it names an image configuration, of OCI or of Docker.
    pub fn is_config(&self) -> bool {
        *self == Self::CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// Returns whether Docker accepts an image configuration of this type, though the type does not name one: old
    /// registries and tools wrote such types (moby, `distribution/registry.go`). Whether it is one, its content
    /// says.
    pub fn may_be_config(&self) -> bool {
        matches!(self.as_str(), "application/octet-stream" | "application/json" | "text/html" | "") || self.is_config()
    }

    /// Returns whether it names a layer that only its publisher may distribute (image-spec, layer.md,
    /// "Non-Distributable Layers"; Docker's "foreign" layers).
    pub fn is_not_distributable(&self) -> bool {
        self.0.starts_with("application/vnd.oci.image.layer.nondistributable.")
            || self.0.starts_with("application/vnd.docker.image.rootfs.foreign.")
    }

    /// Returns the compression of the layer that it names; `None` if it names no known layer type.
    ///
    /// Docker's types are not exact in the wild (`tar.gzip` on any compression), so readers of a layer also
    /// check its first bytes.
    pub fn layer_compression(&self) -> Option<Algorithm> {
        let name = self.as_str();
        let suffix = name
            .strip_prefix(OCI_LAYER)
            .or_else(|| name.strip_prefix(OCI_FOREIGN_LAYER))
            .map(|suffix| suffix.replace('+', "."))
            .or_else(|| name.strip_prefix(DOCKER_LAYER).map(Into::into))
            .or_else(|| name.strip_prefix(DOCKER_FOREIGN_LAYER).map(Into::into))?;
        match suffix.as_str() {
            "" => Some(Algorithm::Uncompressed),
            ".gzip" => Some(Algorithm::Gzip),
            ".zstd" => Some(Algorithm::Zstd),
            _ => None,
        }
    }
}

impl From<String> for MediaType {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_of_docker_lead_back() {
        let layers = [Algorithm::Uncompressed, Algorithm::Gzip, Algorithm::Zstd].map(MediaType::layer);
        for oci in [MediaType::MANIFEST, MediaType::INDEX, MediaType::CONFIG].into_iter().chain(layers) {
            let docker = oci.to_docker();
            assert!(docker.as_str().starts_with("application/vnd.docker."), "{docker}");
            assert_eq!((docker.to_oci(), docker.layer_compression()), (oci.clone(), oci.layer_compression()));
        }
        for suffix in ["", "+gzip", "+zstd"] {
            let oci = MediaType::from(format!("application/vnd.oci.image.layer.nondistributable.v1.tar{suffix}"));
            let docker = oci.to_docker();
            let expected = format!("application/vnd.docker.image.rootfs.foreign.diff.tar{}", suffix.replace('+', "."));
            assert_eq!((docker.as_str(), docker.to_oci()), (expected.as_str(), oci));
        }
        let other = MediaType::from("application/vnd.in-toto+json".to_owned());
        assert_eq!(other.to_docker(), other);
    }

    #[test]
    fn layer_types_name_their_compression() {
        for (name, expected) in [
            ("application/vnd.oci.image.layer.v1.tar", Some(Algorithm::Uncompressed)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Algorithm::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Algorithm::Zstd)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Some(Algorithm::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Some(Algorithm::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Some(Algorithm::Zstd)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar", Some(Algorithm::Uncompressed)),
            ("application/vnd.oci.image.layer.v1.tar+xz", None),
            ("application/vnd.in-toto+json", None),
        ] {
            assert_eq!(MediaType::from(name.to_owned()).layer_compression(), expected, "{name}");
        }
    }
}
