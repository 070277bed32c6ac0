//! Platforms of images.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::{Arch, Os};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Operating system and processor, as `linux/arm64/v8` (image-spec, image-index.md, "platform").
///
/// Values from users are normalised as in containerd: `x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is
/// `arm/v7`. Values read from documents stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor, in Go's words (`GOARCH`).
    pub architecture: String,
    /// The operating system, in Go's words (`GOOS`).
    pub os: String,
    /// The version of the operating system, for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have, for Windows.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Creates a normalised platform without a version of its operating system.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = if os == "macos" { "darwin" } else { os };
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386" | "x86", variant) => ("386", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", None) => ("arm", Some("v7")),
            ("armel", None) => ("arm", Some("v6")),
            other => other,
        };
        let variant = match (architecture, variant) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None | Some("7")) => Some("v7"),
            ("arm", Some("5")) => Some("v5"),
            ("arm", Some("6")) => Some("v6"),
            ("arm", Some("8")) => Some("v8"),
            (_, variant) => variant,
        };
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Returns the platform of this machine.
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, None)
    }

    /// Returns whether an image for `self` matches the requested platform `wanted`.
    ///
    /// Both are compared normalised; a version of the operating system is not compared.
    pub fn matches(&self, wanted: &Self) -> bool {
        let key = |platform: &Self| Self { os_version: None, os_features: Vec::new(), ..platform.normal() };
        key(self) == key(wanted)
    }

    /// Returns how well an image for `image` suits a machine of this platform: 0 for the same platform, more
    /// for older CPU variants, which the machine also runs; `None` if it does not run there.
    ///
    /// An image that requires features of the operating system suits only a platform that has them. Versions of
    /// the operating system are compared where both platforms name one. Another architecture never suits, such as
    /// `386` on `amd64`.
    pub fn rank(&self, image: &Self) -> Option<u32> {
        let (own, image) = (self.normal(), image.normal());
        let has_features = image.os_features.iter().all(|feature| own.os_features.contains(feature));
        let has_version = match (&own.os_version, &image.os_version) {
            (Some(own), Some(image)) => own == image,
            _ => true,
        };
        if (&own.os, &own.architecture) != (&image.os, &image.architecture) || !has_features || !has_version {
            return None;
        }
        if own.variant == image.variant {
            return Some(0);
        }
        // Each variant of 64-bit ARM runs what is built for v8, which is not written.
        if own.architecture == "arm64" {
            return image.variant.is_none().then_some(1);
        }
        own.version()?.checked_sub(image.version()?)
    }

    /// Returns whether the platform of a configuration agrees with that of the index that lists its manifest;
    /// one of the two may lack the variant.
    pub fn agrees_with(&self, listed: &Self) -> bool {
        let one_is_open = self.variant.is_none() || listed.variant.is_none();
        let is_same = (&self.os, &self.architecture) == (&listed.os, &listed.architecture);
        self.matches(listed) || (one_is_open && is_same)
    }

    /// Returns the same platform with normalised architecture and operating system.
    #[must_use]
    pub fn normal(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Self::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Returns the number of a variant of which each runs what is built for lower ones.
    fn version(&self) -> Option<u32> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("amd64", None) => Some(1),
            ("amd64" | "arm", Some(variant)) => variant.strip_prefix('v')?.parse().ok(),
            _ => None,
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| {
            Error::option(format!("platform `{}`: {reason}", text.escape_debug()))
                .with_hint("a platform is OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7")
        };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty() || !part.bytes().all(is_platform_byte)) {
            return Err(invalid("not of the form OS/ARCH"));
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(invalid("not of the form OS/ARCH")),
        };
        let platform = Self::new(os, architecture, variant);
        if matches!(Os::from(platform.os.as_str()), Os::Other(_)) {
            return Err(invalid(&format!("unknown operating system `{os}`")));
        }
        if matches!(Arch::from(platform.architecture.as_str()), Arch::Other(_)) {
            return Err(invalid(&format!("unknown architecture `{architecture}`")));
        }
        Ok(platform)
    }
}

fn is_platform_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_as_containerd_does() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armel", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_machine_runs_older_variants_of_its_processor() {
        for (machine, image, expected) in [
            ("linux/arm/v6", "linux/arm/v6", Some(0)),
            ("linux/arm/v6", "linux/arm/v5", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm", "linux/arm/v5", Some(2)),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/arm64", "linux/arm64/v8", Some(0)),
            ("linux/arm64/v9", "linux/arm64", Some(1)),
            ("linux/arm64", "linux/arm64/v9", None),
            ("linux/arm64/v9", "linux/arm64/v8.2", None),
            ("linux/arm64", "linux/arm/v7", None),
            ("linux/amd64", "linux/386", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/arm/vx", "linux/arm/v5", None),
        ] {
            let [machine, image] = [machine, image].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(machine.rank(&image), expected, "{image} on {machine}");
        }
    }

    #[test]
    fn features_are_required_and_versions_compared_where_both_name_one() {
        let plain = Platform::new("windows", "amd64", None);
        let newer = Platform { os_version: Some("10.0.20348.1".into()), ..plain.clone() };
        let older = Platform { os_version: Some("10.0.17763.1".into()), ..plain.clone() };
        let special = Platform { os_features: vec!["win32k".into()], ..plain.clone() };
        for (machine, image, expected) in [
            (&plain, &newer, Some(0)),
            (&newer, &plain, Some(0)),
            (&newer, &newer, Some(0)),
            (&newer, &older, None),
            (&plain, &special, None),
            (&special, &special, Some(0)),
            (&special, &plain, Some(0)),
        ] {
            assert_eq!(machine.rank(image), expected, "{image:?} on {machine:?}");
        }
    }

    #[test]
    fn a_variant_that_only_one_side_names_is_no_contradiction() {
        for (config, listed, expected) in [
            ("linux/arm", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/amd64", "linux/arm64", false),
        ] {
            let parts = |text: &str| {
                let parts: Vec<&str> = text.split('/').collect();
                let variant = parts.get(2).map(|variant| (*variant).to_owned());
                Platform { variant, ..Platform::new(parts[0], parts[1], Some("none")) }
            };
            assert_eq!(parts(config).agrees_with(&parts(listed)), expected, "{config} in {listed}");
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/amd46", "linus/amd64", "a b/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
