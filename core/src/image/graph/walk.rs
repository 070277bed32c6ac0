//! Every blob of a graph, children before parents.

use longshore_oci::{Context, Descriptor, Digest, Error, Result};

use super::Graph;
use super::visit::{Visitor, Walk};

/// The blobs reachable from the roots of a graph.
#[derive(Debug, Clone, Default)]
pub struct GraphBlobs {
    /// The blobs, each once, children before parents. A digest that is listed as a manifest or an index and as
    /// something else is there as both: a registry keeps the two apart.
    pub blobs: Vec<GraphBlob>,
    /// Missing manifests and indexes listed by an index: platforms that were not copied.
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

/// Records an error that does not end a walk, or returns it.
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
        let mut collector = Collector { graph: self, note: None, found: GraphBlobs::default() };
        let mut walk = Walk::new(self);
        for root in self.roots() {
            walk.root(root, &mut collector).attempt(|| format!("cannot read image {}", root.digest))?;
        }
        Ok(collector.found)
    }

    /// Like [`walk`](Self::walk), but continues after errors recorded by `note`, including contradictory references to
    /// one digest.
    pub(in crate::image) fn walk_noting(&self, note: Note<'_>) -> Result<GraphBlobs> {
        let mut collector = Collector { graph: self, note: Some(note), found: GraphBlobs::default() };
        let mut walk = Walk::new(self);
        self.roots().try_for_each(|root| walk.root(root, &mut collector))?;
        Ok(collector.found)
    }

    fn roots(&self) -> impl Iterator<Item = &Descriptor> {
        [self.root].into_iter().chain(self.referrers)
    }

    /// Returns whether this blob was read completely, and so verified, or failed to read.
    pub(in crate::image) fn was_tried(&self, descriptor: &Descriptor) -> bool {
        self.documents.was_tried(descriptor)
    }
}

/// Collects all blobs.
struct Collector<'a, 'n> {
    graph: &'a Graph<'a>,
    note: Option<Note<'n>>,
    found: GraphBlobs,
}

impl Visitor for Collector<'_, '_> {
    fn below(&mut self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        if !descriptor.media_type.is_manifest() {
            return Ok(Vec::new());
        }
        let manifest = self.graph.documents.manifest(descriptor)?;
        Ok([&manifest.config].into_iter().chain(&manifest.layers).cloned().collect())
    }

    fn present(&mut self, descriptor: &Descriptor, children: Vec<Descriptor>) -> Result<()> {
        let references = children.into_iter().map(|child| child.digest).collect();
        self.found.blobs.push(GraphBlob { descriptor: descriptor.clone(), references });
        Ok(())
    }

    fn missing(&mut self, descriptor: &Descriptor) {
        self.found.missing.push(descriptor.clone());
    }

    fn note(&mut self, error: Error) -> Result<()> {
        match &mut self.note {
            Some(note) => note(error),
            None => Err(error),
        }
    }

    fn contradiction(&mut self, error: Error) -> Result<()> {
        self.note.as_mut().map_or(Ok(()), |note| note(error))
    }
}
