#![doc = include_str!("../README.md")]

mod find;

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use longshore_core::content::{ImageStore, Lease, Origin, Provider, StoredImage};
use longshore_core::oci::Digest;
use longshore_core::options::{Options, Visitor, parse_of_source};
use longshore_core::{
    Context, Error, ErrorKind, Existing, Frontend, FrontendContext, FrontendInstance, Image, ImageContent, Result,
    SchemeInfo, Source,
};

use find::{Found, find};

const SCHEME: &str = "image";

/// The frontend of `image:NAME`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreFrontend;

#[derive(Debug, Clone, Default)]
struct StoreOptions {
    all_tags: Option<bool>,
}

impl Options for StoreOptions {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        visitor.option("all-tags", "Take every tag of a NAME without one", "false", &mut self.all_tags)
    }
}

impl Frontend for StoreFrontend {
    fn schemes(&self) -> Vec<SchemeInfo> {
        vec![SchemeInfo::new(SCHEME, "image:NAME", "an image in the image store", &mut StoreOptions::default())]
    }

    fn resolve(&self, source: &Source) -> Result<Box<dyn FrontendInstance>> {
        if source.value.is_empty() {
            return Err(Error::option("`image:` without a name").with_hint("`longshore images` lists the names"));
        }
        let options: StoreOptions = parse_of_source(SCHEME, &source.attrs)?;
        Ok(Box::new(Named { reference: source.value.clone(), all_tags: options.all_tags == Some(true) }))
    }
}

#[derive(Debug)]
struct Named {
    reference: String,
    all_tags: bool,
}

impl FrontendInstance for Named {
    fn build(&self, cx: &FrontendContext<'_>) -> Result<Vec<Image>> {
        let reference = &self.reference;
        let store = cx.images().attempt(|| format!("cannot read image:{reference}"))?;
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
        find(store.as_ref(), reference, self.all_tags)?.into_iter().map(open).collect()
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
