//! Image names as people write them.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference;

use crate::error::{Error, Result};

/// A full image name, such as `docker.io/library/alpine:3.20`.
///
/// Parsed as Docker does (`alpine` is `docker.io/library/alpine:latest`) and never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageName(Reference);

impl ImageName {
    /// The host and port of the registry, such as `docker.io`.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    /// The path in the registry, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The tag; `latest` where neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
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
        Reference::from_str(text).map(Self).map_err(|error| invalid(error.to_string()))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.whole())
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
