//! An existing image, unchanged.

use longshore_content::Work;
use longshore_oci::{Error, Result};

use super::{AssembledImage, BlobProvider, Graph, GraphBlob, ImageBlob, foreign};
use crate::result::Existing;

/// Returns an existing image with all its blobs, to be copied unchanged. Only manifests and indexes are read.
///
/// # Errors
/// As [`Graph::walk`], and a root that is neither a manifest nor an index.
pub fn verbatim(existing: &Existing, work: &Work) -> Result<AssembledImage<'static>> {
    let root = &existing.root;
    if !(root.media_type.is_manifest() || root.media_type.is_index()) {
        return Err(Error::input(format!("{} is a `{}`, not a manifest or an index", root.digest, root.media_type)));
    }
    let graph = Graph::of(existing, work);
    let found = graph.walk()?;
    let is_manifest = root.media_type.is_manifest();
    let config = is_manifest.then(|| graph.manifest(root)).transpose()?.map(|manifest| manifest.config.digest.clone());
    let blob = |GraphBlob { descriptor, references }| {
        let provider = BlobProvider::Image(existing.provider.clone());
        ImageBlob { descriptor, references, provider }
    };
    Ok(AssembledImage {
        root: root.clone(),
        config,
        referrers: existing.referrers.clone(),
        blobs: foreign::leave_out(found.blobs.into_iter().map(blob).collect(), &work.progress)?,
        missing: found.missing,
    })
}
