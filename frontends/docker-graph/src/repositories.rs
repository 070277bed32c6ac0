//! Names of images: `repositories.json`, and image IDs.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use longshore_core::oci::{Digest, ImageName};
use longshore_core::options::nearest;
use longshore_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// How many names a hint shows.
const SHOWN: usize = 8;

/// Sorted names of images, and invalid ones.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    names: Vec<(ImageName, Digest)>,
    /// Entries that are not valid names: they do not affect the others.
    pub(crate) strange: Vec<String>,
}

/// A selected image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Digest,
    pub(crate) names: Vec<ImageName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    /// Names by repository.
    #[serde(default)]
    repositories: BTreeMap<String, BTreeMap<String, Digest>>,
}

impl Repositories {
    /// Reads `repositories.json`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |error: serde_json::Error| Error::corrupt("it is malformed").with_source(error);
        let document: Document = serde_json::from_slice(bytes).map_err(malformed)?;
        let mut repositories = Self::default();
        for (text, id) in document.repositories.into_values().flatten() {
            match text.parse() {
                Ok(name) => repositories.names.push((name, id)),
                Err(_) => repositories.strange.push(text),
            }
        }
        Ok(repositories)
    }

    /// Returns all tagged images, each with its tags.
    pub(crate) fn all(&self) -> Vec<Found> {
        self.found(|name| name.is_tagged())
    }

    /// Returns the images that `reference` means to `docker`: a name, otherwise an image ID in `ids` or a prefix of
    /// one. With `all_tags`, a name alone stands for all its tags.
    pub(crate) fn find(&self, reference: &str, all_tags: bool, ids: &[Digest]) -> Result<Vec<Found>> {
        if let Some(id) = reference.parse::<Digest>().ok().filter(|id| ids.contains(id)) {
            return Ok(vec![Found { id, names: Vec::new() }]);
        }
        if let Ok(wanted) = reference.parse::<ImageName>() {
            let is_repository = |name: &ImageName| (name.registry(), name.repository()) == repository_of(&wanted);
            let is_all = all_tags && !wanted.is_tagged() && wanted.digest().is_none();
            let found = match wanted.digest() {
                Some(digest) => self.found(|name| is_repository(name) && name.digest() == Some(digest)),
                None if is_all => self.found(|name| is_repository(name) && name.is_tagged()),
                None => self.found(|name| name.is_tagged() && *name.to_string() == *wanted.to_string()),
            };
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let start = reference.strip_prefix("sha256:").unwrap_or(reference);
        let is_start = !start.is_empty() && start.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut matching = ids.iter().filter(|id| is_start && id.hex().starts_with(start));
        match (matching.next(), matching.next()) {
            (Some(id), None) => Ok(vec![Found { id: id.clone(), names: Vec::new() }]),
            (Some(_), Some(_)) => Err(Error::option(format!("`{reference}` matches several image IDs"))
                .with_hint("use more digits of the ID")),
            (None, _) => Err(self.missing(reference)),
        }
    }

    /// Returns the images with a wanted name, in the order of the first name of each.
    fn found(&self, is_wanted: impl Fn(&ImageName) -> bool) -> Vec<Found> {
        let mut all: IndexMap<&Digest, Vec<ImageName>> = IndexMap::new();
        for (name, id) in self.names.iter().filter(|(name, _)| is_wanted(name)) {
            all.entry(id).or_default().push(name.clone());
        }
        all.into_iter().map(|(id, names)| Found { id: id.clone(), names }).collect()
    }

    fn missing(&self, reference: &str) -> Error {
        let error = Error::new(ErrorKind::NotFound, format!("no such image `{}`", reference.escape_debug()));
        let names: Vec<String> = self.names.iter().map(|(name, _)| name.familiar()).collect();
        match nearest(reference, names.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None if names.is_empty() => error.with_hint("no image has a tag: name one by its ID"),
            None if names.len() > SHOWN => error.with_hint(format!(
                "available images: {} and {} more",
                names[..SHOWN].join(", "),
                names.len() - SHOWN
            )),
            None => error.with_hint(format!("available images: {}", names.join(", "))),
        }
    }
}

fn repository_of(name: &ImageName) -> (&str, &str) {
    (name.registry(), name.repository())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "sha256:aa11111111111111111111111111111111111111111111111111111111111111";
    const B: &str = "sha256:aa22222222222222222222222222222222222222222222222222222222222222";
    const C: &str = "sha256:cc33333333333333333333333333333333333333333333333333333333333333";

    fn find(reference: &str, all_tags: bool) -> Result<String> {
        let document = format!(
            r#"{{"Repositories":{{"app":{{"app:1":"{A}","app:latest":"{A}","app:2":"{B}","app@{C}":"{A}"}},"r.example:5000/x/app":{{"r.example:5000/x/app:1":"{B}"}}}}}}"#
        );
        let repositories = Repositories::parse(document.as_bytes()).unwrap();
        let ids: Vec<Digest> = [A, B, C].iter().map(|id| id.parse().unwrap()).collect();
        let found =
            if reference.is_empty() { repositories.all() } else { repositories.find(reference, all_tags, &ids)? };
        let one = |found: &Found| {
            let names: Vec<String> = found.names.iter().map(ImageName::familiar).collect();
            format!("{}={}", &found.id.hex()[..2 + usize::from(found.id.hex().starts_with("aa"))], names.join(","))
        };
        Ok(found.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn references_as_docker_reads_them() {
        for (reference, all_tags, expected) in [
            ("app:1", false, "aa1=app:1"),
            ("docker.io/library/app:1", true, "aa1=app:1"),
            ("app", false, "aa1=app:latest"),
            ("app", true, "aa1=app:1,app:latest aa2=app:2"),
            ("r.example:5000/x/app", true, "aa2=r.example:5000/x/app:1"),
            ("aa1", false, "aa1="),
            (A, false, "aa1="),
            ("sha256:cc", true, "cc="),
            ("", false, "aa1=app:1,app:latest aa2=app:2,r.example:5000/x/app:1"),
        ] {
            assert_eq!(find(reference, all_tags).unwrap(), expected, "{reference} {all_tags}");
        }
        assert_eq!(find(&format!("app@{C}"), false).unwrap(), format!("aa1=app@{C}"));
    }

    #[test]
    fn what_is_not_there_or_not_clear() {
        assert!(find("aa", false).unwrap_err().message().contains("several image IDs"));
        let error = find("apq:1", false).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some("did you mean app:1?")));
        assert!(find("r.example:5000/x/app", false).is_err());
        assert!(Repositories::parse(b"{").is_err());
    }
}
