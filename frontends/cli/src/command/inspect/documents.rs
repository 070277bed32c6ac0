//! The documents of an image, as they are: manifest, configuration, digests.

use longshore_core::content::read;
use longshore_core::image::Graph;
use longshore_core::oci::{CONFIG_LIMIT, Descriptor, MANIFEST_LIMIT, Platform};
use longshore_core::{Error, Existing, Result, Work};

/// Returns the root of an image, or its manifest for a platform.
pub(crate) fn chosen(existing: &Existing, platform: Option<&Platform>, work: &Work) -> Result<Descriptor> {
    platform.map_or_else(|| Ok(existing.root.clone()), |platform| Graph::of(existing, work).platform(platform))
}

/// Returns the platform that a view of one platform is of: the one that is wanted, else that of an image for one, else this
/// machine's.
pub(crate) fn platform(existing: &Existing, wanted: Option<&Platform>, work: &Work) -> Result<Platform> {
    let graph = Graph::of(existing, work);
    if let Some(wanted) = wanted {
        return Ok(wanted.clone());
    }
    let entries = graph.entries()?;
    let mut platforms = entries.present.iter().filter(|entry| entry.is_image()).filter_map(|entry| entry.platform());
    match (platforms.next(), platforms.next()) {
        (Some(only), None) => Ok(only),
        _ => Ok(Platform::host()),
    }
}

/// Returns the bytes of a manifest or an index.
pub(super) fn raw(existing: &Existing, wanted: Option<&Platform>, work: &Work) -> Result<Vec<u8>> {
    read(existing.provider.as_ref(), &chosen(existing, wanted, work)?, MANIFEST_LIMIT)
}

/// Returns the bytes of the configuration for one platform.
pub(super) fn config(existing: &Existing, wanted: Option<&Platform>, work: &Work) -> Result<Vec<u8>> {
    let graph = Graph::of(existing, work);
    let descriptor = match (wanted, existing.root.media_type.is_index()) {
        (None, false) => existing.root.clone(),
        _ => graph.platform(&platform(existing, wanted, work)?)?,
    };
    let entry = graph.entry(&descriptor)?;
    if let Some(config) = &entry.config {
        // It keeps its bytes.
        return config.to_bytes();
    }
    if entry.manifest.config.size > CONFIG_LIMIT {
        return Err(Error::input(format!("its configuration has more than {CONFIG_LIMIT} bytes")));
    }
    read(existing.provider.as_ref(), &entry.manifest.config, CONFIG_LIMIT)
}
