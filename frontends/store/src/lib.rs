#![doc = include_str!("../README.md")]

mod find;

use longshore_core::content::StoredImage;
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
        // The images hold what they consist of as long as they are used.
        let store = store.lease_images()?;
        let open = |Found { names, image: StoredImage { root, referrers } }| {
            for descriptor in [&root].into_iter().chain(&referrers) {
                let message = || format!("image {reference}: blob {} is gone", descriptor.digest);
                store.info(&descriptor.digest)?.ok_or_else(|| Error::new(ErrorKind::NotFound, message()))?;
            }
            let existing = Existing { root, referrers, provider: store.clone() };
            Ok(Image { names, ..Image::new(ImageContent::Existing(existing)) })
        };
        find(store.as_ref(), reference, cx.every_tag)?.into_iter().map(open).collect()
    }
}
