//! A content store in a directory, in the layout of an OCI image layout's `blobs`.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::files::{BlobFiles, Durability, IngestFile};
use crate::provider::{Origin, Provider, not_found};
use crate::store::{BlobInfo, BlobMeta, BlobWriter, ContentStore};

/// A content store in a directory: every file in `blobs` is a blob.
///
/// What is known of blobs beyond their bytes lives as long as this value and its clones, which are the same store.
/// It collects nothing.
#[derive(Debug, Clone)]
pub struct DirectoryStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: BlobFiles,
    known: Mutex<HashMap<Digest, BlobMeta>>,
}

impl DirectoryStore {
    /// Opens the store in `root`, which is created if missing.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(root: impl Into<PathBuf>, durability: Durability) -> Result<Self> {
        Ok(Self(Arc::new(Inner { files: BlobFiles::open(root, durability)?, known: Mutex::default() })))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, BlobMeta>> {
        self.0.known.lock()
    }

    fn commit(&self, file: IngestFile, meta: BlobMeta) -> Result<BlobInfo> {
        let (digest, size) = file.check()?;
        // A blob of another size is left over from a crash: replace it.
        if self.0.files.size(&digest)? != Some(size) {
            self.0.files.finish(&file)?;
            self.0.files.place(file, &digest)?;
        }
        Ok(self.learn(&digest, size, meta))
    }

    fn learn(&self, digest: &Digest, size: u64, meta: BlobMeta) -> BlobInfo {
        let mut known = self.known();
        let entry = known.entry(digest.clone()).or_default();
        entry.merge(meta);
        BlobInfo { digest: digest.clone(), size, meta: entry.clone() }
    }
}

impl Provider for DirectoryStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.0.files.read(digest, from)?))
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        Ok(self.info(digest)?.map(|info| info.meta.origins).unwrap_or_default())
    }
}

impl ContentStore for DirectoryStore {
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        let size = self.0.files.size(digest)?;
        Ok(size.map(|size| self.learn(digest, size, BlobMeta::default())))
    }

    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>> {
        let digest =
            self.known().iter().find(|(_, meta)| meta.is_made(diff_id, encoder)).map(|(digest, _)| digest.clone());
        digest.map_or(Ok(None), |digest| self.info(&digest))
    }

    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(self.0.files.ingest(expected)?.writer(|file, meta| self.commit(file, meta)))
    }

    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()> {
        let info = self.info(digest)?.ok_or_else(|| not_found(digest))?;
        self.learn(digest, info.size, meta);
        Ok(())
    }

    fn lease(&self) -> Result<Arc<dyn ContentStore>> {
        Ok(Arc::new(self.clone()))
    }

    fn directory(&self) -> Option<&Path> {
        Some(self.0.files.root())
    }
}
