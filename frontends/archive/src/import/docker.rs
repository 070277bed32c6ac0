//! The images of a received `docker save` tarball without an OCI layout.

use longshore_core::content::{BlobMeta, StoredImage, read};
use longshore_core::image::GraphBlob;
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, Digest, MediaType};
use longshore_core::{Context, Error, Result};

use super::layout::Arriving;
use super::receive::{Received, ReceivedFile};
use super::{Arrived, Import};
use crate::described::{Item, MadeManifest, items};

/// Returns the images in `manifest.json`. Each gets a manifest, which Docker's format lacks.
pub(super) fn images(received: &Received, import: &Import<'_>) -> Result<Vec<Arrived>> {
    let items = items(received.document("manifest.json")?)?;
    items.iter().map(|item| image(item, received, import)).collect()
}

fn image(item: &Item, received: &Received, import: &Import<'_>) -> Result<Arrived> {
    let arriving = Arriving { received, import };
    let config = received.file(&item.config).attempt(|| "cannot read a config".to_owned())?;
    let config = Descriptor::new(MediaType::CONFIG, config.digest.clone(), config.size);
    let bytes = read(&arriving, &config, CONFIG_LIMIT).attempt(|| format!("cannot read config `{}`", item.config))?;
    let mut layers = Vec::new();
    let MadeManifest { root, bytes, references, .. } = item.manifest(&bytes, |path, diff_id| {
        let layer = layer(received.file(path)?, diff_id)?;
        layers.push(layer.clone());
        Ok(layer)
    })?;
    for descriptor in layers.into_iter().chain([config]) {
        arriving.store(&GraphBlob { descriptor, references: Vec::new() })?;
    }
    let mut writer = import.store.ingest(None)?;
    writer.write_all(&bytes)?;
    writer.commit(BlobMeta::default().with_references(references))?;
    let image = StoredImage::new(root, Vec::new());
    let names = item.repo_tags.clone();
    Ok(Arrived { image, names, tags: Vec::new(), missing: Vec::new() })
}

/// Returns the descriptor of a layer. An uncompressed layer is its own tar stream.
fn layer(file: &ReceivedFile, diff_id: &Digest) -> Result<Descriptor> {
    let ReceivedFile { digest, size, .. } = file;
    let algorithm = file.algorithm()?;
    let is_plain = algorithm == longshore_core::compression::Algorithm::Uncompressed;
    if is_plain && digest != diff_id {
        return Err(Error::corrupt(format!("it has the diffID {digest}, its config says {diff_id}")));
    }
    Ok(Descriptor::new(MediaType::layer(algorithm), digest.clone(), *size))
}
