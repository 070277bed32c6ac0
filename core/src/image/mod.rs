//! From a result to an image: the one place where manifests, configurations and indexes are built.

mod annotations;
mod assembly;
mod attest;
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
mod relist;
mod route;
mod store;
mod stored;
mod unpacked;
mod verbatim;
mod verify;

use std::io::Read;
use std::sync::Arc;

use longshore_content::{ContentStore, Progress, Provider, Task, Work, read};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Result};

pub use existing::take_apart;
pub(crate) use existing::{images_of, take_apart_in_place};
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
pub use stored::stored_images;
pub use unpacked::{ImageLayers, artifact_for, layers_for};
pub use verbatim::verbatim;
pub use verify::{Verification, verify};

use crate::context::ExportContext;
use crate::epoch::Epoch;
use crate::result::{Artifact, BuildResult, Existing, Image, ImageContent};
use assembly::Assembly;

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
    let (built, index_annotations) = match &image.content {
        ImageContent::Built(built) => (built, image.index_annotations.clone()),
        ImageContent::Existing(existing) if !options.changes_bytes(existing) => {
            return unchanged(image, existing, options, cx);
        }
        ImageContent::Existing(existing) => {
            let (built, mut annotations) = existing::parts(existing, cx.work())?;
            annotations.extend(image.index_annotations.clone());
            say_times_stay(existing, options, cx);
            taken_apart = built;
            (&taken_apart, annotations)
        }
    };
    let epochs = built.artifacts().into_iter().map(|artifact| Ok((artifact, result.epoch_of(image, artifact)?)));
    let artifacts: Vec<(&Artifact, Option<Epoch>)> = epochs.collect::<Result<_>>()?;
    let prepared = layers::prepare(&artifacts, options, cx, outlet)?;
    let artifacts = artifacts.into_iter().zip(prepared).map(|((artifact, epoch), layers)| (artifact, epoch, layers));
    let mut assembly = Assembly { cx, options, blobs: Vec::new() };
    let (root, config) = assembly.build(image, index_annotations, built, artifacts.collect())?;
    if let ImageContent::Existing(existing) = &image.content {
        if existing.root.digest == root.digest {
            let mut unchanged = verbatim(existing, cx.work())?;
            unchanged.root.annotations.extend(root.annotations);
            return Ok(unchanged);
        }
        existing::say_referrers_are_lost(existing, cx.work());
    }
    let blobs = foreign::leave_out(assembly.blobs, &cx.work().progress)?;
    Ok(AssembledImage { root, config, referrers: Vec::new(), blobs, missing: Vec::new() })
}

/// Returns an existing image with unchanged manifests.
fn unchanged<'a>(
    image: &Image,
    existing: &Existing,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<AssembledImage<'a>> {
    if let Some(option) = options.without_effect() {
        let digest = &existing.root.digest;
        cx.work().progress.warn(format!("{digest} is kept as it is: {option} needs force-compression=true"));
    }
    say_times_stay(existing, options, cx);
    let assembled = verbatim(existing, cx.work())?;
    let is_relisted = options.annotations.need_oci_types()
        || !image.attestations.is_empty() && (existing.root.media_type.is_index() || options.makes_index(image))
        || !image.index_annotations.is_empty()
        || !image.index_descriptor_annotations.is_empty();
    if is_relisted { relist::relist(assembled, (image, existing), options, cx) } else { Ok(assembled) }
}

fn say_times_stay(existing: &Existing, options: &ImageOptions, cx: &ExportContext<'_>) {
    if options.rewrites() {
        let digest = &existing.root.digest;
        let why = "its layers exist already, and only new ones are rewritten";
        cx.work().progress.warn(format!("{digest}: rewrite-timestamp=true changes nothing: {why}"));
    }
}
