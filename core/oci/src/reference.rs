//! Image names as written by users.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::Digest;
use crate::error::{Error, Result};

/// The default registry and namespace.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_FOLDER: &str = "library";
/// The longest path in a registry, and the longest tag.
const REPOSITORY_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;

/// A full image name, such as `docker.io/library/alpine:3.20`.
///
/// Parsed as Docker does (`alpine` is `docker.io/library/alpine:latest`) and never empty.
#[derive(Debug, Clone)]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
    is_tagged: bool,
}

impl ImageName {
    /// Returns the host and port of the registry, such as `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the path in the registry, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag; `latest` where neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns whether the tag was given explicitly, instead of defaulting to `latest`.
    pub fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    /// Returns the digest, if the name has one.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns the name as displayed by Docker: `alpine:3.20` for `docker.io/library/alpine:3.20`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        short.strip_prefix("library/").filter(|_| full != short).unwrap_or(short).to_owned()
    }

    /// Returns the value of `org.opencontainers.image.ref.name`: the tag, or the full name if it has no tag.
    pub fn ref_name(&self) -> String {
        match (self.digest(), self.tag()) {
            (None, Some(tag)) => tag.to_owned(),
            _ => self.to_string(),
        }
    }

    /// Returns the parts that identify a name, regardless of how it was written.
    fn parts(&self) -> (&str, &str, Option<&str>, Option<&str>) {
        (&self.registry, &self.repository, self.tag(), self.digest())
    }
}

impl PartialEq for ImageName {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for ImageName {}

impl Hash for ImageName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// Follows the grammar of distribution's references (distribution/reference, `reference.go`). An equivalent regular
/// expression takes longer to compile than a warm push takes.
impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::option(format!("image name `{}`: {reason}", text.escape_debug()));
        if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid("64 hex digits are an image ID, not a name"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            digest.parse::<Digest>().map_err(|error| invalid(error.message()))?;
        }
        // A colon before the last slash separates a port.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].find(':') {
            Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid("its tag may have only letters, digits, `_`, `.` and `-`, at most 128 of them"));
        }
        let (registry, repository) = split_registry(name);
        if registry != DEFAULT_REGISTRY && !is_host(registry) {
            return Err(invalid("its registry is not a host name"));
        }
        if !repository.split('/').all(is_path_part) {
            let reason = "it may have only lower-case letters and digits, with `/`, `.`, `_` and `-` between them";
            return Err(invalid(if name.is_empty() { "it is empty" } else { reason }));
        }
        if repository.len() > REPOSITORY_LIMIT {
            return Err(invalid("it has more than 255 characters"));
        }
        let latest = digest.is_none().then_some("latest");
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.into_owned(),
            tag: tag.or(latest).map(str::to_owned),
            digest: digest.map(str::to_owned),
            is_tagged: tag.is_some(),
        })
    }
}

/// Splits a name into its registry and the path there. The part before the first slash is a registry if it
/// cannot be a namespace on Docker Hub.
fn split_registry(name: &str) -> (&str, Cow<'_, str>) {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_no_folder(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if registry == DEFAULT_REGISTRY && !path.contains('/') {
        return (registry, format!("{DEFAULT_FOLDER}/{path}").into());
    }
    (registry, path.into())
}

fn is_no_folder(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    bytes.next().is_some_and(is_word)
        && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
        && tag.len() <= TAG_LIMIT
}

/// Returns whether `text` is a host name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let is_address = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        is_edge(bytes.first())
            && is_edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Checks for lower-case letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_path_part(part: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_edge = |byte: Option<u8>| byte.is_some_and(is_plain);
    is_edge(part.bytes().next())
        && is_edge(part.bytes().last())
        && part
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
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

    /// Every short text over the letters that matter is read as a regular expression reads it.
    #[test]
    fn reads_what_the_reference_grammar_reads() {
        use oci_spec::distribution::Reference;
        // Capitals are left out: that library takes them for a folder, where Docker sees a registry.
        const LETTERS: [char; 8] = ['a', '0', '.', '_', '-', '/', ':', '['];
        let check = |text: &str| {
            let (ours, theirs) = (text.parse::<ImageName>(), text.parse::<Reference>());
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(ours.to_string(), theirs.whole(), "{text}");
                    assert_eq!((ours.registry(), ours.repository()), (theirs.registry(), theirs.repository()));
                }
                (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?}, {theirs:?}"),
            }
        };
        let mut texts = vec![String::new()];
        for length in 0..5 {
            let longer: Vec<String> =
                texts.iter().flat_map(|text| LETTERS.map(|letter| format!("{text}{letter}"))).collect();
            longer.iter().for_each(|text| check(text));
            if length < 4 {
                texts = longer;
            }
        }
        let hex = "0123456789abcdef".repeat(4);
        for text in ["localhost/a", "localhost:5000/a__b/c---d:x", "a.b/c", "index.docker.io/a"] {
            check(text);
            check(&format!("{text}@sha256:{hex}"));
            check(&format!("{text}@sha256:{}", &hex[1..]));
        }
        check(&format!("r.example/{}", "a".repeat(256)));
        check(&format!("a:{}", "b".repeat(129)));
    }

    #[test]
    fn a_tag_that_was_written_is_told_from_one_that_was_not() {
        let is_tagged = |text: &str| text.parse::<ImageName>().unwrap().is_tagged();
        assert!(is_tagged("a:latest") && is_tagged("localhost:5000/a:b"));
        assert!(!is_tagged("a") && !is_tagged("localhost:5000/a"));
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert!(!is_tagged(&digest));
        assert_eq!("a".parse::<ImageName>().unwrap(), "a:latest".parse().unwrap());
        assert_eq!("[::1]:5000/app".parse::<ImageName>().unwrap().registry(), "[::1]:5000");
        assert_eq!("Build/app".parse::<ImageName>().unwrap().registry(), "Build");
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
