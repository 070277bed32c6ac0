//! The graph of an image that exists: each digest visited once, within limits.

use std::collections::HashSet;

use super::{AssembledImage, ImageBlob, Source};
use crate::content::{Provider, read};
use crate::error::{Context, Error, Result};
use crate::oci::{Descriptor, Digest, MANIFEST_LIMIT, parse_index, parse_manifest};
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

/// All blobs below and including `root`, each once, children before parents.
///
/// Manifests and indexes are read and verified; other blobs are not touched.
///
/// # Errors
/// Documents that are missing, too large or not what their descriptors say; a graph beyond `limits`.
pub fn walk(root: &Descriptor, provider: &dyn Provider, limits: GraphLimits) -> Result<Vec<Descriptor>> {
    let mut walk = Walk { provider, limits, seen: HashSet::new(), found: Vec::new() };
    walk.visit(root, 0).attempt(|| format!("cannot read image {}", root.digest))?;
    Ok(walk.found)
}

struct Walk<'a> {
    provider: &'a dyn Provider,
    limits: GraphLimits,
    seen: HashSet<Digest>,
    found: Vec<Descriptor>,
}

impl Walk<'_> {
    fn visit(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
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
        for child in self.children(descriptor)? {
            self.visit(&child, depth + 1)?;
        }
        self.found.push(descriptor.clone());
        Ok(())
    }

    fn children(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
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
pub(super) fn verbatim(existing: &Existing) -> Result<AssembledImage<'static>> {
    let provider = existing.provider.as_ref();
    let root = &existing.root;
    if !(root.media_type.is_manifest() || root.media_type.is_index()) {
        return Err(Error::input(format!("{} is a `{}`, not a manifest or an index", root.digest, root.media_type)));
    }
    let mut seen = HashSet::new();
    let mut blobs = Vec::new();
    for top in [root].into_iter().chain(&existing.referrers) {
        for descriptor in walk(top, provider, GraphLimits::default())? {
            if seen.insert(descriptor.digest.clone()) {
                blobs.push(ImageBlob { descriptor, provider: Source::Image(existing.provider.clone()) });
            }
        }
    }
    let config = if root.media_type.is_manifest() {
        Some(parse_manifest(root, &read(provider, root, MANIFEST_LIMIT)?)?.config.digest)
    } else {
        None
    };
    Ok(AssembledImage { root: root.clone(), config, referrers: existing.referrers.clone(), blobs })
}
