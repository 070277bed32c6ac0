//! An image as an engine will have it.

use std::collections::HashSet;

use longshore_core::image::{GraphEntry, ImageBlob, NamedImage};
use longshore_core::layout::entries;
use longshore_core::oci::{Descriptor, Digest, ImageName};
use longshore_core::{Error, ExportedImage, Result, Work};
use longshore_docker_engine::{EngineImage, Keeps};

use crate::manifest::{self, Item};
use crate::options::DockerOptions;

/// An image to be loaded.
pub(super) struct Wanted<'a> {
    /// Its ID in the engine.
    pub(super) id: Digest,
    /// The names that it gets.
    pub(super) names: Vec<ImageName>,
    /// Its entries in `index.json`, without names.
    pub(super) entries: Vec<Descriptor>,
    /// Its entry in `manifest.json`, for engines that read that.
    pub(super) item: Option<Item>,
    /// The manifests of images that the engine keeps.
    pub(super) images: Vec<GraphEntry>,
    /// What the engine keeps of it.
    pub(super) blobs: Vec<ImageBlob<'a>>,
    exported: ExportedImage,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(named: NamedImage<'a>, options: &DockerOptions, keeps: Keeps, work: &Work) -> Result<Self> {
        let (tags, others): (Vec<_>, Vec<_>) = named.names.iter().cloned().partition(|name| name.digest().is_none());
        for name in others {
            work.progress.warn(format!("left out the name {name}: an engine has only tags"));
        }
        let exported = named.exported().with_names(tags.iter().map(ToString::to_string).collect());
        let nameless = NamedImage::new(named.image, Vec::new());
        let whole = Self {
            id: nameless.image.root.digest.clone(),
            names: tags,
            entries: entries(std::slice::from_ref(&nameless), None),
            item: None,
            images: Vec::new(),
            blobs: Vec::new(),
            exported,
        };
        if keeps == Keeps::Blobs {
            let mut images = nameless.image.graph(work).entries()?.present;
            images.retain(GraphEntry::is_image);
            return Ok(Self { images, blobs: nameless.image.blobs, ..whole });
        }
        // Other engines have images of one platform, and do not keep its manifest.
        let seen = manifest::seen(&nameless, options, work)?;
        let documents = [&seen.descriptor, &seen.manifest.config];
        let kept: HashSet<&Digest> =
            documents.into_iter().chain(&seen.manifest.layers).map(|blob| &blob.digest).collect();
        let mut blobs = nameless.image.blobs.clone();
        blobs.retain(|blob| kept.contains(&blob.descriptor.digest));
        Ok(Self {
            id: seen.manifest.config.digest.clone(),
            entries: vec![Descriptor { annotations: Default::default(), ..seen.descriptor.clone() }],
            item: Some(manifest::item(&seen, Vec::new())),
            images: vec![seen],
            blobs,
            ..whole
        })
    }

    /// Returns whether an engine has it whole, as it says itself.
    pub(super) fn is_in(&self, listed: &[EngineImage], keeps: Keeps) -> bool {
        let known = listed.iter().filter_map(|image| image.complete.as_ref()).flatten().collect::<HashSet<_>>();
        let is_complete = || self.images.iter().all(|image| known.contains(&image.descriptor.digest));
        let has_id =
            listed.iter().any(|image| image.id == self.id && (keeps != Keeps::Blobs || image.complete.is_some()));
        has_id && (keeps != Keeps::Blobs || is_complete())
    }

    /// As [`is_in`](Self::is_in), after it was loaded: engines that do not say what they have are believed then.
    pub(super) fn is_loaded(&self, listed: &[EngineImage], keeps: Keeps) -> bool {
        let says_nothing = |image: &EngineImage| image.id == self.id && image.complete.is_none();
        self.is_in(listed, keeps) || listed.iter().any(says_nothing)
    }

    /// Returns the manifests of its images, to be read.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &ImageBlob<'a>> {
        let is_manifest =
            |blob: &&ImageBlob<'_>| self.images.iter().any(|image| image.descriptor.digest == blob.descriptor.digest);
        self.blobs.iter().filter(is_manifest)
    }

    /// Returns its layers, each with its diffID, the base first, for each of its images.
    pub(super) fn chains(&self) -> Result<Vec<Vec<(&Descriptor, Digest)>>> {
        let chain = |image: &'_ GraphEntry| -> Result<Vec<Digest>> {
            let missing = || Error::input(format!("image {} has no configuration", image.descriptor.digest));
            image.config.as_ref().ok_or_else(missing)?.diff_ids()
        };
        self.images.iter().map(|image| Ok(image.manifest.layers.iter().zip(chain(image)?).collect())).collect()
    }

    pub(super) fn exported(&self) -> ExportedImage {
        self.exported.clone()
    }
}
