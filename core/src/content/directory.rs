//! A content store in a directory, in the layout of an OCI image layout's `blobs`.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BlobInfo, BlobMeta, BlobWriter, ContentStore, Lease, Provider};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::oci::{Descriptor, Digest, Hasher};

/// Whether blobs survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A committed blob and its name are on the medium.
    Durable,
    /// The directory is thrown away after the run, so nothing waits for the medium.
    Scratch,
}

/// A content store in a directory: `blobs/<algorithm>/<hex>`, and `ingest` for blobs on their way.
///
/// What is known of blobs beyond their bytes lives as long as this value. It collects nothing, so a
/// lease is free.
#[derive(Debug)]
pub struct DirectoryStore {
    root: PathBuf,
    durability: Durability,
    known: Mutex<HashMap<Digest, BlobMeta>>,
}

impl DirectoryStore {
    /// Opens the store in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// Those of making directories.
    pub fn open(root: impl Into<PathBuf>, durability: Durability) -> Result<Self> {
        let root = root.into();
        for directory in ["blobs/sha256", "blobs/sha512", "ingest"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).attempt(|| format!("cannot make {}", path.display()))?;
        }
        Ok(Self { root, durability, known: Mutex::default() })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.layout_path())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, BlobMeta>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, digest: &Digest, size: u64, meta: BlobMeta) -> BlobInfo {
        let mut known = self.known();
        let entry = known.entry(digest.clone()).or_default();
        entry.merge(meta);
        BlobInfo { digest: digest.clone(), size, meta: entry.clone() }
    }

    fn open_file(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_found(digest),
            _ => Error::from(error).context(format!("cannot open {}", path.display())),
        })
    }

    /// The file to continue for a blob that is expected, locked; `None` if another writer has it.
    fn resumable(&self, expected: &Descriptor) -> Result<Option<(PathBuf, File)>> {
        let path = self.root.join("ingest").join(expected.digest.hex());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = options.open(&path).attempt(|| format!("cannot open {}", path.display()))?;
        let is_ours = file.try_lock().is_ok() && crate::scratch::is_still(&file, &path);
        Ok(is_ours.then_some((path, file)))
    }

    fn fresh(&self) -> Result<(PathBuf, File)> {
        let directory = self.root.join("ingest");
        let file = tempfile::Builder::new().prefix("new-").tempfile_in(&directory);
        let (file, path) = file.attempt(|| format!("cannot make a file in {}", directory.display()))?.into_parts();
        let path = path.keep().map_err(|error| Error::from(error.error))?;
        Ok((path, file))
    }
}

/// The error for a blob that is not there.
pub(super) fn not_found(digest: &Digest) -> Error {
    Error::new(ErrorKind::NotFound, format!("blob {digest} is not in the store"))
}

/// Fails if a blob is not what its writer expected.
pub(super) fn check_expected(expected: Option<&Descriptor>, digest: &Digest, size: u64) -> Result<()> {
    match expected {
        Some(expected) if expected.size != size => {
            Err(Error::corrupt(format!("blob {} has {size} bytes, expected {}", expected.digest, expected.size)))
        }
        Some(expected) if expected.digest != *digest => {
            Err(Error::corrupt(format!("blob {} has the digest {digest}", expected.digest)))
        }
        _ => Ok(()),
    }
}

impl Provider for DirectoryStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut file = self.open_file(digest)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(file))
    }

    fn local_file(&self, digest: &Digest) -> Result<Option<File>> {
        self.open_file(digest).map(Some)
    }
}

impl ContentStore for DirectoryStore {
    fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        let path = self.blob_path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(self.learn(digest, metadata.len(), BlobMeta::default()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).attempt(|| format!("cannot look at {}", path.display())),
        }
    }

    fn ingest(&self, expected: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>> {
        let resumable = expected.map(|expected| self.resumable(expected)).transpose()?.flatten();
        let (path, mut file) = match resumable {
            Some(resumable) => resumable,
            None => self.fresh()?,
        };
        let mut hasher = expected.map_or_else(Hasher::sha256, |expected| Hasher::new(expected.digest.algorithm()));
        let size = hash(&mut file, &mut hasher).attempt(|| format!("cannot read {}", path.display()))?;
        let mut writer =
            DirectoryWriter { store: self, path, file, hasher, size, expected: expected.cloned(), keep: false };
        if expected.is_some_and(|expected| size > expected.size) {
            writer.start_over()?;
        }
        Ok(Box::new(writer))
    }

    fn update(&self, digest: &Digest, meta: BlobMeta) -> Result<()> {
        let info = self.info(digest)?.ok_or_else(|| not_found(digest))?;
        self.learn(digest, info.size, meta);
        Ok(())
    }

    fn lease(&self) -> Result<Lease> {
        Ok(Lease::new(()))
    }
}

/// Takes in what a file holds; answers how much that is.
fn hash(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(size),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

struct DirectoryWriter<'a> {
    store: &'a DirectoryStore,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    expected: Option<Descriptor>,
    keep: bool,
}

impl DirectoryWriter<'_> {
    /// Forgets what an earlier attempt left, as it cannot be the start of what is expected.
    fn start_over(&mut self) -> Result<()> {
        self.file.set_len(0).attempt(|| format!("cannot empty {}", self.path.display()))?;
        self.hasher = self.expected.as_ref().map_or_else(Hasher::sha256, |e| Hasher::new(e.digest.algorithm()));
        self.size = 0;
        Ok(())
    }

    fn put(&self, digest: &Digest) -> Result<()> {
        let to = self.store.blob_path(digest);
        let durable = self.store.durability == Durability::Durable;
        let put = || -> Result<()> {
            self.file.set_permissions(PermissionsExt::from_mode(0o444))?;
            if durable {
                self.file.sync_all()?;
            }
            fs::rename(&self.path, &to)?;
            if durable {
                sync_directory(to.parent().unwrap_or(&self.store.root))?;
            }
            Ok(())
        };
        put().attempt(|| format!("cannot store {}", to.display()))
    }
}

/// Makes the names in a directory survive a loss of power.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Write for DirectoryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            written => written.attempt(|| format!("cannot write {}", self.path.display()))?,
        };
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for DirectoryWriter<'_> {
    fn offset(&self) -> u64 {
        self.size
    }

    fn suspend(mut self: Box<Self>) -> Result<()> {
        self.keep = self.expected.is_some();
        Ok(())
    }

    fn commit(mut self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        let digest = self.hasher.clone().finish();
        check_expected(self.expected.as_ref(), &digest, self.size)?;
        // A blob of another size is what a crash left of it: replace it.
        let present = self.store.info(&digest)?.is_some_and(|info| info.size == self.size);
        if !present {
            self.put(&digest)?;
            self.keep = true;
        }
        Ok(self.store.learn(&digest, self.size, meta))
    }
}

impl Drop for DirectoryWriter<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed now is continued or left over; it is never visible.
            let _ = fs::remove_file(&self.path);
        }
    }
}
