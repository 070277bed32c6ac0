//! The one walk through a graph; a visitor handles what it finds.

use std::collections::{HashMap, HashSet};

use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Index, MediaType, Result};

use super::{Graph, GraphLimits};

/// Handles what a walk finds, for one method of a graph.
pub(super) trait Visitor {
    /// Returns whether the walk visits an entry of a document.
    fn wants(&self, _listed: &Descriptor) -> bool {
        true
    }

    /// Handles an index, before its entries.
    fn index(&mut self, _descriptor: &Descriptor, _index: &Index) {}

    /// Returns what the walk visits below anything but an index.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if a document is missing, which is not a failure if an index lists it.
    fn below(&mut self, descriptor: &Descriptor) -> Result<Vec<Descriptor>>;

    /// Handles a present blob, after everything below it, which is `children`.
    fn present(&mut self, descriptor: &Descriptor, children: Vec<Descriptor>) -> Result<()>;

    /// Handles a missing document that an index lists.
    fn missing(&mut self, descriptor: &Descriptor);

    /// Records an error that does not end the walk, or returns it.
    fn note(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    /// Handles the first reference to a digest that contradicts an earlier one.
    fn contradiction(&mut self, _error: Error) -> Result<()> {
        Ok(())
    }
}

/// The first reference to a digest, and how the digest has been visited since.
#[derive(Debug)]
struct Seen {
    media_type: MediaType,
    size: u64,
    as_document: bool,
    as_blob: bool,
    is_contradicted: bool,
}

impl Seen {
    fn new(first: &Descriptor) -> Self {
        let (media_type, size) = (first.media_type.clone(), first.size);
        Self { media_type, size, as_document: false, as_blob: false, is_contradicted: false }
    }

    /// Returns whether the digest has not yet been visited in the way that `descriptor` lists it.
    fn is_new(&mut self, descriptor: &Descriptor) -> bool {
        let visited = if is_document(&descriptor.media_type) { &mut self.as_document } else { &mut self.as_blob };
        !std::mem::replace(visited, true)
    }

    /// Returns the error for the first reference that contradicts an earlier one. Blobs that are not documents may have
    /// different types: to an artifact, a layer of an image may be any file.
    fn contradiction(&mut self, descriptor: &Descriptor) -> Option<Error> {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        let is_typed = is_document(media_type) || is_document(&self.media_type);
        let message = match () {
            () if is_typed && *media_type != self.media_type => {
                format!("{digest} is listed as a `{}` and as a `{media_type}`", self.media_type)
            }
            () if *size != self.size => format!("{digest} is listed with {} and with {size} bytes", self.size),
            () => return None,
        };
        (!std::mem::replace(&mut self.is_contradicted, true)).then(|| Error::corrupt(message))
    }
}

/// A walk, children before parents. It visits each digest once, or twice if the digest is listed both as a document
/// and as another blob.
pub(super) struct Walk<'g> {
    graph: &'g Graph<'g>,
    seen: HashMap<Digest, Seen>,
    /// The number of visits so far.
    visits: usize,
    /// Missing documents that an index lists.
    absent: HashSet<Digest>,
}

impl<'g> Walk<'g> {
    pub(super) fn new(graph: &'g Graph<'g>) -> Self {
        Self { graph, seen: HashMap::new(), visits: 0, absent: HashSet::new() }
    }

    /// Visits a root and all below it.
    pub(super) fn root(&mut self, root: &Descriptor, visitor: &mut dyn Visitor) -> Result<()> {
        self.visit(root, 0, false, visitor)
    }

    /// Visits a blob and all below it; `is_listed` means that an index lists it, so that it may be missing.
    fn visit(&mut self, at: &Descriptor, depth: usize, is_listed: bool, visitor: &mut dyn Visitor) -> Result<()> {
        let limits = self.graph.limits;
        if self.visits > limits.blobs {
            return Ok(());
        }
        let seen = self.seen.entry(at.digest.clone()).or_insert_with(|| Seen::new(at));
        let (contradiction, is_new) = (seen.contradiction(at), seen.is_new(at));
        contradiction.map_or(Ok(()), |error| visitor.contradiction(error))?;
        // A second visit would find the same, and very many paths may lead here.
        if !is_new {
            return Ok(());
        }
        self.visits += 1;
        self.graph.work.check()?;
        if let Err(beyond) = check_limits(limits, self.visits, depth, at) {
            return visitor.note(beyond);
        }
        let is_index = at.media_type.is_index();
        let children = match self.children(at, visitor) {
            Ok(children) => children,
            Err(error) if is_listed && error.kind() == ErrorKind::NotFound => {
                self.absent.insert(at.digest.clone());
                visitor.missing(at);
                return Ok(());
            }
            Err(error) => return visitor.note(error),
        };
        for child in &children {
            if visitor.wants(child) {
                self.visit(child, depth + 1, is_index, visitor)?;
            }
        }
        if is_index && !children.is_empty() && children.iter().all(|child| self.absent.contains(&child.digest)) {
            let message = format!("all {} manifests of index {} are missing", children.len(), at.digest);
            visitor.note(Error::new(ErrorKind::NotFound, message))?;
        }
        visitor.present(at, children)
    }

    fn children(&self, at: &Descriptor, visitor: &mut dyn Visitor) -> Result<Vec<Descriptor>> {
        if !at.media_type.is_index() {
            return visitor.below(at);
        }
        let index = self.graph.documents.index(at)?;
        visitor.index(at, &index);
        Ok(index.manifests.clone())
    }
}

fn is_document(media_type: &MediaType) -> bool {
    media_type.is_manifest() || media_type.is_index()
}

/// Fails if a visit exceeds the limits of a graph.
fn check_limits(limits: GraphLimits, visits: usize, depth: usize, at: &Descriptor) -> Result<()> {
    let GraphLimits { depth: deepest, blobs, .. } = limits;
    if visits > blobs {
        return Err(Error::input(format!("more blobs than the limit of {blobs}")));
    }
    if depth > deepest && is_document(&at.media_type) {
        return Err(Error::input(format!("indexes are nested deeper than the limit of {deepest}")));
    }
    Ok(())
}
