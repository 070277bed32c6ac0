//! The archive that an engine is sent: everything but the layers that it has.

use std::collections::HashSet;
use std::io::{self, Read};

use longshore_core::content::{BlobMeta, ContentStore, read};
use longshore_core::image::ImageBlob;
use longshore_core::layout::LayoutArchive;
use longshore_core::oci::{Descriptor, Digest, MANIFEST_LIMIT};
use longshore_core::{Amount, Bundle, Result, Work};
use longshore_docker_engine::{Engine, Keeps};

use super::wanted::Wanted;
use crate::manifest;

/// Returns the amount of the layers that are `counted`, each once.
pub(super) fn layers(images: &[Wanted<'_>], counted: impl Fn(&Digest) -> bool) -> Amount {
    let layers = all_layers(images).into_iter().filter(|layer| counted(&layer.digest));
    layers.fold(Amount::default(), |sum, layer| Amount { layers: sum.layers + 1, bytes: sum.bytes + layer.size })
}

fn all_layers<'w>(images: &'w [Wanted<'_>]) -> Vec<&'w Descriptor> {
    let mut seen = HashSet::new();
    let layers = images.iter().flat_map(|image| &image.images).flat_map(|image| &image.manifest.layers);
    layers.filter(|layer| seen.insert(&layer.digest)).collect()
}

/// Loads an archive of `images` without the layers that are `present`. Returns also how many bytes were sent.
pub(super) fn send(
    engine: &Engine,
    keeps: Keeps,
    images: &[Wanted<'_>],
    present: &HashSet<Digest>,
    work: &Work,
) -> (Result<()>, u64) {
    let bundle = match bundle(keeps, images, present) {
        Ok(bundle) => bundle,
        Err(error) => return (Err(error), 0),
    };
    for Descriptor { digest, size, .. } in all_layers(images) {
        if present.contains(digest) {
            work.progress.task(format!("write {digest}"), Some(*size)).skipped("the engine has it");
        }
    }
    let mut bytes = 0;
    let sent = bundle.send(work, |archive| engine.load(&mut Counted { archive, bytes: &mut bytes }));
    (sent, bytes)
}

fn bundle<'a>(keeps: Keeps, images: &[Wanted<'a>], present: &HashSet<Digest>) -> Result<Bundle<'a>> {
    let entries = images.iter().flat_map(|image| image.entries.clone()).collect();
    let blobs = images.iter().flat_map(|image| &image.blobs);
    let blobs = blobs.filter(|blob| !present.contains(&blob.descriptor.digest)).cloned().collect();
    let mut archive = LayoutArchive::new(entries, blobs)?;
    if keeps != Keeps::Blobs {
        let items: Vec<_> = images.iter().filter_map(|image| image.item.as_ref()).collect();
        archive.add_document("manifest.json", 0o644, manifest::bytes(&items)?);
    }
    Ok(archive.into_bundle())
}

/// Counts the bytes that are read.
struct Counted<'a> {
    archive: &'a mut (dyn Read + Send),
    bytes: &'a mut u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.archive.read(buffer)?;
        *self.bytes += count as u64;
        Ok(count)
    }
}

/// Puts a document into the store, if it is not there.
pub(super) fn keep(blob: &ImageBlob<'_>, store: &dyn ContentStore) -> Result<()> {
    if store.info(&blob.descriptor.digest)?.is_some() {
        return Ok(());
    }
    let bytes = read(blob.provider.provider(), &blob.descriptor, MANIFEST_LIMIT)?;
    let mut writer = store.ingest(None)?;
    writer.write_all(&bytes)?;
    writer.commit(BlobMeta::default()).map(drop)
}
