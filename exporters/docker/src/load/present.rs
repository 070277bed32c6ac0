//! What an engine has already, as far as it is known and not guessed.
//!
//! A graph driver looks for a layer by its chain ID, so by the diffIDs up to it; an image of the engine says its own.
//! Stores of blobs look for the digest of the blob. An engine does not tell those, but the digests of its manifests: a
//! manifest whose content it calls complete, and that this machine knows, tells them.

use std::collections::HashSet;

use longshore_core::content::{ContentStore, read};
use longshore_core::oci::{Descriptor, Digest, MANIFEST_LIMIT, MediaType, parse_manifest};
use longshore_core::{ErrorKind, ExportContext, Result};
use longshore_docker_engine::{Engine, EngineImage, Keeps};

use super::wanted::Wanted;

/// How many images an engine is asked about, the newest first.
const ASKED: usize = 500;

/// Returns the layers, by the digests of their blobs, that the engine can do without.
pub(super) fn find(
    engine: &Engine,
    keeps: Keeps,
    listed: &[EngineImage],
    wanted: &[Wanted<'_>],
    cx: &ExportContext<'_>,
) -> Result<HashSet<Digest>> {
    match keeps {
        Keeps::Layers => below(engine, listed, wanted, cx),
        Keeps::Blobs | Keeps::LayersOfBlobs => of_manifests(listed, wanted, cx),
    }
}

/// Returns the layers up to which an image of the engine has the same diffIDs.
fn below(
    engine: &Engine,
    listed: &[EngineImage],
    wanted: &[Wanted<'_>],
    cx: &ExportContext<'_>,
) -> Result<HashSet<Digest>> {
    let mut chains = Vec::new();
    for image in wanted {
        chains.extend(image.chains()?.into_iter().map(|chain| (chain, 0)));
    }
    for image in listed.iter().take(ASKED) {
        if chains.iter().all(|(chain, known)| *known == chain.len()) {
            break;
        }
        cx.work().check()?;
        let found = match engine.inspect(&image.id.to_string()) {
            Ok(Some(found)) => found,
            Err(error) if error.kind() == ErrorKind::Cancelled || error.is_retryable() => return Err(error),
            // It may be gone by now, or damaged: then it says nothing about layers.
            Ok(None) | Err(_) => continue,
        };
        for (chain, known) in &mut chains {
            let same = chain.iter().zip(&found.diff_ids).take_while(|((_, diff_id), found)| diff_id == *found).count();
            *known = same.max(*known);
        }
    }
    let digests = |layers: &[(&Descriptor, Digest)]| layers.iter().map(|(layer, _)| layer.digest.clone()).collect();
    let mut present: HashSet<Digest> = HashSet::new();
    let mut needed: HashSet<Digest> = HashSet::new();
    for (chain, known) in &chains {
        let (below, above) = chain.split_at(*known);
        present.extend::<Vec<Digest>>(digests(below));
        needed.extend::<Vec<Digest>>(digests(above));
    }
    // The same blob may be a layer elsewhere, on top of others.
    Ok(present.difference(&needed).cloned().collect())
}

/// Returns the layers of manifests that are complete in the engine.
fn of_manifests(listed: &[EngineImage], wanted: &[Wanted<'_>], cx: &ExportContext<'_>) -> Result<HashSet<Digest>> {
    let complete: HashSet<&Digest> = listed.iter().filter_map(|image| image.complete.as_ref()).flatten().collect();
    let mut present = HashSet::new();
    let own = wanted.iter().flat_map(|wanted| &wanted.images).filter(|own| complete.contains(&own.descriptor.digest));
    present.extend(own.flat_map(|own| &own.manifest.layers).map(|layer| layer.digest.clone()));
    for digest in complete {
        present.extend(layers(digest, cx.store())?);
    }
    Ok(present)
}

/// Returns the layers of a manifest that the store has; none if it does not.
fn layers(manifest: &Digest, store: &dyn ContentStore) -> Result<Vec<Digest>> {
    let Some(info) = store.info(manifest)?.filter(|info| info.size <= MANIFEST_LIMIT) else { return Ok(Vec::new()) };
    let descriptor = Descriptor::new(MediaType::MANIFEST, manifest.clone(), info.size);
    let bytes = match read(store, &descriptor, MANIFEST_LIMIT) {
        Ok(bytes) => bytes,
        // Damaged, or collected meanwhile: then it tells nothing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // A manifest of Docker's type says so itself.
    let is_docker =
        |media_type: MediaType| parse_manifest(&Descriptor { media_type, ..descriptor.clone() }, &bytes).ok();
    let parsed = [MediaType::MANIFEST, MediaType::DOCKER_MANIFEST].into_iter().find_map(is_docker);
    Ok(parsed.map(|manifest| manifest.layers.into_iter().map(|layer| layer.digest).collect()).unwrap_or_default())
}
