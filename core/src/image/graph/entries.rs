//! The manifests of a graph: those listed in its indexes, including nested ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, ImageConfig, Index, Manifest, Platform, Result};

use super::Graph;
use super::visit::{Visitor, Walk};

/// The annotation by which `BuildKit` marks manifests about an image in the same index.
pub(in crate::image) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation in which `BuildKit` names the image that an attestation describes.
pub(in crate::image) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// The manifests of an image.
#[derive(Debug)]
pub struct GraphEntries {
    /// Those that are present, in the order of the indexes that list them.
    pub present: Vec<GraphEntry>,
    /// Those that an index lists and that are missing.
    pub missing: Vec<Descriptor>,
    /// The indexes with annotations.
    pub(in crate::image) annotated: Vec<Annotated>,
}

/// An index and its annotations.
type Annotated = (Digest, BTreeMap<String, String>);

/// A manifest of an image, with its documents.
#[derive(Debug, Clone)]
pub struct GraphEntry {
    /// The manifest, as the index that lists it describes it.
    pub descriptor: Descriptor,
    /// The manifest itself.
    pub manifest: Arc<Manifest>,
    /// The image configuration; `None` for an artifact.
    pub config: Option<Arc<ImageConfig>>,
}

impl GraphEntry {
    /// Returns the platform of the image: from its index, else from its configuration. `None` for attestations and
    /// artifacts, and for a configuration that names no platform.
    pub fn platform(&self) -> Option<Platform> {
        if self.is_attestation() {
            return None;
        }
        let config = self.config.as_ref()?;
        self.descriptor.platform.clone().or_else(|| config.platform().ok())
    }

    /// Returns whether the manifest is an attestation, provenance or an SBOM, as `BuildKit` puts them into indexes.
    pub fn is_attestation(&self) -> bool {
        let own = || self.config.as_ref().and_then(|config| config.platform().ok());
        is_attestation(&self.descriptor) || own().as_ref().is_some_and(is_unknown)
    }

    /// Returns whether the manifest is that of an image. Signatures may have an image configuration too, which then
    /// names no platform and no tar layer.
    pub fn is_image(&self) -> bool {
        let is_tar = |layer: &Descriptor| layer.media_type.layer_compression().is_some();
        let layers = &self.manifest.layers;
        !self.is_attestation()
            && self.config.is_some()
            && (self.platform().is_some() || layers.is_empty() || layers.iter().any(is_tar))
    }
}

/// Returns whether an index marks an entry as being about an image.
pub(super) fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(REFERENCE_TYPE) || descriptor.platform.as_ref().is_some_and(is_unknown)
}

fn is_unknown(platform: &Platform) -> bool {
    platform.os == "unknown" || platform.architecture == "unknown"
}

impl Graph<'_> {
    /// Returns the manifests that the root and its indexes list, each once, without reading a manifest; the root
    /// alone, if it is one. Entries of unknown media type are skipped (image-spec, image-index.md, "manifests").
    ///
    /// # Errors
    /// Indexes that are missing, too large or do not match their descriptors; a graph beyond its limits; a cancelled
    /// run.
    pub fn listed(&self) -> Result<Vec<Descriptor>> {
        Ok(Listing::of(self, None)?.manifests)
    }

    /// Returns the manifests that the indexes list as being about the image with this manifest, such as the
    /// attestations of `BuildKit`.
    ///
    /// # Errors
    /// As [`listed`](Self::listed).
    pub fn attestations(&self, image: &Digest) -> Result<Vec<Descriptor>> {
        let mut listed = self.listed()?;
        listed.retain(|listed| Self::reference(listed) == Some(&image.to_string()));
        Ok(listed)
    }

    /// Returns the digest of the image that an attestation describes, according to its index.
    pub(crate) fn reference(listed: &Descriptor) -> Option<&String> {
        listed.annotations.get(REFERENCE_DIGEST)
    }

    /// Reads an index of this graph.
    ///
    /// # Errors
    /// An index that is missing, too large or does not match its descriptor.
    pub(crate) fn index(&self, descriptor: &Descriptor) -> Result<Arc<Index>> {
        self.work.check()?;
        self.documents.index(descriptor)
    }

    /// Returns the manifests of the root and its indexes, each once, with their documents.
    ///
    /// # Errors
    /// As [`listed`](Self::listed), for manifests and configurations too; an index of whose manifests all are missing.
    pub fn entries(&self) -> Result<GraphEntries> {
        let Listing { entries, missing, annotated, .. } = Listing::of(self, Some(Vec::new()))?;
        Ok(GraphEntries { present: entries.unwrap_or_default(), missing, annotated })
    }

    /// Reads a manifest of this graph, and its configuration if it is that of an image.
    ///
    /// # Errors
    /// Documents that are missing, too large or do not match their descriptors.
    pub fn entry(&self, descriptor: &Descriptor) -> Result<GraphEntry> {
        let read = self.manifest(descriptor).and_then(|manifest| self.entry_of(descriptor, manifest));
        read.attempt(|| format!("cannot read image {}", descriptor.digest))
    }

    /// As [`entry`](Self::entry), for the manifest of an image.
    ///
    /// # Errors
    /// As [`entry`](Self::entry); [`Unsupported`](ErrorKind::Unsupported) for anything that is not an image.
    pub fn image(&self, descriptor: &Descriptor) -> Result<(GraphEntry, Arc<ImageConfig>)> {
        let entry = self.entry(descriptor)?;
        match entry.config.clone().filter(|_| entry.is_image()) {
            Some(config) => Ok((entry, config)),
            None => {
                let message = format!("{} is an artifact, not an image", descriptor.digest);
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    /// Returns the configuration of a manifest; `None` for anything that is not an image.
    pub(in crate::image) fn config(&self, manifest: &Manifest) -> Result<Option<Arc<ImageConfig>>> {
        self.documents.config(&manifest.config)
    }

    pub(in crate::image) fn manifest(&self, descriptor: &Descriptor) -> Result<Arc<Manifest>> {
        if !descriptor.media_type.is_manifest() {
            let message = format!("{} is a `{}`, not a manifest", descriptor.digest, descriptor.media_type);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.work.check()?;
        self.documents.manifest(descriptor)
    }

    fn entry_of(&self, descriptor: &Descriptor, manifest: Arc<Manifest>) -> Result<GraphEntry> {
        let config = self.config(&manifest)?;
        Ok(GraphEntry { descriptor: descriptor.clone(), manifest, config })
    }
}

/// Lists manifests.
struct Listing<'g> {
    graph: &'g Graph<'g>,
    /// The manifests with their documents; `None` if manifests are not read.
    entries: Option<Vec<GraphEntry>>,
    manifests: Vec<Descriptor>,
    missing: Vec<Descriptor>,
    annotated: Vec<Annotated>,
}

impl<'g> Listing<'g> {
    /// Visits the root of `graph` and its indexes.
    fn of(graph: &'g Graph<'g>, entries: Option<Vec<GraphEntry>>) -> Result<Self> {
        let (manifests, missing, annotated) = (Vec::new(), Vec::new(), Vec::new());
        let mut listing = Self { graph, entries, manifests, missing, annotated };
        let visited = Walk::new(graph).root(graph.root, &mut listing);
        visited.attempt(|| format!("cannot read image {}", graph.root.digest))?;
        Ok(listing)
    }
}

impl Visitor for Listing<'_> {
    fn wants(&self, listed: &Descriptor) -> bool {
        listed.media_type.is_manifest() || listed.media_type.is_index()
    }

    fn index(&mut self, descriptor: &Descriptor, index: &Index) {
        if !index.annotations.is_empty() {
            self.annotated.push((descriptor.digest.clone(), index.annotations.clone()));
        }
    }

    fn below(&mut self, manifest: &Descriptor) -> Result<Vec<Descriptor>> {
        if self.entries.is_some() {
            self.graph.manifest(manifest)?;
        }
        Ok(Vec::new())
    }

    fn present(&mut self, descriptor: &Descriptor, _: Vec<Descriptor>) -> Result<()> {
        if descriptor.media_type.is_index() {
            return Ok(());
        }
        if let Some(entries) = &mut self.entries {
            let manifest = self.graph.manifest(descriptor)?;
            entries.push(self.graph.entry_of(descriptor, manifest)?);
        }
        self.manifests.push(descriptor.clone());
        Ok(())
    }

    fn missing(&mut self, descriptor: &Descriptor) {
        self.missing.push(descriptor.clone());
    }
}
