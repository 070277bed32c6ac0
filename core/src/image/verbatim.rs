//! An existing image, unchanged.

use std::collections::HashSet;

use longshore_content::Work;
use longshore_oci::{Descriptor, Digest, Error, Result};

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
    let manifests = found.blobs.iter().map(|blob| &blob.descriptor).filter(|blob| blob.media_type.is_manifest());
    let listed: HashSet<Digest> = manifests.map(|manifest| manifest.digest.clone()).collect();
    // An attestation comes after the manifest that it is about, if the same index lists both.
    let subject = |descriptor: &Descriptor| -> Result<Option<Digest>> {
        let is_listed = descriptor.media_type.is_manifest() && descriptor.digest != root.digest;
        let manifest = is_listed.then(|| graph.manifest(descriptor)).transpose()?;
        let subject = manifest.and_then(|manifest| manifest.subject.as_ref().map(|subject| subject.digest.clone()));
        Ok(subject.filter(|subject| listed.contains(subject) && *subject != root.digest))
    };
    let blob = |GraphBlob { descriptor, mut references }| {
        references.extend(subject(&descriptor)?);
        let provider = BlobProvider::Image(existing.provider.clone());
        Ok(ImageBlob { descriptor, references, provider })
    };
    let blobs = found.blobs.into_iter().map(blob).collect::<Result<_>>()?;
    Ok(AssembledImage {
        root: root.clone(),
        config,
        referrers: existing.referrers.clone(),
        blobs: foreign::leave_out(blobs, &work.progress)?,
        missing: found.missing,
    })
}
