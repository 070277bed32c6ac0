//! Images of a store, found by name or by digest or its prefix.

use std::sync::Arc;

use longshore_content::{ImageStore, StoredImage, nearest, read};
use longshore_oci::{Digest, Error, ErrorKind, ImageName, MANIFEST_LIMIT, Result, parse_manifest};

use crate::result::{Existing, Image, ImageContent};

/// Returns the images in `store` that `reference` stands for: a name, otherwise the digest of an image or of its
/// configuration, or a prefix of one. With `all_tags`, a name alone stands for all its tags. Nothing but documents is
/// read, and the images hold their content as long as they are used.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) for an image that the store does not have, or not the root of;
/// [`InvalidOption`](ErrorKind::InvalidOption) for the prefix of several digests; errors of the store.
pub fn stored_images(store: &dyn ImageStore, reference: &str, all_tags: bool, referrers: bool) -> Result<Vec<Image>> {
    let store = store.lease_images()?;
    let open = |Found { names, image: StoredImage { root, referrers: mut descriptors, .. } }| {
        descriptors.retain(|_| referrers);
        for descriptor in [&root].into_iter().chain(&descriptors) {
            let message = || format!("image {reference}: blob {} is missing", descriptor.digest);
            store.info(&descriptor.digest)?.ok_or_else(|| Error::new(ErrorKind::NotFound, message()))?;
        }
        let provider = Arc::clone(&store);
        let existing = Existing::new(root, provider).with_referrers(descriptors);
        Ok(Image::new(ImageContent::Existing(existing)).with_names(names))
    };
    find(store.as_ref(), reference, all_tags)?.into_iter().map(open).collect()
}

/// A selected image, and the names that selected it.
#[derive(Debug)]
struct Found {
    names: Vec<ImageName>,
    image: StoredImage,
}

fn find(store: &dyn ImageStore, reference: &str, all_tags: bool) -> Result<Vec<Found>> {
    let name = reference.parse::<ImageName>();
    if let Ok(name) = &name {
        let found = named(store, name, all_tags && !name.is_tagged() && name.digest().is_none())?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let images = store.images()?;
    let start = reference.strip_prefix("sha256:").unwrap_or(reference);
    if !start.is_empty() && start.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        let mut found: Vec<&StoredImage> = Vec::new();
        for (_, image) in &images {
            let is_known = found.iter().any(|known| known.root.digest == image.root.digest);
            if !is_known && ids(store, image).iter().any(|id| id.hex().starts_with(start)) {
                found.push(image);
            }
        }
        match &found[..] {
            [] => {}
            [image] => return Ok(vec![Found { names: Vec::new(), image: (*image).clone() }]),
            _ => {
                let message = format!("`{reference}` matches several image IDs");
                return Err(Error::option(message).with_hint("use more digits of the ID"));
            }
        }
    }
    Err(missing(&name?, images.iter().map(|(name, _)| name.familiar()).collect()))
}

fn named(store: &dyn ImageStore, name: &ImageName, all_tags: bool) -> Result<Vec<Found>> {
    if !all_tags {
        let image = store.image(name)?;
        return Ok(image.map(|image| Found { names: vec![name.clone()], image }).into_iter().collect());
    }
    let is_same = |other: &ImageName| (other.registry(), other.repository()) == (name.registry(), name.repository());
    let mut found: Vec<Found> = Vec::new();
    for (name, image) in store.images()?.into_iter().filter(|(other, _)| is_same(other) && other.digest().is_none()) {
        match found.iter_mut().find(|known| known.image.root.digest == image.root.digest) {
            Some(known) => known.names.push(name),
            None => found.push(Found { names: vec![name], image }),
        }
    }
    Ok(found)
}

/// Returns the digests that identify an image: its own and, for a single platform, its configuration's. An unreadable
/// manifest has only its own; exporting it reports why.
fn ids(store: &dyn ImageStore, image: &StoredImage) -> Vec<Digest> {
    let root = &image.root;
    let manifest = read(store, root, MANIFEST_LIMIT).and_then(|bytes| parse_manifest(root, &bytes));
    let config = manifest.ok().filter(|_| root.media_type.is_manifest()).map(|manifest| manifest.config.digest);
    [root.digest.clone()].into_iter().chain(config).collect()
}

fn missing(name: &ImageName, present: Vec<String>) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("image {name} is not in the store"));
    // Full names of different images share a long prefix.
    match nearest(&name.familiar(), present.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("`longshore images` lists the names"),
    }
}
