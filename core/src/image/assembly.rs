//! The documents of a built image: configurations, manifests and the index.

use std::collections::BTreeMap;

use longshore_content::BlobMeta;
use longshore_oci::{Context, Descriptor, Digest, Error, Index, Manifest, MediaType, Platform, Result, json};

use super::attest::Attesting;
use super::layers::PreparedLayer;
use super::{BlobProvider, ImageBlob, ImageOptions, config, foreign};
use crate::context::ExportContext;
use crate::epoch::Epoch;
use crate::result::{Artifact, Built, Image};

/// An image being built.
pub(super) struct Assembly<'a, 'o> {
    pub(super) cx: &'a ExportContext<'a>,
    pub(super) options: &'o ImageOptions,
    /// The built documents, each once, children before parents.
    pub(super) blobs: Vec<ImageBlob<'a>>,
}

/// The manifest of one platform.
struct MadeManifest {
    descriptor: Descriptor,
    config: Digest,
    platform: Platform,
    diff_ids: Vec<Digest>,
}

impl<'a> Assembly<'a, '_> {
    /// Builds the documents of `image`, whose artifacts come with the epoch of their build and their layers, and with
    /// `index_annotations` if it is an index. Returns the root, and the configuration if the root is a manifest.
    pub(super) fn build(
        &mut self,
        image: &Image,
        mut index_annotations: BTreeMap<String, String>,
        built: &Built,
        artifacts: Vec<(&Artifact, Option<Epoch>, Vec<PreparedLayer<'a>>)>,
    ) -> Result<(Descriptor, Option<Digest>)> {
        let made = artifacts.into_iter().map(|(artifact, epoch, layers)| self.manifest(artifact, epoch, layers));
        let mut made: Vec<MadeManifest> = made.collect::<Result<_>>()?;
        let platforms: Vec<Platform> = made.iter().map(|made| made.platform.clone()).collect();
        let makes_index = matches!(built, Built::Platforms(_)) || self.options.makes_index(image);
        self.options.annotations.check(&platforms, makes_index)?;
        image.check_attestations(&platforms)?;
        if !makes_index {
            let made = made.pop().ok_or_else(|| Error::input("an image has no platforms"))?;
            return Ok((made.descriptor, Some(made.config)));
        }
        if let Built::Platforms(artifacts) = built {
            for (platform, made) in artifacts.keys().zip(&mut made) {
                if !made.platform.agrees_with(platform) {
                    let own = &made.platform;
                    return Err(Error::input(format!("the image for {platform} has a config for {own}")));
                }
                made.platform = platform.clone();
            }
        }
        let mut attestations = Vec::new();
        for (artifact, made) in built.artifacts().into_iter().zip(&made) {
            attestations.extend(self.attested_before(artifact, &made.descriptor.digest)?);
        }
        let mut attesting = Attesting::new(image, self.options.names_of(image));
        for made in &made {
            attesting.attest(self, &made.descriptor, &made.platform, &made.diff_ids)?;
        }
        let listed = |made: MadeManifest| Descriptor { platform: Some(made.platform), ..made.descriptor };
        let attestations = attestations.into_iter().chain(attesting.manifests);
        let mut manifests: Vec<Descriptor> = made.into_iter().map(listed).chain(attestations).collect();
        self.options.annotations.annotate_index(&mut index_annotations);
        let media_type = self.options.media_type(MediaType::INDEX);
        if media_type == MediaType::DOCKER_LIST {
            self.leave_out_annotations(&mut index_annotations, &mut manifests);
        }
        let index =
            Index { media_type: Some(media_type.clone()), annotations: index_annotations, ..Index::new(manifests) };
        let mut root = self.put_index(media_type, &index)?;
        root.annotations.extend(image.index_descriptor_annotations.clone());
        self.options.annotations.annotate_index_descriptor(&mut root.annotations);
        Ok((root, None))
    }

    /// Removes the annotations that Docker's manifest lists have no place for. Those of options were refused before, so
    /// these came with the image.
    fn leave_out_annotations(&self, annotations: &mut BTreeMap<String, String>, manifests: &mut [Descriptor]) {
        let of_entries = manifests.iter_mut().map(|listed| &mut listed.annotations);
        let found = of_entries.chain([annotations]).filter(|annotations| !annotations.is_empty());
        if found.map(BTreeMap::clear).count() > 0 {
            let why = "Docker's types have annotations on manifests alone";
            self.cx.work().progress.warn(format!("the annotations of an index and its entries are left out: {why}"));
        }
    }

    fn manifest(
        &mut self,
        artifact: &Artifact,
        epoch: Option<Epoch>,
        mut layers: Vec<PreparedLayer<'a>>,
    ) -> Result<MadeManifest> {
        let progress = &self.cx.work().progress;
        let config = config::complete(artifact, &layers, self.options.epoch(artifact, epoch), progress)?;
        let platform = config.platform()?;
        let config = self.put(MediaType::CONFIG, &config.to_bytes()?, Vec::new())?;
        for PreparedLayer { blob, .. } in &mut layers {
            if self.options.distributes_all() {
                foreign::distribute(&mut blob.descriptor);
            }
            blob.descriptor.media_type = self.options.media_type(blob.descriptor.media_type.clone());
            let is_docker = self.options.is_docker();
            blob.descriptor.annotations.retain(|key, _| !is_docker && !is_of_a_store(key));
        }
        let descriptors: Vec<Descriptor> = layers.iter().map(|layer| layer.blob.descriptor.clone()).collect();
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        layers.into_iter().for_each(|layer| self.add(layer.blob));
        let mut annotations = artifact.annotations.clone();
        self.options.annotations.annotate_manifest(&platform, &mut annotations);
        let manifest = Manifest { annotations, ..Manifest::new(config.clone(), descriptors) };
        let mut descriptor = self.put_manifest(manifest)?;
        descriptor.annotations = artifact.descriptor_annotations.clone();
        self.options.annotations.annotate_manifest_descriptor(&platform, &mut descriptor.annotations);
        Ok(MadeManifest { descriptor, config: config.digest, platform, diff_ids })
    }

    /// Stores a manifest, with the media type chosen by the options. Its subject counts as a reference: registries
    /// may want it first.
    pub(super) fn put_manifest(&mut self, mut manifest: Manifest) -> Result<Descriptor> {
        manifest.media_type = Some(self.options.media_type(MediaType::MANIFEST));
        let blobs = [&manifest.config].into_iter().chain(&manifest.layers).chain(&manifest.subject);
        let references = blobs.map(|blob| blob.digest.clone());
        self.put(MediaType::MANIFEST, &json::indented(&manifest)?, references.collect())
    }

    /// Stores an index, as a document of `media_type`.
    pub(super) fn put_index(&mut self, media_type: MediaType, index: &Index) -> Result<Descriptor> {
        let references = index.manifests.iter().map(|manifest| manifest.digest.clone()).collect();
        self.put_as(media_type, &json::indented(index)?, references)
    }

    /// Stores a document, given its OCI type.
    pub(super) fn put(&mut self, media_type: MediaType, bytes: &[u8], references: Vec<Digest>) -> Result<Descriptor> {
        self.put_as(self.options.media_type(media_type), bytes, references)
    }

    /// Stores a document of exactly this type.
    pub(super) fn put_as(
        &mut self,
        media_type: MediaType,
        bytes: &[u8],
        references: Vec<Digest>,
    ) -> Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, bytes);
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

    pub(super) fn add(&mut self, blob: ImageBlob<'a>) {
        if !self.blobs.iter().any(|present| present.descriptor.digest == blob.descriptor.digest) {
            self.blobs.push(blob);
        }
    }
}

/// Returns whether an annotation of a layer describes a store instead of the layer: labels of `containerd` and
/// `BuildKit`, which some tools leave on descriptors.
fn is_of_a_store(key: &str) -> bool {
    matches!(key, "containerd.io/uncompressed" | "buildkit/createdat")
        || key.starts_with("containerd.io/distribution.source.")
}
