//! Names for imported images, chosen like containerd's importer.

use longshore_core::content::Progress;
use longshore_core::layout::valid_names;
use longshore_core::oci::{Digest, ImageName};
use longshore_core::{Context, Error, Result};

/// What the user called the images of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportName {
    /// A name without a tag. A single image gets it with the tag `latest`, the usual meaning of such a name. Of several
    /// images, each without a full name gets it with the tag from the archive, or with its digest.
    Base(String),
    /// A name with a tag or digest, for the only image.
    Exact(ImageName),
}

impl std::str::FromStr for ImportName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name: ImageName = text.parse()?;
        let last = text.rsplit('/').next().unwrap_or(text);
        Ok(if last.contains([':', '@']) { Self::Exact(name) } else { Self::Base(text.to_owned()) })
    }
}

/// Returns the names of an image with `names` and `tags` in the archive. Warns about invalid names and drops them.
pub(super) fn resolve(
    given: Option<&ImportName>,
    names: &[String],
    tags: &[String],
    digest: &Digest,
    is_only: bool,
    progress: &Progress,
) -> Result<Vec<ImageName>> {
    let parse = |text: String| text.parse::<ImageName>().map_err(|error| Error::input(error.message().to_owned()));
    match given {
        Some(ImportName::Exact(name)) if is_only => return Ok(vec![name.clone()]),
        Some(ImportName::Base(name)) if is_only => return parse(name.clone()).map(|name| vec![name]),
        Some(ImportName::Exact(name)) => {
            return Err(Error::input(format!("`{name}` cannot be the name of several images"))
                .with_hint("leave out the tag: each image gets that of the archive"));
        }
        _ => {}
    }
    let names = valid_names(names, progress);
    if !names.is_empty() {
        return Ok(names);
    }
    let resolved: Result<Vec<ImageName>> = match given {
        Some(ImportName::Base(base)) if tags.is_empty() => parse(format!("{base}@{digest}")).map(|name| vec![name]),
        Some(ImportName::Base(base)) => tags.iter().map(|tag| parse(format!("{base}:{tag}"))).collect(),
        _ => {
            let what = match tags {
                [] => "no name".to_owned(),
                tags => format!("no name, only the tag {}", tags.join(", ").escape_debug()),
            };
            return Err(Error::input(format!("image {digest} has {what}")).with_hint("give it a name"));
        }
    };
    let mut names = Vec::new();
    for name in resolved.attempt(|| format!("cannot name image {digest}"))? {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(given: Option<&str>, names: &[&str], tags: &[&str], is_only: bool) -> Result<Vec<String>> {
        let given = given.map(|text| text.parse().unwrap());
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let names =
            resolve(given.as_ref(), &owned(names), &owned(tags), &Digest::of(b""), is_only, &Progress::silent())?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_of_the_archive_and_of_the_user() {
        let digest = Digest::of(b"");
        let by_digest = format!("docker.io/library/app@{digest}");
        for (given, names, tags, is_only, expected) in [
            (
                None,
                &["example.com/a:1", "example.com/a:1", "example.com/a:2"][..],
                &[][..],
                true,
                &["example.com/a:1", "example.com/a:2"][..],
            ),
            (Some("app"), &["example.com/a:1"], &["x"], false, &["example.com/a:1"]),
            (Some("app"), &[], &["v1", "v2", "v1"], false, &["docker.io/library/app:v1", "docker.io/library/app:v2"]),
            (Some("app"), &[], &[], false, &[&by_digest]),
            (Some("localhost:5000/app"), &[], &["v1"], false, &["localhost:5000/app:v1"]),
            // Of a single image, a name without a tag is `latest`, as everywhere.
            (Some("app"), &["example.com/a:1", "example.com/a:2"], &[], true, &["docker.io/library/app:latest"]),
            (Some("app"), &[], &["v1"], true, &["docker.io/library/app:latest"]),
            (Some("localhost:5000/app"), &[], &[], true, &["localhost:5000/app:latest"]),
            (Some("app:2"), &["example.com/a:1"], &["v1"], true, &["docker.io/library/app:2"]),
        ] {
            assert_eq!(named(given, names, tags, is_only).unwrap(), expected, "{given:?} {names:?} {tags:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for (given, names, tags, is_only, expected) in [
            (None, &[][..], &["v1"][..], true, "only the tag v1"),
            (None, &[], &[], true, "no name"),
            (Some("app:1"), &[], &["v1"], false, "several images"),
            (None, &["UPPER", "<none>:<none>"], &[], true, "no name"),
            (Some("app"), &[], &["a b"], false, "cannot name image"),
        ] {
            let error = named(given, names, tags, is_only).unwrap_err();
            assert!(error.with_causes().contains(expected), "{expected}: {error}");
        }
    }
}
