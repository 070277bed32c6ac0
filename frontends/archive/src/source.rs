//! The sources `oci:`, `oci-archive:` and `docker-archive:`.

use std::fs::File;
use std::io;
use std::path::Path;

use longshore_core::archive::TarFile;
use longshore_core::layout::LayoutSource;
use longshore_core::{Context, Error, Frontend, FrontendContext, Image, Result, SchemeInfo, Source};

use crate::docker::DockerArchive;

/// The frontend of `oci:DIR`, `oci-archive:FILE` and `docker-archive:FILE`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArchiveFrontend;

const SCHEMES: [(&str, &str, &str); 3] = [
    ("oci", "oci:DIR[:REF]", "an OCI image layout in a directory"),
    ("oci-archive", "oci-archive:FILE|-[:REF]", "an OCI image layout in a tar archive"),
    ("docker-archive", "docker-archive:FILE|-[:REF]", "a tarball of docker save"),
];

impl Frontend for ArchiveFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        let info = |(scheme, syntax, summary): (&'static str, &'static str, &'static str)| SchemeInfo {
            scheme: scheme.into(),
            syntax: syntax.into(),
            summary: summary.into(),
            image_store: false,
        };
        SCHEMES.map(info).into()
    }

    fn open(&self, source: &Source, _: &FrontendContext) -> Result<Vec<Image>> {
        let (path, reference) = split(&source.value);
        if path.is_empty() {
            return Err(Error::option(format!("`{}` without a path", source.scheme)));
        }
        let images = match source.scheme.as_str() {
            "oci" => LayoutSource::directory(Path::new(path)).and_then(|layout| layout.images(reference)),
            "oci-archive" => open(path).and_then(LayoutSource::archive).and_then(|layout| layout.images(reference)),
            _ => open(path).and_then(|tar| docker(tar, reference)),
        };
        images.attempt(|| format!("cannot read {}:{path}", source.scheme))
    }
}

/// A tarball: by its layout if it has one, else by Docker's manifest.
fn docker(tar: TarFile, reference: Option<&str>) -> Result<Vec<Image>> {
    if tar.contains("oci-layout") {
        return LayoutSource::archive(tar)?.images(reference);
    }
    DockerArchive::open(tar)?.images(reference)
}

fn open(path: &str) -> Result<TarFile> {
    if path == "-" {
        return TarFile::spool(io::stdin());
    }
    let file = File::open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(Error::input("it is a directory").with_hint("for a layout in a directory write oci:DIR"));
    }
    if found.is_file() { TarFile::open(file) } else { TarFile::spool(file) }
}

/// Splits `PATH[:REF]`. Both may have colons, so the longest path that exists is taken.
fn split(value: &str) -> (&str, Option<&str>) {
    let ends = value.rmatch_indices(':').map(|(at, _)| at);
    let exists = |end: &usize| value[..*end] == *"-" || Path::new(&value[..*end]).exists();
    match [value.len()].into_iter().chain(ends).find(exists) {
        Some(end) => (&value[..end], value.get(end + 1..)),
        // Nothing is there: what stands before the first colon is what was meant.
        None => value.split_once(':').map_or((value, None), |(path, reference)| (path, Some(reference))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_references_may_have_colons() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a:b"), "").unwrap();
        let path = root.path().join("a:b").display().to_string();
        let with = |reference: &str| format!("{path}:{reference}");
        assert_eq!(split(&path), (path.as_str(), None));
        assert_eq!(split(&with("app:1")), (path.as_str(), Some("app:1")));
        assert_eq!(split("-:app:1"), ("-", Some("app:1")));
        assert_eq!(split("-"), ("-", None));
        assert_eq!(split("missing:app:1"), ("missing", Some("app:1")));
    }
}
