//! Images whose uncompressed layers are known before reading anything.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use longshore_content::{MemoryStore, Provider};
use longshore_oci::{Digest, Manifest, MediaType, Result, json};

use crate::result::{Built, Existing};

/// Returns the image that outputs with `compression=uncompressed` make of `built`, with its digest; no layer is
/// read. `None` if that cannot be known: a layer whose diffID is not known, several platforms, or changes
/// to the configuration.
///
/// # Errors
/// None in practice: documents are always JSON.
pub fn as_existing(built: &Built) -> Result<Option<Existing>> {
    let Built::Single(artifact) = built else { return Ok(None) };
    if !artifact.is_untouched() {
        return Ok(None);
    }
    let Some(plain) = artifact.layers.iter().map(|layer| layer.plain()).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let documents = MemoryStore::default();
    let config = documents.put(MediaType::CONFIG, &artifact.config.to_bytes()?);
    let (descriptors, providers): (Vec<_>, Vec<_>) = plain.into_iter().unzip();
    let layers = descriptors.iter().map(|layer| layer.digest.clone()).zip(providers).collect();
    let manifest = Manifest { annotations: artifact.annotations.clone(), ..Manifest::new(config, descriptors) };
    let root = documents.put(MediaType::MANIFEST, &json::indented(&manifest)?);
    Ok(Some(Existing { root, referrers: Vec::new(), provider: Arc::new(Blobs { documents, layers }) }))
}

/// Built documents, and layers at their source.
#[derive(Debug)]
struct Blobs {
    documents: MemoryStore,
    layers: HashMap<Digest, Arc<dyn Provider>>,
}

impl Blobs {
    fn of(&self, digest: &Digest) -> &dyn Provider {
        self.layers.get(digest).map_or(&self.documents, AsRef::as_ref)
    }
}

impl Provider for Blobs {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.of(digest).open(digest, from)
    }

    fn outline(&self, digest: &Digest) -> Result<Option<Box<dyn Read + Send + '_>>> {
        self.of(digest).outline(digest)
    }
}
