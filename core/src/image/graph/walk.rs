//! Every blob of a graph, each digest once, children before parents.

use std::collections::HashSet;

use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Result};

use super::{Graph, GraphLimits};

/// The blobs reachable from the roots of a graph.
#[derive(Debug, Clone, Default)]
pub struct GraphBlobs {
    /// The blobs, each once, children before parents.
    pub blobs: Vec<GraphBlob>,
    /// Missing manifests listed by an index: platforms that were not copied.
    pub missing: Vec<Descriptor>,
}

/// A blob of a graph.
#[derive(Debug, Clone)]
pub struct GraphBlob {
    /// The blob.
    pub descriptor: Descriptor,
    /// The blobs it refers to; empty unless it is a manifest or index.
    pub references: Vec<Digest>,
}

/// Takes an error that does not end a walk, or returns it.
type Note<'n> = &'n mut dyn FnMut(Error) -> Result<()>;

impl Graph<'_> {
    /// Returns all blobs below and including the root and its referrers.
    ///
    /// Manifests and indexes are read and verified; other blobs are not touched.
    ///
    /// # Errors
    /// Documents that are missing, too large or do not match their descriptors; a graph beyond its limits; a
    /// cancelled run.
    pub fn walk(&self) -> Result<GraphBlobs> {
        let mut walk = Walk::new(self);
        for root in self.roots() {
            let walked = walk.visit(root, 0, false, &mut Err);
            walked.attempt(|| format!("cannot read image {}", root.digest))?;
        }
        Ok(walk.found)
    }

    /// As [`walk`](Self::walk), but continues after the errors that `note` takes.
    pub(in crate::image) fn walk_noting(&self, note: Note<'_>) -> Result<GraphBlobs> {
        let mut walk = Walk::new(self);
        self.roots().try_for_each(|root| walk.visit(root, 0, false, note))?;
        Ok(walk.found)
    }

    fn roots(&self) -> impl Iterator<Item = &Descriptor> {
        [self.root].into_iter().chain(self.referrers)
    }

    /// Returns whether a method read this blob whole, and so verified it, or returned the error of reading it.
    pub(in crate::image) fn was_tried(&self, descriptor: &Descriptor) -> bool {
        self.documents.was_tried(descriptor)
    }

    /// Returns the references of a document; none for other blobs, which are not read.
    fn children(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        if descriptor.media_type.is_index() {
            return Ok(self.documents.index(descriptor)?.manifests.clone());
        }
        if !descriptor.media_type.is_manifest() {
            return Ok(Vec::new());
        }
        let manifest = self.documents.manifest(descriptor)?;
        Ok([&manifest.config].into_iter().chain(&manifest.layers).cloned().collect())
    }
}

/// Fails for a digest that is beyond the limits of a graph; `seen` counts it already.
pub(super) fn check_limits(limits: GraphLimits, seen: usize, depth: usize) -> Result<()> {
    let GraphLimits { depth: deepest, blobs, .. } = limits;
    if seen > blobs {
        return Err(Error::input(format!("more blobs than the limit of {blobs}")));
    }
    if depth > deepest {
        return Err(Error::input(format!("indexes are nested deeper than the limit of {deepest}")));
    }
    Ok(())
}

/// Fails for an index of whose manifests none is present.
pub(super) fn check_present(index: &Descriptor, children: &[Descriptor], absent: &HashSet<Digest>) -> Result<()> {
    if children.is_empty() || !children.iter().all(|child| absent.contains(&child.digest)) {
        return Ok(());
    }
    let message = format!("all {} manifests of index {} are missing", children.len(), index.digest);
    Err(Error::new(ErrorKind::NotFound, message))
}

struct Walk<'a> {
    graph: &'a Graph<'a>,
    seen: HashSet<Digest>,
    /// Manifests that are listed and missing.
    absent: HashSet<Digest>,
    found: GraphBlobs,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph<'a>) -> Self {
        Self { graph, seen: HashSet::new(), absent: HashSet::new(), found: GraphBlobs::default() }
    }

    /// Visits a blob and all below it; `is_listed` says that an index lists it, so that it may be missing.
    fn visit(&mut self, descriptor: &Descriptor, depth: usize, is_listed: bool, note: Note<'_>) -> Result<()> {
        let limits = self.graph.limits;
        // Read again it would say the same, and there may be very many ways to it.
        if self.seen.len() > limits.blobs || !self.seen.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        self.graph.work.check()?;
        if let Err(beyond) = check_limits(limits, self.seen.len(), depth) {
            return note(beyond);
        }
        let children = match self.graph.children(descriptor) {
            Ok(children) => children,
            Err(error) if is_listed && error.kind() == ErrorKind::NotFound => {
                self.absent.insert(descriptor.digest.clone());
                self.found.missing.push(descriptor.clone());
                return Ok(());
            }
            Err(error) => return note(error),
        };
        let is_index = descriptor.media_type.is_index();
        for child in &children {
            self.visit(child, depth + 1, is_index, note)?;
        }
        if is_index && let Err(empty) = check_present(descriptor, &children, &self.absent) {
            note(empty)?;
        }
        let references = children.into_iter().map(|child| child.digest).collect();
        self.found.blobs.push(GraphBlob { descriptor: descriptor.clone(), references });
        Ok(())
    }
}
