//! Names of images.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_content::{ImageStore, Snapshots, StoredImage, check_name, not_found};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, ImageName, MediaType, Result};
use prost_types::FieldMask;
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::connection::is_missing;
use crate::labels::Labels;
use crate::store::ContainerdStore;
use crate::wire::images::{
    CREATE, DELETE, DeleteRequest, GET, GetRequest, Image, LIST, ListRequest, ListResponse, OneImage, UPDATE,
    UpdateRequest,
};
use crate::wire::{self, Empty};

/// Before a number: a referrer that the name keeps.
const REFERRER: &str = "containerd.io/gc.ref.content.referrer.";
/// Before a number: a part of what an image has beside its target, as JSON. A label has 4096 bytes at most.
const REST: &str = "longshore/image.";
const PART: usize = 3000;

/// What a descriptor of containerd has no room for.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Rest {
    root: Option<Descriptor>,
    referrers: Vec<Descriptor>,
}

impl ImageStore for ContainerdStore {
    fn image(&self, name: &ImageName) -> Result<Option<StoredImage>> {
        Ok(self.stored(name)?.map(|(_, image)| image))
    }

    fn images(&self) -> Result<Vec<(ImageName, StoredImage)>> {
        let request = ListRequest::default();
        let listed = self.connection.call::<_, ListResponse>(LIST, None, request);
        let listed = listed.map_err(|status| self.connection.failed(status));
        let listed = listed.attempt(|| "cannot list the images of containerd".to_owned())?.images;
        let mut images: Vec<(ImageName, StoredImage)> = Vec::new();
        for image in &listed {
            // Kubernetes names images by the digests of their configurations, too.
            let name = image.name.parse::<ImageName>().ok().filter(|_| !image.name.starts_with("sha256:"));
            let Some((name, stored)) = name.zip(stored(image)) else { continue };
            // A short name is one that was not written in full, unless that is another image.
            if image.name == name.to_string() || !listed.iter().any(|other| other.name == name.to_string()) {
                images.push((name, stored));
            }
        }
        images.sort_by_key(|(name, _)| name.to_string());
        images.dedup_by(|(name, _), (before, _)| name.to_string() == before.to_string());
        Ok(images)
    }

    fn tag(&self, images: &[(ImageName, StoredImage)]) -> Result<Vec<Option<StoredImage>>> {
        images.iter().try_for_each(|(name, image)| check_name(name, &image.root))?;
        for descriptor in images.iter().flat_map(|(_, image)| [&image.root].into_iter().chain(&image.referrers)) {
            self.find(&descriptor.digest)?.ok_or_else(|| not_found(&descriptor.digest))?;
        }
        let mut before: Vec<Option<Image>> = Vec::new();
        for (name, image) in images {
            let tagged = self.get(&name.to_string()).and_then(|found| {
                self.put(name, image, found.as_ref())?;
                Ok(found)
            });
            match tagged {
                Ok(found) => before.push(found),
                Err(error) => {
                    self.restore(&images[..before.len()], before);
                    return Err(error).attempt(|| format!("cannot name an image {name}"));
                }
            }
        }
        Ok(before.iter().map(|found| found.as_ref().and_then(stored)).collect())
    }

    fn untag(&self, names: &[ImageName]) -> Result<Vec<StoredImage>> {
        let find = |name: &ImageName| {
            let missing = || Error::new(ErrorKind::NotFound, format!("image {name} is not in the store"));
            self.stored(name)?.ok_or_else(missing)
        };
        let found = names.iter().map(find).collect::<Result<Vec<_>>>()?;
        for (name, _) in &found {
            self.delete(name).attempt(|| format!("cannot remove the name {name}"))?;
        }
        Ok(found.into_iter().map(|(_, image)| image).collect())
    }

    fn lease_images(&self) -> Result<Arc<dyn ImageStore>> {
        Ok(Arc::new(self.view()?))
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }
}

impl ContainerdStore {
    fn get(&self, name: &str) -> Result<Option<Image>> {
        match self.connection.call::<_, OneImage>(GET, None, GetRequest { name: name.to_owned() }) {
            Ok(found) => Ok(found.image),
            Err(status) if is_missing(&status) => Ok(None),
            Err(status) => Err(self.connection.failed(status)).attempt(|| format!("cannot look up image {name}")),
        }
    }

    /// Returns an image, and what containerd calls it: its full name, or a short one that another client gave it.
    fn stored(&self, name: &ImageName) -> Result<Option<(String, StoredImage)>> {
        for candidate in [name.to_string(), name.familiar()] {
            if let Some(image) = self.get(&candidate)?.as_ref().and_then(stored) {
                return Ok(Some((candidate, image)));
            }
        }
        Ok(None)
    }

    /// Points a name, which was at `found`, at an image.
    fn put(&self, name: &ImageName, stored: &StoredImage, found: Option<&Image>) -> Result<()> {
        let image = Image { name: name.to_string(), labels: labels(stored)?, target: Some(target(&stored.root)) };
        let is_ours = |key: &&String| key.starts_with(REFERRER) || key.starts_with(REST);
        let old = found.into_iter().flat_map(|found| found.labels.keys()).filter(is_ours);
        // A label of the mask that the image lacks is removed.
        let mut paths: Vec<String> = old.chain(image.labels.keys()).map(|key| format!("labels.{key}")).collect();
        paths.push("target".to_owned());
        self.upsert(image, paths)
    }

    /// Changes the fields `paths` of an image, or creates it. Others may create and remove it meanwhile.
    fn upsert(&self, image: Image, paths: Vec<String>) -> Result<()> {
        loop {
            let update_mask = Some(FieldMask { paths: paths.clone() });
            let request = UpdateRequest { image: Some(image.clone()), update_mask };
            match self.connection.call::<_, OneImage>(UPDATE, self.lease_id(), request) {
                Err(status) if is_missing(&status) => {}
                updated => return updated.map(drop).map_err(|status| self.connection.failed(status)),
            }
            let request = OneImage { image: Some(image.clone()) };
            match self.connection.call::<_, OneImage>(CREATE, self.lease_id(), request) {
                Err(status) if status.code() == Code::AlreadyExists => {}
                created => return created.map(drop).map_err(|status| self.connection.failed(status)),
            }
        }
    }

    fn delete(&self, name: &str) -> Result<()> {
        let request = DeleteRequest { name: name.to_owned(), sync: false };
        match self.connection.call::<_, Empty>(DELETE, None, request) {
            Err(status) if !is_missing(&status) => Err(self.connection.failed(status)),
            _ => Ok(()),
        }
    }

    /// Points names at what they were before, as far as possible: the error of the name that failed is the one to report.
    fn restore(&self, images: &[(ImageName, StoredImage)], before: Vec<Option<Image>>) {
        for ((name, _), before) in images.iter().zip(before) {
            let _ = match before {
                Some(image) => self.upsert(image, vec!["target".to_owned(), "labels".to_owned()]),
                None => self.delete(&name.to_string()),
            };
        }
    }
}

/// Returns a descriptor as containerd has it.
pub(crate) fn target(root: &Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        media_type: root.media_type.to_string(),
        digest: root.digest.to_string(),
        size: i64::try_from(root.size).unwrap_or(i64::MAX),
        annotations: root.annotations.clone().into_iter().collect(),
    }
}

/// Returns the labels that keep the referrers of an image, and what its target leaves out.
fn labels(image: &StoredImage) -> Result<Labels> {
    let mut labels = HashMap::new();
    for (number, referrer) in image.referrers.iter().enumerate() {
        labels.insert(format!("{REFERRER}{number}"), referrer.digest.to_string());
    }
    let is_whole = root(&target(&image.root)).as_ref() == Some(&image.root);
    if is_whole && image.referrers.is_empty() {
        return Ok(labels);
    }
    // With the root, as another client may move the name and leave the labels.
    let rest = Rest { root: Some(image.root.clone()), referrers: image.referrers.clone() };
    let json = serde_json::to_string(&rest);
    let mut json = json.map_err(|error| Error::input("a descriptor is not JSON").with_source(error))?;
    for number in 0.. {
        let later = json.split_off(json.floor_char_boundary(PART));
        labels.insert(format!("{REST}{number}"), json);
        if later.is_empty() {
            break;
        }
        json = later;
    }
    Ok(labels)
}

/// Returns an image as its writer gave it; `None` if its target is damaged.
fn stored(image: &Image) -> Option<StoredImage> {
    let plain = root(image.target.as_ref()?)?;
    let json: String = (0..).map_while(|number| image.labels.get(&format!("{REST}{number}")).cloned()).collect();
    let rest: Rest = serde_json::from_str(&json).unwrap_or_default();
    let is_current = |root: &Descriptor| (&root.digest, root.size) == (&plain.digest, plain.size);
    match rest.root {
        Some(root) if is_current(&root) => Some(StoredImage::new(root, rest.referrers)),
        _ => Some(StoredImage::new(plain, Vec::new())),
    }
}

fn root(target: &wire::Descriptor) -> Option<Descriptor> {
    let digest: Digest = target.digest.parse().ok()?;
    let mut root = Descriptor::new(MediaType::from(target.media_type.clone()), digest, target.size.try_into().ok()?);
    root.annotations = target.annotations.clone().into_iter().collect();
    Some(root)
}
