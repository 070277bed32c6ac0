//! A store in memory, for tests and small images.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, Error, ErrorKind, Hasher, ImageName, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::images::{ImageStore, StoredImage, check_name};
use crate::provider::{Origin, Provider, not_found};
use crate::store::{BlobInfo, BlobMeta, BlobWriter, ContentStore, check_expected};

/// A store in memory, without garbage collection. Clones share the store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    blobs: Mutex<Blobs>,
    images: Mutex<BTreeMap<String, (ImageName, StoredImage)>>,
}

type Blobs = HashMap<Digest, (Arc<[u8]>, BlobMeta)>;

impl MemoryStore {
    /// Stores `bytes` as a blob of `media_type`.
    pub fn put(&self, media_type: longshore_oci::MediaType, bytes: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, bytes);
        self.insert(descriptor.digest.clone(), bytes.into(), BlobMeta::default());
        descriptor
    }

    fn insert(&self, digest: Digest, bytes: Arc<[u8]>, meta: BlobMeta) -> BlobInfo {
        let mut blobs = self.blobs();
        let (bytes, known) = blobs.entry(digest.clone()).or_insert((bytes, BlobMeta::default()));
        known.merge(meta);
        BlobInfo { digest, size: bytes.len() as u64, meta: known.clone() }
    }

    fn blobs(&self) -> MutexGuard<'_, Blobs> {
        self.0.blobs.lock()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, (ImageName, StoredImage)>> {
        self.0.images.lock()
    }
}

fn info((digest, (bytes, meta)): (&Digest, &(Arc<[u8]>, BlobMeta))) -> BlobInfo {
    BlobInfo { digest: digest.clone(), size: bytes.len() as u64, meta: meta.clone() }
}

impl Provider for MemoryStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let bytes = self.blobs().get(digest).map(|(bytes, _)| bytes.clone()).ok_or_else(|| not_found(digest))?;
        let mut reader = Cursor::new(bytes);
        reader.set_position(from);
        Ok(Box::new(reader))
    }

    fn origins(&self, digest: &Digest) -> Result<Vec<Origin>> {
        Ok(self.info(digest)?.map(|info| info.meta.origins).unwrap_or_default())
    }
}

impl ContentStore for MemoryStore {
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        Ok(self.blobs().get_key_value(digest).map(info))
    }

    fn made(&self, diff_id: &Digest, encoder: &str) -> Result<Option<BlobInfo>> {
        Ok(self.blobs().iter().find(|(_, (_, meta))| meta.is_made(diff_id, encoder)).map(info))
    }

    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>> {
        Ok(Box::new(MemoryWriter { store: self, expected: expected.cloned(), bytes: Vec::new() }))
    }

    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()> {
        self.blobs().get_mut(digest).map(|(_, known)| known.merge(meta)).ok_or_else(|| not_found(digest))
    }

    fn lease(&self) -> Result<Arc<dyn ContentStore>> {
        Ok(Arc::new(self.clone()))
    }
}

impl ImageStore for MemoryStore {
    fn lease_images(&self) -> Result<Arc<dyn ImageStore>> {
        Ok(Arc::new(self.clone()))
    }

    fn image(&self, name: &ImageName) -> Result<Option<StoredImage>> {
        Ok(self.names().get(&name.to_string()).map(|(_, image)| image.clone()))
    }

    fn images(&self) -> Result<Vec<(ImageName, StoredImage)>> {
        Ok(self.names().values().cloned().collect())
    }

    fn tag(&self, images: &[(ImageName, StoredImage)]) -> Result<Vec<Option<StoredImage>>> {
        let mut names = self.names();
        images.iter().try_for_each(|(name, image)| check_name(name, &image.root))?;
        for descriptor in images.iter().flat_map(|(_, image)| [&image.root].into_iter().chain(&image.referrers)) {
            self.info(&descriptor.digest)?.ok_or_else(|| not_found(&descriptor.digest))?;
        }
        let replace = |(name, image): &(ImageName, StoredImage)| {
            names.insert(name.to_string(), (name.clone(), image.clone())).map(|(_, before)| before)
        };
        Ok(images.iter().map(replace).collect())
    }

    fn untag(&self, untagged: &[ImageName]) -> Result<Vec<StoredImage>> {
        let mut names = self.names();
        if let Some(name) = untagged.iter().find(|name| !names.contains_key(&name.to_string())) {
            return Err(Error::new(ErrorKind::NotFound, format!("image {name} is not in the store")));
        }
        Ok(untagged.iter().filter_map(|name| names.remove(&name.to_string())).map(|(_, image)| image).collect())
    }
}

struct MemoryWriter<'a> {
    store: &'a MemoryStore,
    expected: Option<Descriptor>,
    bytes: Vec<u8>,
}

impl Write for MemoryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for MemoryWriter<'_> {
    fn offset(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn suspend(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        let algorithm = self.expected.as_ref().map(|expected| expected.digest.algorithm());
        let mut hasher = algorithm.map_or_else(Hasher::sha256, Hasher::new);
        hasher.update(&self.bytes);
        let digest = hasher.finish();
        check_expected(self.expected.as_ref(), &digest, self.bytes.len() as u64)?;
        Ok(self.store.insert(digest, self.bytes.into(), meta))
    }
}
