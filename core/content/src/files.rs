//! Blobs as files: `blobs/<algorithm>/<hex>`, and `ingest` for incomplete ones.
//!
//! Shared by all stores on disk. Each store decides which blobs are visible, and keeps their metadata itself.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use longshore_oci::{Context, Descriptor, Digest, Error, Hasher, Result};

use crate::entry::sync_directory;
use crate::live::LiveFile;
use crate::provider::not_found;
use crate::store::{BlobInfo, BlobMeta, BlobWriter, check_expected};

/// The directories of blobs, one per algorithm.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// Whether blobs survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A committed blob and its name are synced to disk.
    Durable,
    /// The directory is removed after the run, so nothing is synced.
    Scratch,
}

/// A directory of blobs.
#[derive(Debug)]
pub struct BlobFiles {
    root: PathBuf,
    durability: Durability,
}

/// How many files, and how many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amount {
    /// Files.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Amount {
    /// Adds a file. Sums saturate: a sparse file may have any size.
    pub fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl BlobFiles {
    /// Opens the directory `root`, which is created if missing.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(root: impl Into<PathBuf>, durability: Durability) -> Result<Self> {
        let root = root.into();
        let is_new = !root.join("ingest").exists();
        for directory in
            ALGORITHMS.map(|algorithm| root.join("blobs").join(algorithm)).iter().chain([&root.join("ingest")])
        {
            fs::create_dir_all(directory).attempt(|| format!("cannot create {}", directory.display()))?;
        }
        if is_new && durability == Durability::Durable {
            for directory in [root.join("blobs"), root.clone()] {
                sync_directory(&directory).attempt(|| format!("cannot create {}", directory.display()))?;
            }
        }
        Ok(Self { root, durability })
    }

    /// Uses the existing directory `root`, for reading.
    pub fn existing(root: impl Into<PathBuf>, durability: Durability) -> Self {
        Self { root: root.into(), durability }
    }

    /// Returns its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.layout_path())
    }

    /// Returns the size of a blob's file in bytes; `None` if it is missing.
    ///
    /// # Errors
    /// I/O errors.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).attempt(|| format!("cannot access {}", path.display())),
        }
    }

    /// Opens a blob's file at byte `from`.
    ///
    /// # Errors
    /// [`NotFound`](longshore_oci::ErrorKind::NotFound) if there is none.
    pub fn read(&self, digest: &Digest, from: u64) -> Result<impl Read + Send + use<>> {
        let path = self.path(digest);
        let mut file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_found(digest),
            _ => Error::from(error).context(format!("cannot open {}", path.display())),
        })?;
        file.seek(SeekFrom::Start(from)).attempt(|| format!("cannot read {}", path.display()))?;
        Ok(NamedReader { file, path })
    }

    /// Returns every blob that has a file, with its size. Other files are ignored.
    ///
    /// # Errors
    /// I/O errors.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>> {
        let mut found = Vec::new();
        for algorithm in ALGORITHMS {
            let directory = self.root.join("blobs").join(algorithm);
            for entry in fs::read_dir(&directory).attempt(|| format!("cannot list {}", directory.display()))? {
                let entry = entry?;
                let name = entry.file_name();
                let digest = name.to_str().and_then(|hex| format!("{algorithm}:{hex}").parse().ok());
                // A blob removed in the meantime is skipped.
                if let (Some(digest), Ok(metadata)) = (digest, entry.metadata()) {
                    found.push((digest, metadata.len()));
                }
            }
        }
        Ok(found)
    }

    /// Removes a blob's file, if any.
    ///
    /// # Errors
    /// I/O errors.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).attempt(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Returns the leftovers of dead writers, and removes them if `remove` is true.
    ///
    /// # Errors
    /// I/O errors.
    pub fn leftovers(&self, remove: bool) -> Result<Amount> {
        let directory = self.root.join("ingest");
        let mut found = Amount::default();
        for entry in fs::read_dir(&directory).attempt(|| format!("cannot list {}", directory.display()))? {
            let Some(leftover) = LiveFile::abandoned(&entry?.path()) else { continue };
            found.add(leftover.file().metadata().map_or(0, |metadata| metadata.len()));
            if !remove {
                drop(leftover.keep());
            }
        }
        Ok(found)
    }

    /// Starts the file of a blob, or continues a file left by an earlier writer of the same blob.
    ///
    /// # Errors
    /// I/O errors.
    pub fn ingest(&self, expected: Option<&Descriptor>) -> Result<IngestFile> {
        let directory = self.root.join("ingest");
        let resumable = expected.map(|expected| LiveFile::open(directory.join(expected.digest.hex())));
        let file = match resumable.transpose()?.flatten() {
            Some(resumable) => resumable,
            None => LiveFile::create(&directory, "new-")?,
        };
        let mut hasher = expected.map_or_else(Hasher::sha256, |expected| Hasher::new(expected.digest.algorithm()));
        let size =
            io::copy(&mut file.file(), &mut hasher).attempt(|| format!("cannot read {}", file.path().display()))?;
        let mut ingest = IngestFile { file, hasher, size, expected: expected.cloned() };
        if expected.is_some_and(|expected| size > expected.size) {
            ingest.start_over()?;
        }
        Ok(ingest)
    }

    /// In a durable store, syncs the written bytes to disk.
    ///
    /// # Errors
    /// I/O errors.
    pub fn finish(&self, ingest: &IngestFile) -> Result<()> {
        let is_durable = self.durability == Durability::Durable;
        let finished = if is_durable { ingest.file.file().sync_all() } else { Ok(()) };
        finished.attempt(|| format!("cannot store {}", ingest.file.path().display()))
    }

    /// Renames the written file to its blob's name, replacing an existing one.
    ///
    /// [`finish`](Self::finish) comes first: it syncs, so that this call is short.
    ///
    /// # Errors
    /// I/O errors.
    pub fn place(&self, ingest: IngestFile, digest: &Digest) -> Result<()> {
        let to = self.path(digest);
        let IngestFile { file, .. } = ingest;
        fs::rename(file.path(), &to).attempt(|| format!("cannot store {}", to.display()))?;
        // From now on another writer may use its old name.
        let file = file.keep();
        let place = || -> Result<()> {
            // Only now: a file that may be continued must be writable.
            file.set_permissions(PermissionsExt::from_mode(0o444))?;
            if self.durability == Durability::Durable {
                sync_directory(to.parent().unwrap_or(&self.root))?;
            }
            Ok(())
        };
        place().attempt(|| format!("cannot store {}", to.display()))
    }
}

/// Reads a file, and names its path in errors.
struct NamedReader {
    file: File,
    path: PathBuf,
}

impl Read for NamedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Ok(Err(error).attempt(|| format!("cannot read {}", self.path.display()))?)
            }
            read => read,
        }
    }
}

/// The locked file of an incomplete blob. It is removed on drop, unless it was placed or kept.
#[derive(Debug)]
pub struct IngestFile {
    file: LiveFile,
    hasher: Hasher,
    size: u64,
    expected: Option<Descriptor>,
}

impl IngestFile {
    /// Returns the number of bytes present.
    pub fn offset(&self) -> u64 {
        self.size
    }

    /// Keeps the bytes for another [`BlobFiles::ingest`] of the same blob, if its digest is known.
    pub fn suspend(self) {
        if self.expected.is_some() {
            drop(self.file.keep());
        }
    }

    /// Checks the written bytes against the expected descriptor; returns their digest and size.
    ///
    /// # Errors
    /// [`Corrupt`](longshore_oci::ErrorKind::Corrupt) if it is something else.
    pub fn check(&self) -> Result<(Digest, u64)> {
        let digest = self.hasher.clone().finish();
        check_expected(self.expected.as_ref(), &digest, self.size)?;
        Ok((digest, self.size))
    }

    /// Discards the bytes of an earlier attempt, which cannot be the start of the expected blob.
    fn start_over(&mut self) -> Result<()> {
        self.file.file().set_len(0).attempt(|| format!("cannot empty {}", self.file.path().display()))?;
        self.hasher = self.expected.as_ref().map_or_else(Hasher::sha256, |e| Hasher::new(e.digest.algorithm()));
        self.size = 0;
        Ok(())
    }
}

impl IngestFile {
    /// Returns a writer of the blob; `commit` makes it visible and stores its metadata.
    pub fn writer<'a>(
        self,
        commit: impl FnOnce(Self, BlobMeta) -> Result<BlobInfo> + Send + 'a,
    ) -> Box<dyn BlobWriter + 'a> {
        Box::new(FileWriter { file: self, commit })
    }
}

struct FileWriter<F> {
    file: IngestFile,
    commit: F,
}

impl<F> Write for FileWriter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: FnOnce(IngestFile, BlobMeta) -> Result<BlobInfo> + Send> BlobWriter for FileWriter<F> {
    fn offset(&self) -> u64 {
        self.file.offset()
    }

    fn suspend(self: Box<Self>) -> Result<()> {
        self.file.suspend();
        Ok(())
    }

    fn commit(self: Box<Self>, meta: BlobMeta) -> Result<BlobInfo> {
        (self.commit)(self.file, meta)
    }
}

impl Write for IngestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.file.file().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            written => written.attempt(|| format!("cannot write {}", self.file.path().display()))?,
        };
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
