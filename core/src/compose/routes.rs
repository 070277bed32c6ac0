//! A provider that serves blobs from several places.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use longshore_content::{ContentStore, MemoryStore, Origin, Provider};
use longshore_oci::{Descriptor, Digest, MediaType, Result};

/// New documents in memory, and other blobs from their providers.
#[derive(Debug, Default)]
pub(super) struct Routes {
    documents: MemoryStore,
    providers: HashMap<Digest, Vec<Arc<dyn Provider>>>,
    /// The provider of blobs without a route.
    rest: Option<Arc<dyn Provider>>,
}

impl Routes {
    /// Returns a provider of new documents; all other blobs come from `rest`.
    pub(super) fn over(rest: Arc<dyn Provider>) -> Self {
        Self { rest: Some(rest), ..Self::default() }
    }

    /// Adds a new document.
    pub(super) fn put(&self, media_type: MediaType, bytes: &[u8]) -> Descriptor {
        self.documents.put(media_type, bytes)
    }

    /// Records that `provider` has a blob; the first such provider is read.
    pub(super) fn add(&mut self, digest: Digest, provider: &Arc<dyn Provider>) {
        let known = self.providers.entry(digest).or_default();
        if !known.iter().any(|known| Arc::ptr_eq(known, provider)) {
            known.push(provider.clone());
        }
    }

    fn of(&self, digest: &Digest) -> Result<&dyn Provider> {
        if self.documents.info(digest)?.is_some() {
            return Ok(&self.documents);
        }
        let routed = self.providers.get(digest).and_then(|providers| providers.first());
        Ok(routed.or(self.rest.as_ref()).map_or(&self.documents, AsRef::as_ref))
    }
}

impl Provider for Routes {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.of(digest)?.open(digest, from)
    }

    fn outline(&self, digest: &Digest) -> Result<Option<Box<dyn Read + Send + '_>>> {
        self.of(digest)?.outline(digest)
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        let mut origins: Vec<Origin> = Vec::new();
        for provider in self.providers.get(digest).into_iter().flatten().chain(&self.rest) {
            origins.extend(provider.origins(digest)?);
        }
        Ok(origins)
    }
}
