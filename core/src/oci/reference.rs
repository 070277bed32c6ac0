//! Image names as people write them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use oci_spec::distribution::Reference;

use crate::error::{Error, Result};

/// A full image name, such as `docker.io/library/alpine:3.20`.
///
/// Parsed as Docker does (`alpine` is `docker.io/library/alpine:latest`) and never empty.
#[derive(Debug, Clone)]
pub struct ImageName {
    reference: Reference,
    is_tagged: bool,
}

/// How it was written makes no other name of it.
impl PartialEq for ImageName {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference
    }
}

impl Eq for ImageName {}

impl Hash for ImageName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reference.hash(state);
    }
}

impl ImageName {
    /// The host and port of the registry, such as `docker.io`.
    pub fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// The path in the registry, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        self.reference.repository()
    }

    /// The tag; `latest` where neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.reference.tag()
    }

    /// Whether the tag was written, and is not only what a name without a tag stands for.
    pub fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&str> {
        self.reference.digest()
    }

    /// The name as Docker shows it: `alpine:3.20` for `docker.io/library/alpine:3.20`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        short.strip_prefix("library/").filter(|_| full != short).unwrap_or(short).to_owned()
    }

    /// What `org.opencontainers.image.ref.name` says: the tag, or the full name where there is none.
    pub fn ref_name(&self) -> String {
        match (self.digest(), self.tag()) {
            (None, Some(tag)) => tag.to_owned(),
            _ => self.to_string(),
        }
    }
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: String| Error::option(format!("image name `{}`: {reason}", text.escape_debug()));
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid("64 hex digits are an image ID, not a name".to_owned()));
        }
        let reference = Reference::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        Ok(Self { reference, is_tagged })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference.whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_as_docker_does() {
        for (text, full, ref_name) in [
            ("alpine", "docker.io/library/alpine:latest", "latest"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "3.20"),
            ("u/app", "docker.io/u/app:latest", "latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "c"),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest", "latest"),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!((name.to_string().as_str(), name.ref_name().as_str()), (full, ref_name));
            assert_eq!(name.familiar().parse::<ImageName>().unwrap(), name);
        }
    }

    #[test]
    fn a_tag_that_was_written_is_told_from_one_that_was_not() {
        let is_tagged = |text: &str| text.parse::<ImageName>().unwrap().is_tagged();
        assert!(is_tagged("a:latest") && is_tagged("localhost:5000/a:b"));
        assert!(!is_tagged("a") && !is_tagged("localhost:5000/a"));
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert!(!is_tagged(&digest));
        assert_eq!("a".parse::<ImageName>().unwrap(), "a:latest".parse().unwrap());
    }

    #[test]
    fn familiar_names_are_what_docker_shows() {
        for (text, familiar) in
            [("alpine", "alpine:latest"), ("u/a:1", "u/a:1"), ("ghcr.io/library/a:1", "ghcr.io/library/a:1")]
        {
            assert_eq!(text.parse::<ImageName>().unwrap().familiar(), familiar);
        }
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in ["", " ", "UPPER", "a:b:c", "a//b", "-a", "a:", "a b", "a,b", &"a".repeat(64), "http://a/b"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
