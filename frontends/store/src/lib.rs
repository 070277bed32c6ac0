#![doc = include_str!("../README.md")]

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use longshore_core::content::{ImageStore, Lease, Origin, Provider, StoredImage};
use longshore_core::oci::{Digest, ImageName};
use longshore_core::options::nearest;
use longshore_core::{
    Error, ErrorKind, Existing, Frontend, FrontendContext, Image, ImageContent, Result, SchemeInfo, Source,
};

/// The frontend of `image:NAME`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreFrontend;

impl Frontend for StoreFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![SchemeInfo {
            scheme: "image".into(),
            syntax: "image:NAME".into(),
            summary: "an image in the image store".into(),
            image_store: true,
        }]
    }

    fn open(&self, source: &Source, cx: &FrontendContext) -> Result<Vec<Image>> {
        if source.value.is_empty() {
            return Err(Error::option("`image:` without a name"));
        }
        let name: ImageName = source.value.parse()?;
        let store = cx.images.as_ref().ok_or_else(|| {
            Error::option(format!("image:{name}: there is no image store in this run"))
                .with_hint("leave out --no-store, or import an image first")
        })?;
        let lease = store.lease()?;
        let StoredImage { root, referrers } = store.image(&name)?.map_or_else(|| Err(missing(&name, store)), Ok)?;
        for descriptor in [&root].into_iter().chain(&referrers) {
            // Found under the lease, it stays, and so does everything that it refers to.
            let gone = || Error::new(ErrorKind::NotFound, format!("image {name}: blob {} is gone", descriptor.digest));
            store.info(&descriptor.digest)?.ok_or_else(gone)?;
        }
        let provider = Arc::new(Leased { store: store.clone(), _lease: lease });
        let existing = Existing { root, referrers, provider };
        Ok(vec![Image { names: vec![name], ..Image::new(ImageContent::Existing(existing)) }])
    }
}

fn missing(name: &ImageName, store: &Arc<dyn ImageStore>) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("image {name} is not in the store"));
    let names: Vec<String> = match store.images() {
        Ok(images) => images.into_iter().map(|(name, _)| name.to_string()).collect(),
        Err(error) => return error,
    };
    match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("`longshore images` lists what is there"),
    }
}

/// A store whose content stays as long as this is used.
#[derive(Debug)]
struct Leased {
    store: Arc<dyn ImageStore>,
    _lease: Lease,
}

impl Provider for Leased {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.store.open(digest, from)
    }

    fn local_file(&self, digest: &Digest) -> Result<Option<File>> {
        self.store.local_file(digest)
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        self.store.origins(digest)
    }
}
