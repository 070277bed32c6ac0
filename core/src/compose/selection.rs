//! Several platforms of an existing image: its index without the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Digest, ErrorKind, Index, Platform, Result, json};

use super::referrers::referrers_of;
use super::routes::Routes;
use crate::image::Graph;
use crate::result::Existing;

/// Removes all platforms but `wanted` from an image, and the attestations of removed manifests.
///
/// An index from which nothing is removed keeps its bytes. Otherwise it becomes a new document with the same fields
/// and fewer entries, and everything left below it keeps its bytes. Entries without a platform stay, unless they are
/// about something removed.
///
/// # Errors
/// As [`Graph::platform`], for each of the platforms.
pub(super) fn select(existing: &mut Existing, wanted: &[Platform], work: &Work) -> Result<()> {
    let graph = Graph::of(existing, work);
    let kept = wanted.iter().map(|wanted| graph.nearest_platform(wanted)).collect::<Result<Vec<_>>>()?;
    if !existing.root.media_type.is_index() {
        return Ok(());
    }
    let routes = Routes::over(existing.provider.clone());
    let mut selection = Selection {
        graph: &graph,
        kept: &kept,
        images: Images::default(),
        routes: &routes,
        indexes: HashMap::new(),
        remaining: Vec::new(),
    };
    let root = selection.root(&existing.root);
    let root = root.attempt(|| format!("cannot select platforms of {}", existing.root.digest))?;
    if root.digest == existing.root.digest {
        return Ok(());
    }
    let referrers = referrers_of(selection.remaining, existing, &graph, work)?;
    *existing = Existing::new(root, Arc::new(routes)).with_referrers(referrers);
    Ok(())
}

/// Images for kept platforms and for others. An image listed for several platforms may be both.
#[derive(Default)]
struct Images {
    kept: HashSet<String>,
    others: HashSet<String>,
}

struct Selection<'g> {
    graph: &'g Graph<'g>,
    kept: &'g [Platform],
    images: Images,
    routes: &'g Routes,
    /// The visited indexes, and what remains of each: `None` if nothing does.
    indexes: HashMap<Digest, Option<Descriptor>>,
    /// Digests that remain unchanged.
    remaining: Vec<Digest>,
}

impl Selection<'_> {
    fn root(&mut self, root: &Descriptor) -> Result<Descriptor> {
        self.sort(root, &mut HashSet::new())?;
        // A platform was found, so something remains.
        Ok(self.index(root)?.unwrap_or_else(|| root.clone()))
    }

    /// Finds the kept images in an index and those below it. An attestation may precede its image.
    fn sort(&mut self, at: &Descriptor, seen: &mut HashSet<Digest>) -> Result<()> {
        let Some(index) = self.read(at)? else { return Ok(()) };
        for entry in &index.manifests {
            if entry.media_type.is_index() {
                if seen.insert(entry.digest.clone()) {
                    self.sort(entry, seen)?;
                }
            } else if let Some(platform) = self.graph.listed_platform(entry)? {
                let images = if self.keeps(&platform) { &mut self.images.kept } else { &mut self.images.others };
                images.insert(entry.digest.to_string());
            }
        }
        Ok(())
    }

    /// Returns what remains of an index; `None` if nothing does.
    fn index(&mut self, at: &Descriptor) -> Result<Option<Descriptor>> {
        if let Some(known) = self.indexes.get(&at.digest) {
            return Ok(known.as_ref().map(|known| replaced(at, known)));
        }
        let Some(index) = self.read(at)? else {
            let remains = at.platform.as_ref().is_none_or(|platform| self.keeps(platform));
            return Ok(remains.then(|| at.clone()));
        };
        let mut manifests = Vec::new();
        for entry in &index.manifests {
            manifests.extend(match entry.media_type.is_index() {
                true => self.index(entry)?,
                false => self.remains(entry)?.then(|| entry.clone()),
            });
        }
        self.remaining.extend(manifests.iter().map(|entry| entry.digest.clone()));
        let what = if manifests == index.manifests {
            Some(at.clone())
        } else if manifests.is_empty() {
            None
        } else {
            let bytes = json::indented(&Index { manifests, ..(*index).clone() })?;
            Some(self.routes.put(at.media_type.clone(), &bytes))
        };
        self.indexes.insert(at.digest.clone(), what.clone());
        Ok(what.map(|what| replaced(at, &what)))
    }

    /// Returns whether a manifest, or any entry other than an index, remains.
    fn remains(&self, entry: &Descriptor) -> Result<bool> {
        if let Some(about) = Graph::reference(entry) {
            return Ok(self.images.kept.contains(about) || !self.images.others.contains(about));
        }
        Ok(self.graph.listed_platform(entry)?.is_none_or(|platform| self.keeps(&platform)))
    }

    fn keeps(&self, platform: &Platform) -> bool {
        self.kept.iter().any(|kept| platform.matches(kept))
    }

    /// Reads an index; `None` if a listed one is missing, which is allowed.
    fn read(&self, at: &Descriptor) -> Result<Option<Arc<Index>>> {
        match self.graph.index(at) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            index => index.map(Some),
        }
    }
}

/// Returns the descriptor `at`, pointing to another document.
fn replaced(at: &Descriptor, new: &Descriptor) -> Descriptor {
    if at.digest == new.digest {
        return at.clone();
    }
    Descriptor { digest: new.digest.clone(), size: new.size, data: None, ..at.clone() }
}
