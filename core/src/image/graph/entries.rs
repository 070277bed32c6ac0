//! The manifests of a graph: what its indexes list, nested ones included.

use std::collections::HashSet;
use std::sync::Arc;

use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, ImageConfig, Manifest, Platform, Result};

use super::Graph;
use super::walk::{check_limits, check_present};

/// The annotation by which `BuildKit` marks what is about an image that the same index lists.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The manifests of an image.
#[derive(Debug)]
pub struct GraphEntries {
    /// Those that are present, in the order of the indexes that list them.
    pub present: Vec<GraphEntry>,
    /// Those that an index lists and that are missing.
    pub missing: Vec<Descriptor>,
    /// The indexes that have annotations.
    pub(in crate::image) annotated: Vec<Digest>,
}

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

/// Returns whether an index marks what it lists as being about an image.
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
        let mut listing = Listing::new(self);
        let visited = listing.visit(self.root, 0, &mut |_| Ok(true));
        visited.attempt(|| format!("cannot read image {}", self.root.digest))?;
        Ok(listing.manifests)
    }

    /// Returns the manifests of the root and its indexes, each once, with their documents.
    ///
    /// # Errors
    /// As [`listed`](Self::listed), for manifests and configurations too; an index of whose manifests all are missing.
    pub fn entries(&self) -> Result<GraphEntries> {
        let mut present = Vec::new();
        let mut listing = Listing::new(self);
        let visited = listing.visit(self.root, 0, &mut |descriptor| match self.manifest(descriptor) {
            Err(error) if error.kind() == ErrorKind::NotFound && descriptor.digest != self.root.digest => Ok(false),
            manifest => {
                present.push(self.entry_of(descriptor, manifest?)?);
                Ok(true)
            }
        });
        visited.attempt(|| format!("cannot read image {}", self.root.digest))?;
        Ok(GraphEntries { present, missing: listing.missing, annotated: listing.annotated })
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

struct Listing<'a> {
    graph: &'a Graph<'a>,
    seen: HashSet<Digest>,
    manifests: Vec<Descriptor>,
    missing: Vec<Descriptor>,
    annotated: Vec<Digest>,
}

/// Takes a manifest, and says whether it is present.
type Take<'t> = &'t mut dyn FnMut(&Descriptor) -> Result<bool>;

impl<'a> Listing<'a> {
    fn new(graph: &'a Graph<'a>) -> Self {
        let (manifests, missing, annotated) = (Vec::new(), Vec::new(), Vec::new());
        Self { graph, seen: HashSet::new(), manifests, missing, annotated }
    }

    fn visit(&mut self, descriptor: &Descriptor, depth: usize, take: Take<'_>) -> Result<()> {
        let media_type = &descriptor.media_type;
        let is_known = media_type.is_manifest() || media_type.is_index() || depth == 0;
        if !is_known || !self.seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        self.graph.work.check()?;
        check_limits(self.graph.limits, self.seen.len(), depth)?;
        if !media_type.is_index() {
            if take(descriptor)? {
                self.manifests.push(descriptor.clone());
            } else {
                self.missing.push(descriptor.clone());
            }
            return Ok(());
        }
        let index = match self.graph.documents.index(descriptor) {
            Err(error) if error.kind() == ErrorKind::NotFound && depth > 0 => {
                self.missing.push(descriptor.clone());
                return Ok(());
            }
            index => index?,
        };
        if !index.annotations.is_empty() {
            self.annotated.push(descriptor.digest.clone());
        }
        index.manifests.iter().try_for_each(|child| self.visit(child, depth + 1, take))?;
        let absent = self.missing.iter().map(|missing| missing.digest.clone()).collect();
        check_present(descriptor, &index.manifests, &absent)
    }
}
