//! Manifests as registries serve and accept them.

use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Hasher, MANIFEST_LIMIT, MediaType, Result};
use serde::Deserialize;

use crate::http::{Failure, Response, bounded};

/// Accepts everything that can be read, so that the registry converts nothing.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Returns the digest that a registry states, if its algorithm is supported.
pub(crate) fn said_digest(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.trim().parse().ok()
}

/// Fails if a registry states another digest than ours.
pub(crate) fn check_said(response: &Response, digest: &Digest) -> Result<()> {
    match said_digest(response) {
        Some(said) if said != *digest && said.algorithm() == digest.algorithm() => {
            let message = format!("{} returned the digest {said}, expected {digest}", response.url);
            Err(Error::corrupt(message))
        }
        _ => Ok(()),
    }
}

/// Reads a manifest or an index from a response, and checks its digest and media type.
pub(crate) fn read(response: Response, expected: Option<&Digest>) -> Result<(Descriptor, Vec<u8>), Failure> {
    let url = response.url.clone();
    let said = said_digest(&response);
    let content_type = response.header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (digest, bytes) = checked(response, expected.or(said.as_ref()))?;
    let media_type = media_type(&content_type, &bytes).map_err(|error| error.context(format!("cannot use {url}")))?;
    Ok((Descriptor::new(media_type, digest, bytes.len() as u64), bytes))
}

/// Reads a document of any type from a response, and checks its digest.
pub(crate) fn checked(response: Response, expected: Option<&Digest>) -> Result<(Digest, Vec<u8>), Failure> {
    let url = response.url.clone();
    let bytes = response.read(MANIFEST_LIMIT + 1)?;
    if bytes.len() as u64 > MANIFEST_LIMIT {
        return Err(Error::input(format!("{url} has more than {MANIFEST_LIMIT} bytes")).into());
    }
    let Some(expected) = expected else { return Ok((Digest::of(&bytes), bytes)) };
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(&bytes);
    let digest = hasher.finish();
    if digest != *expected {
        return Err(Error::corrupt(format!("{url} has the digest {digest}, expected {expected}")).into());
    }
    Ok((digest, bytes))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
}

/// Returns the type stated by both the registry and the document, which must be the same.
fn media_type(content_type: &str, bytes: &[u8]) -> Result<MediaType> {
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|error| Error::input("not a manifest").with_source(error))?;
    let is_known = |name: &str| {
        let media_type = MediaType::from(name.to_owned());
        (media_type.is_manifest() || media_type.is_index()).then_some(media_type)
    };
    // Caches and file servers do not know our types.
    let is_general = matches!(content_type, "" | "application/json" | "application/octet-stream" | "text/plain");
    let unsupported = |name: &str| {
        let error = Error::new(ErrorKind::Unsupported, format!("manifests of type `{}`", bounded(name)));
        error.with_hint("push the image again with a tool that writes OCI or Docker schema 2 manifests")
    };
    match shape.media_type.as_deref() {
        Some(own) if is_general || own == content_type => is_known(own).ok_or_else(|| unsupported(own)),
        Some(own) => {
            let (own, said) = (bounded(own), bounded(content_type));
            Err(Error::corrupt(format!("it is a `{own}`, but the registry says `{said}`")))
        }
        None if !is_general => is_known(content_type).ok_or_else(|| unsupported(content_type)),
        None if shape.manifests.is_some() => Ok(MediaType::INDEX),
        None if shape.config.is_some() => Ok(MediaType::MANIFEST),
        None => Err(Error::input("it is neither a manifest nor an index")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_what_both_say() {
        let oci = MediaType::MANIFEST;
        let typed = format!(r#"{{"mediaType":"{oci}","config":{{}}}}"#);
        assert_eq!(media_type(oci.as_str(), typed.as_bytes()).unwrap(), oci);
        assert_eq!(media_type("application/json", typed.as_bytes()).unwrap(), oci);
        assert!(media_type(MediaType::INDEX.as_str(), typed.as_bytes()).is_err());
        assert_eq!(media_type(oci.as_str(), br#"{"config":{}}"#).unwrap(), oci);
        assert_eq!(media_type("", br#"{"manifests":[]}"#).unwrap(), MediaType::INDEX);
        let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert_eq!(media_type(old, b"{}").unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(media_type("", b"[]").is_err() && media_type("", b"{}").is_err());
    }
}
