//! The sources `oci:`, `oci-archive:` and `docker-archive:`.

use std::fs::File;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::Arc;

use longshore_core::archive::TarFile;
use longshore_core::content::Progress;
use longshore_core::layout::LayoutSource;
use longshore_core::oci::MANIFEST_LIMIT;
use longshore_core::options::{NoOptions, parse_of_source};
use longshore_core::{
    Context, Error, Frontend, FrontendContext, FrontendInstance, Image, Result, SchemeInfo, Source, split_reference,
};

use crate::described::{self, items};
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
        SCHEMES
            .map(|(scheme, syntax, summary)| SchemeInfo::new(scheme, syntax, summary, &mut NoOptions).with_selection())
            .into()
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        let NoOptions = parse_of_source(&source.scheme, &source.attrs)?;
        if source.value.is_empty() {
            return Err(Error::option(format!("`{}` without a path", source.scheme)));
        }
        Ok(Box::new(Archive { scheme: source.scheme.clone(), value: source.value.clone() }))
    }
}

#[derive(Debug)]
struct Archive {
    scheme: String,
    value: String,
}

impl FrontendInstance for Archive {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let (path, reference) = split_reference(&self.value);
        let progress = &cx.work().progress;
        let images = match self.scheme.as_str() {
            "oci" => LayoutSource::directory(Path::new(path)).and_then(|layout| layout.images(reference, progress)),
            "oci-archive" => open(path).and_then(|tar| layout(tar, reference, progress)),
            _ => open(path).and_then(|tar| docker(tar, reference, progress)),
        };
        images.attempt(|| format!("cannot read {}:{path}", self.scheme))
    }
}

/// Returns the images of a layout in an archive.
fn layout(tar: TarFile, reference: Option<&str>, progress: &Progress) -> Result<Vec<Image>> {
    let tar = Arc::new(tar);
    let layout = LayoutSource::archive(tar.clone())?;
    if is_hollow(&layout, &tar)? {
        return Err(Error::input("the layout lacks images or layers that its `manifest.json` has")
            .with_hint("read it as docker-archive:FILE"));
    }
    layout.images(reference, progress)
}

/// Returns the images of a tarball: from its layout if that is complete, otherwise from Docker's manifest.
fn docker(tar: TarFile, reference: Option<&str>, progress: &Progress) -> Result<Vec<Image>> {
    let tar = Arc::new(tar);
    if tar.contains("oci-layout") {
        let layout = LayoutSource::archive(tar.clone())?;
        if !is_hollow(&layout, &tar)? {
            return layout.images(reference, progress);
        }
    }
    DockerArchive::open(tar)?.images(reference, progress)
}

fn is_hollow(layout: &LayoutSource, tar: &TarFile) -> Result<bool> {
    described::is_hollow(layout.index(), layout, || match tar.contains("manifest.json") {
        true => items(&tar.document("manifest.json", MANIFEST_LIMIT)?).map(Some),
        false => Ok(None),
    })
}

fn open(path: &str) -> Result<TarFile> {
    if path == "-" {
        // What is looked at stays in the buffer that all handles share.
        if io::stdin().lock().fill_buf()?.is_empty() {
            return Err(Error::input("standard input is empty").with_hint("pipe an archive into it"));
        }
        return TarFile::spool(io::stdin());
    }
    let file = File::open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(Error::input("it is a directory").with_hint("for a layout in a directory write oci:DIR"));
    }
    if found.is_file() { TarFile::open(file) } else { TarFile::spool(file) }
}
