//! The graph of an image that exists: each digest visited once, within limits.

use std::collections::HashSet;

use longshore_content::{Provider, read};
use longshore_oci::{
    Context, Descriptor, Digest, Error, ErrorKind, MANIFEST_LIMIT, Result, parse_index, parse_manifest,
};

use super::{AssembledImage, BlobProvider, ImageBlob};
use crate::result::Existing;

/// How large a graph may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphLimits {
    /// Indexes within indexes.
    pub depth: usize,
    /// Blobs of all kinds.
    pub blobs: usize,
}

impl Default for GraphLimits {
    /// Far beyond any image, and a fraction of a second's work.
    fn default() -> Self {
        Self { depth: 16, blobs: 100_000 }
    }
}

/// What is reachable from a root.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The blobs, each once, children before parents.
    pub blobs: Vec<GraphBlob>,
    /// Manifests that an index lists and that are not there: platforms that were left out.
    pub missing: Vec<Descriptor>,
}

/// A blob of a graph.
#[derive(Debug, Clone)]
pub struct GraphBlob {
    /// The blob.
    pub descriptor: Descriptor,
    /// What it refers to; empty for what is no manifest or index.
    pub references: Vec<Digest>,
}

/// All blobs below and including `root`.
///
/// Manifests and indexes are read and verified; other blobs are not touched. An index may list
/// manifests that are not there, as tools write that copy one platform of several, but not only such.
///
/// # Errors
/// Documents that are missing, too large or not what their descriptors say; a graph beyond `limits`.
pub fn walk(root: &Descriptor, provider: &dyn Provider, limits: GraphLimits) -> Result<Graph> {
    let mut walk = Walk { provider, limits, seen: HashSet::new(), graph: Graph::default() };
    let walked = walk.read(root).and_then(|children| walk.visit(root, children, 0));
    walked.attempt(|| format!("cannot read image {}", root.digest))?;
    Ok(walk.graph)
}

struct Walk<'a> {
    provider: &'a dyn Provider,
    limits: GraphLimits,
    seen: HashSet<Digest>,
    graph: Graph,
}

impl Walk<'_> {
    fn visit(&mut self, descriptor: &Descriptor, children: Vec<Descriptor>, depth: usize) -> Result<()> {
        if !self.seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        let GraphLimits { depth: deepest, blobs } = self.limits;
        if self.seen.len() > blobs {
            return Err(Error::input(format!("more blobs than the limit of {blobs}")));
        }
        if depth > deepest {
            return Err(Error::input(format!("indexes within indexes, deeper than the limit of {deepest}")));
        }
        let mut missing = Vec::new();
        for child in &children {
            // Read again it would say the same, and there may be very many ways to it.
            if self.seen.contains(&child.digest) {
                continue;
            }
            match self.read(child) {
                Ok(children) => self.visit(child, children, depth + 1)?,
                Err(error) if error.kind() == ErrorKind::NotFound && descriptor.media_type.is_index() => {
                    missing.push(child.clone());
                }
                Err(error) => return Err(error),
            }
        }
        if !missing.is_empty() && missing.len() == children.len() {
            let listed = children.len();
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("none of the {listed} manifests of index {} is there", descriptor.digest),
            ));
        }
        self.graph.missing.extend(missing);
        let references = children.into_iter().map(|child| child.digest).collect();
        self.graph.blobs.push(GraphBlob { descriptor: descriptor.clone(), references });
        Ok(())
    }

    /// What a document lists; nothing for what is no document, which is not read.
    fn read(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        let document = || read(self.provider, descriptor, MANIFEST_LIMIT);
        if descriptor.media_type.is_index() {
            return Ok(parse_index(descriptor, &document()?)?.manifests);
        }
        if !descriptor.media_type.is_manifest() {
            return Ok(Vec::new());
        }
        let manifest = parse_manifest(descriptor, &document()?)?;
        Ok([vec![manifest.config], manifest.layers].concat())
    }
}

/// An existing image as it is.
///
/// # Errors
/// As [`walk`], and a root that is neither a manifest nor an index.
pub fn verbatim(existing: &Existing) -> Result<AssembledImage<'static>> {
    let provider = existing.provider.as_ref();
    let root = &existing.root;
    if !(root.media_type.is_manifest() || root.media_type.is_index()) {
        return Err(Error::input(format!("{} is a `{}`, not a manifest or an index", root.digest, root.media_type)));
    }
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    let mut missing = Vec::new();
    for top in [root].into_iter().chain(&existing.referrers) {
        let graph = walk(top, provider, GraphLimits::default())?;
        missing.extend(graph.missing);
        for GraphBlob { descriptor, references } in graph.blobs {
            if seen.insert(descriptor.digest.clone()) {
                blobs.push(ImageBlob {
                    descriptor,
                    references,
                    provider: BlobProvider::Image(existing.provider.clone()),
                });
            }
        }
    }
    let config = if root.media_type.is_manifest() {
        Some(parse_manifest(root, &read(provider, root, MANIFEST_LIMIT)?)?.config.digest)
    } else {
        None
    };
    Ok(AssembledImage { root: root.clone(), config, referrers: existing.referrers.clone(), blobs, missing })
}
