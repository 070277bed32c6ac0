//! From a result to an image: the one place where manifests, configurations and indexes are built.

mod config;
mod existing;
mod foreign;
mod graph;
mod inspect;
mod layers;
mod named;
mod names;
mod options;
mod outlet;
mod plain;
mod plan;
mod push;
mod route;
mod store;
mod unpacked;
mod verbatim;
mod verify;

use std::io::Read;
use std::sync::Arc;

use longshore_content::{BlobMeta, ContentStore, Progress, Provider, Task, Work, read};
use longshore_oci::{
    Context, Descriptor, Digest, Error, ErrorKind, Index, Manifest, MediaType, Platform, Result, json,
};

pub use existing::take_apart;
pub use foreign::{is_absent, say_left_out};
pub use graph::{Graph, GraphBlob, GraphBlobs, GraphEntries, GraphEntry, GraphLimits, best_platform};
pub use inspect::{Detail, InspectedContents, InspectedFile, InspectedLayer, InspectedManifest, Inspection, inspect};
pub use named::{NamedImage, assemble_all, assemble_all_to};
pub use names::Names;
pub use options::ImageOptions;
pub use outlet::LayerOutlet;
pub use plain::as_existing;
pub use plan::plan;
pub use push::{Push, PushOptions, PushedTags};
pub use route::{Route, routes};
pub use store::store;
pub use unpacked::{ImageLayers, artifact_for, layers_for};
pub use verbatim::verbatim;
pub use verify::{Verification, verify};

use crate::context::ExportContext;
use crate::epoch::Epoch;
use crate::result::{Artifact, BuildResult, Built, Image, ImageContent};
use layers::PreparedLayer;

/// An image whose blobs are all ready to be copied.
#[derive(Debug)]
#[non_exhaustive]
pub struct AssembledImage<'a> {
    /// Its root: a manifest or an index.
    pub root: Descriptor,
    /// The digest of its configuration, if it has a single platform.
    pub config: Option<Digest>,
    /// Referrers that are copied with it.
    pub referrers: Vec<Descriptor>,
    /// Every blob, each once, children before parents, without layers that may not be distributed and that its
    /// provider lacks.
    pub blobs: Vec<ImageBlob<'a>>,
    /// Missing manifests listed by one of its indexes. A destination that allows it skips them.
    pub missing: Vec<Descriptor>,
}

impl AssembledImage<'_> {
    /// Reads a document of the image, verified.
    ///
    /// # Errors
    /// A document that is not part of this image, is larger than `limit` bytes, or does not match its descriptor.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let blob = self.blob(digest)?;
        read(blob.provider.provider(), &blob.descriptor, limit)
    }

    /// Returns the graph of the image.
    pub fn graph<'g>(&'g self, work: &'g Work) -> Graph<'g> {
        Graph::at(&self.root, self, work)
    }

    fn blob(&self, digest: &Digest) -> Result<&ImageBlob<'_>> {
        let blob = self.blobs.iter().find(|blob| blob.descriptor.digest == *digest);
        let missing =
            || Error::new(ErrorKind::NotFound, format!("blob {digest} is not part of image {}", self.root.digest));
        blob.ok_or_else(missing)
    }
}

impl Provider for AssembledImage<'_> {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.blob(digest)?.provider.provider().open(digest, from)
    }
}

/// A blob and its provider.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageBlob<'a> {
    /// The blob.
    pub descriptor: Descriptor,
    /// The blobs it refers to, if it is a manifest or an index.
    pub references: Vec<Digest>,
    /// Its provider.
    pub provider: BlobProvider<'a>,
}

/// The provider of a blob: the store of the run, or the image's own provider.
#[derive(Debug, Clone)]
pub enum BlobProvider<'a> {
    /// The store of the run.
    Store(&'a dyn ContentStore),
    /// The provider of the image.
    Image(Arc<dyn Provider>),
}

impl ImageBlob<'_> {
    /// Returns whether it is a manifest, an index or a configuration, of a few hundred bytes.
    pub fn is_document(&self) -> bool {
        let media_type = &self.descriptor.media_type;
        media_type.is_manifest() || media_type.is_index() || media_type.is_config()
    }

    /// Reports a copy of the blob, if it is one that people wait for: not a document.
    pub fn task(&self, progress: &Progress) -> Option<Task> {
        let Descriptor { digest, size, .. } = &self.descriptor;
        (!self.is_document()).then(|| progress.task(format!("write {digest}"), Some(*size)))
    }
}

impl BlobProvider<'_> {
    /// Returns the provider.
    pub fn provider(&self) -> &dyn Provider {
        match self {
            Self::Store(store) => *store,
            Self::Image(provider) => provider.as_ref(),
        }
    }
}

/// Builds `image` according to `options`, or passes an existing image through verbatim if they do not change
/// its bytes.
///
/// The same result and options give the same bytes on any machine, with any number of threads.
///
/// # Errors
/// Layers that cannot be read; a configuration without a platform, or with one that differs from the result's;
/// an invalid existing image.
pub fn assemble<'a>(
    image: &Image,
    result: &BuildResult,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<AssembledImage<'a>> {
    assemble_to(image, result, options, cx, None)
}

/// As [`assemble`], with layers that `outlet` takes while they are built, or already has.
///
/// # Errors
/// As [`assemble`], and errors of `outlet`.
pub fn assemble_to<'a>(
    image: &Image,
    result: &BuildResult,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<AssembledImage<'a>> {
    let taken_apart;
    let built = match &image.content {
        ImageContent::Built(built) => built,
        ImageContent::Existing(existing) if !options.changes_bytes(existing) => {
            if let Some(option) = options.without_effect() {
                let digest = &existing.root.digest;
                cx.work().progress.warn(format!("{digest} is kept as it is: {option} needs force-compression=true"));
            }
            return verbatim(existing, cx.work());
        }
        ImageContent::Existing(existing) => {
            taken_apart = take_apart(existing, cx.work())?;
            &taken_apart
        }
    };
    let prepared = layers::prepare(built, options, cx, outlet)?;
    let mut assembly = Assembly { cx, options, epoch: result.epoch, blobs: Vec::new() };
    let mut prepared = prepared.into_iter();
    let mut next = || prepared.next().ok_or_else(|| Error::input("an image has no platforms"));
    let (root, config) = match built {
        Built::Single(artifact) => {
            let (manifest, config, _) = assembly.manifest(artifact, next()?)?;
            (manifest, Some(config.digest))
        }
        Built::Platforms(platforms) => {
            let mut manifests = Vec::new();
            for (platform, artifact) in platforms {
                let (manifest, _, own) = assembly.manifest(artifact, next()?)?;
                if !own.agrees_with(platform) {
                    return Err(Error::input(format!("the image for {platform} has a config for {own}")));
                }
                manifests.push(Descriptor { platform: Some(platform.clone()), ..manifest });
            }
            (assembly.index(manifests)?, None)
        }
    };
    let blobs = foreign::leave_out(assembly.blobs, &cx.work().progress)?;
    Ok(AssembledImage { root, config, referrers: Vec::new(), blobs, missing: Vec::new() })
}

struct Assembly<'a, 'o> {
    cx: &'a ExportContext<'a>,
    options: &'o ImageOptions,
    /// The epoch of the build.
    epoch: Option<Epoch>,
    blobs: Vec<ImageBlob<'a>>,
}

impl<'a> Assembly<'a, '_> {
    fn manifest(
        &mut self,
        artifact: &Artifact,
        mut layers: Vec<PreparedLayer<'a>>,
    ) -> Result<(Descriptor, Descriptor, Platform)> {
        let config =
            config::complete(artifact, &layers, self.options.epoch(artifact, self.epoch), &self.cx.work().progress)?;
        let platform = config.platform()?;
        let config = self.put(MediaType::CONFIG, &config.to_bytes()?, Vec::new())?;
        for PreparedLayer { blob: ImageBlob { descriptor, .. }, .. } in &mut layers {
            descriptor.media_type = self.options.media_type(descriptor.media_type.clone());
        }
        let descriptors: Vec<Descriptor> = layers.iter().map(|layer| layer.blob.descriptor.clone()).collect();
        layers.into_iter().for_each(|layer| self.add(layer.blob));
        let manifest = Manifest {
            media_type: Some(self.options.media_type(MediaType::MANIFEST)),
            annotations: artifact.annotations.clone(),
            ..Manifest::new(config.clone(), descriptors)
        };
        let references =
            [&manifest.config].into_iter().chain(&manifest.layers).map(|blob| blob.digest.clone()).collect();
        let manifest = self.put(MediaType::MANIFEST, &json::indented(&manifest)?, references)?;
        Ok((manifest, config, platform))
    }

    fn index(&mut self, manifests: Vec<Descriptor>) -> Result<Descriptor> {
        let references = manifests.iter().map(|manifest| manifest.digest.clone()).collect();
        let media_type = Some(self.options.media_type(MediaType::INDEX));
        let index = Index { media_type, ..Index::new(manifests) };
        self.put(MediaType::INDEX, &json::indented(&index)?, references)
    }

    /// Stores a document, given its OCI type.
    fn put(&mut self, media_type: MediaType, bytes: &[u8], references: Vec<Digest>) -> Result<Descriptor> {
        let descriptor = Descriptor::of(self.options.media_type(media_type), bytes);
        let store = || -> Result<()> {
            let mut writer = self.cx.store().ingest(None)?;
            writer.write_all(bytes)?;
            writer.commit(BlobMeta::default().with_references(references.clone())).map(drop)
        };
        let stored = store();
        stored.attempt(|| format!("cannot store {}", descriptor.media_type))?;
        self.add(ImageBlob {
            descriptor: descriptor.clone(),
            references,
            provider: BlobProvider::Store(self.cx.store()),
        });
        Ok(descriptor)
    }

    fn add(&mut self, blob: ImageBlob<'a>) {
        if !self.blobs.iter().any(|present| present.descriptor.digest == blob.descriptor.digest) {
            self.blobs.push(blob);
        }
    }
}
