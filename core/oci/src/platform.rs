//! Platforms of images.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::json::null_is_empty;

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
    /// Features required of the operating system, for Windows.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
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
        // Every variant of 64-bit ARM runs what is built for v8, which is omitted.
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

    /// Returns the version of a variant that also runs what is built for lower versions.
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

    /// Reads any well-formed platform, as containerd does, since Go does not list `wasi/wasm`. A known architecture
    /// without an operating system means Linux: `arm64` is `linux/arm64`, and `arm/v6` is `linux/arm/v6`. A word one
    /// typo away from a common one is an error.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| {
            Error::option(format!("platform `{}`: {reason}", text.escape_debug()))
                .with_hint("a platform is OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7")
        };
        let meant = |reason: &str, meant: &str| invalid(reason).with_hint(format!("did you mean `{meant}`?"));
        let lower = text.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        if parts.iter().any(|part| part.is_empty() || !part.bytes().all(is_platform_byte)) {
            return Err(invalid("not of the form OS/ARCH"));
        }
        let (os, architecture, variant) = match parts[..] {
            [architecture] if is_architecture(architecture) => ("linux", architecture, None),
            [word] => {
                return Err(match ARCHITECTURES.iter().find(|known| is_slip(word, known)) {
                    Some(near) => meant(&format!("unknown architecture `{word}`"), near),
                    None => invalid("not of the form OS/ARCH"),
                });
            }
            [architecture, os] if is_architecture(architecture) && OPERATING_SYSTEMS.contains(&os) => {
                return Err(meant("the operating system comes first", &format!("{os}/{architecture}")));
            }
            [architecture, variant] if is_architecture(architecture) => ("linux", architecture, Some(variant)),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(invalid("not of the form OS/ARCH")),
        };
        let platform = Self::new(os, architecture, variant);
        for (what, word, own, known) in [
            ("operating system", os, &platform.os, &OPERATING_SYSTEMS[..]),
            ("architecture", architecture, &platform.architecture, &ARCHITECTURES[..]),
        ] {
            if !known.contains(&own.as_str())
                && let Some(near) = known.iter().find(|known| is_slip(own, known))
            {
                return Err(meant(&format!("unknown {what} `{word}`"), near));
            }
        }
        Ok(platform)
    }
}

/// Common values of Go's GOOS.
const OPERATING_SYSTEMS: [&str; 15] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
];
const ARCHITECTURES: [&str; 18] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv",
    "riscv64", "s390", "s390x", "sparc64", "wasm", "wasm32",
];

/// Returns whether `word` is a common architecture, as Go names it or as an alias.
fn is_architecture(word: &str) -> bool {
    ARCHITECTURES.contains(&Platform::new("linux", word, None).architecture.as_str())
}

/// Returns whether `word` is `known` with one letter added, missing or changed, or two neighbours swapped. Words
/// that differ in a digit are distinct, such as `wasip1` and `wasip2`, and so are short ones, such as `arc` and
/// `arm`.
fn is_slip(word: &str, known: &str) -> bool {
    if word.len().min(known.len()) < 4 {
        return false;
    }
    let (mut one, mut other) = (word.as_bytes(), known.as_bytes());
    while let ([first, rest @ ..], [also, others @ ..]) = (one, other)
        && first == also
    {
        (one, other) = (rest, others);
    }
    while let ([rest @ .., last], [others @ .., also]) = (one, other)
        && last == also
    {
        (one, other) = (rest, others);
    }
    match (one, other) {
        ([letter], []) | ([], [letter]) => letter.is_ascii_alphabetic(),
        ([letter], [also]) => letter.is_ascii_alphabetic() && also.is_ascii_alphabetic(),
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => false,
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
            ("Linux/AMD64", "linux/amd64"),
            ("arm64", "linux/arm64"),
            ("AARCH64", "linux/arm64"),
            ("x86_64", "linux/amd64"),
            ("arm", "linux/arm/v7"),
            ("armel", "linux/arm/v6"),
            ("arm/v6", "linux/arm/v6"),
            ("arm64/v8", "linux/arm64"),
            ("amd64/v3", "linux/amd64/v3"),
            ("riscv64", "linux/riscv64"),
            ("wasm", "linux/wasm"),
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
    fn platforms_that_go_does_not_know_are_platforms() {
        for text in [
            "wasi/wasm",
            "wasip2/wasm",
            "linux/loongarch64",
            "linux/riscv32",
            "linux/sw_64",
            "haiku/x86_64-v3",
            "unikraft/arm64",
            "linux/arc",
            "qemu/amd64",
        ] {
            let platform = text.parse::<Platform>().unwrap();
            assert_eq!(platform.to_string(), text);
            assert_eq!(platform.rank(&platform), Some(0), "{text}");
        }
    }

    #[test]
    fn a_slip_of_the_keyboard_is_no_platform() {
        for (text, reason, meant) in [
            ("linux/amd46", "unknown architecture `amd46`", "amd64"),
            ("linus/amd64", "unknown operating system `linus`", "linux"),
            ("linux/riscv46", "unknown architecture `riscv46`", "riscv64"),
            ("linx/arm/v7", "unknown operating system `linx`", "linux"),
            ("windowss/amd64", "unknown operating system `windowss`", "windows"),
            ("linux/mipsel", "unknown architecture `mipsel`", "mipsle"),
            ("amd46", "unknown architecture `amd46`", "amd64"),
            ("arm64/linux", "the operating system comes first", "linux/arm64"),
        ] {
            let error = text.parse::<Platform>().unwrap_err();
            assert_eq!(error.message(), format!("platform `{text}`: {reason}"));
            assert_eq!(error.hint(), Some(format!("did you mean `{meant}`?").as_str()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in [
            "",
            "linux",
            "riscv32",
            "rootfs",
            "linux/",
            "/amd64",
            "linux/amd64/v1/x",
            "wasi//wasm",
            "a b/amd64",
            "linux/amd64\u{e9}",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
