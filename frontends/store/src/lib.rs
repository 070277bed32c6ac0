#![doc = include_str!("../README.md")]

mod find;

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use longshore_core::content::{ImageStore, Lease, Origin, Provider, StoredImage};
use longshore_core::oci::Digest;
use longshore_core::{
    Error, ErrorKind, Existing, Frontend, FrontendContext, Image, ImageContent, Result, SchemeInfo, Source,
};

use find::{Found, find};

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
        let reference = &source.value;
        let store = cx.images.as_ref().ok_or_else(|| {
            Error::option(format!("image:{reference}: there is no image store in this run"))
                .with_hint("leave out --no-store, or import an image first")
        })?;
        let lease = Arc::new(store.lease()?);
        let open = |Found { names, image: StoredImage { root, referrers } }| {
            for descriptor in [&root].into_iter().chain(&referrers) {
                // Found under the lease, it stays, and so does everything that it refers to.
                let message = || format!("image {reference}: blob {} is gone", descriptor.digest);
                store.info(&descriptor.digest)?.ok_or_else(|| Error::new(ErrorKind::NotFound, message()))?;
            }
            let provider = Arc::new(Leased { store: store.clone(), _lease: lease.clone() });
            let existing = Existing { root, referrers, provider };
            Ok(Image { names, ..Image::new(ImageContent::Existing(existing)) })
        };
        find(store.as_ref(), reference, cx.every_tag)?.into_iter().map(open).collect()
    }
}

/// A store whose content stays as long as this is used.
#[derive(Debug)]
struct Leased {
    store: Arc<dyn ImageStore>,
    _lease: Arc<Lease>,
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
