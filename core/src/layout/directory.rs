//! A layout directory that other runs and tools also write to.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_content::{
    Cancel, MadeDirectories, ScratchDirectory, ScratchFile, copy, directory_of, remove_leftovers, sync_directory,
};
use longshore_oci::{Context, Descriptor, Digest, Error, Index, MANIFEST_LIMIT, Result, json, parse_layout_index};

use super::lock::IndexLock;
use super::{OCI_LAYOUT, names};
use crate::context::ExportContext;
use crate::image::ImageBlob;

/// How long a writer of the index waits for others. Each holds the lock for some milliseconds, or longer on a slow
/// medium: this is enough for hundreds in the queue.
const PATIENCE: Duration = Duration::from_secs(300);

/// A layout in a directory.
#[derive(Debug, Clone)]
pub struct LayoutDirectory {
    root: PathBuf,
}

/// Complete, verified blobs beside a layout. Dropping it discards them.
#[derive(Debug)]
pub struct StagedLayout {
    layout: LayoutDirectory,
    blobs: Vec<Descriptor>,
    staging: ScratchDirectory,
    /// Ends the wait for other writers.
    cancel: Cancel,
    /// Dropped after the contents of these directories.
    _parents: MadeDirectories,
}

impl LayoutDirectory {
    /// Returns the layout in `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Copies the blobs missing from the layout to a directory beside it, verified. The layout does not change.
    ///
    /// # Errors
    /// A blob that does not match its descriptor, and I/O errors.
    pub fn stage(&self, blobs: &[ImageBlob<'_>], cx: &ExportContext<'_>) -> Result<StagedLayout> {
        let (place, parents) = self.staging_place()?;
        let staging = ScratchDirectory::new_in(&place)?;
        let mut staged: Vec<Descriptor> = Vec::new();
        let mut seen = HashSet::new();
        for blob in blobs {
            let descriptor = &blob.descriptor;
            if !seen.insert(&descriptor.digest) {
                continue;
            }
            let task = blob.task(&cx.work().progress);
            if self.has(descriptor)? {
                if let Some(task) = task {
                    task.skipped("exists");
                }
                continue;
            }
            let path = staging.path().join(descriptor.digest.hex());
            let write = || -> Result<()> {
                let file = File::create_new(&path)?;
                let mut out = BufWriter::with_capacity(256 << 10, &file);
                copy(blob.provider.provider(), descriptor, &mut out, &cx.work().cancel, task.as_ref())?;
                out.flush()?;
                drop(out);
                file.set_permissions(PermissionsExt::from_mode(0o444))?;
                Ok(file.sync_all()?)
            };
            let written = write();
            written.attempt(|| format!("cannot write {} to {}", descriptor.digest, self.root.display()))?;
            staged.push(descriptor.clone());
            if let Some(task) = task {
                task.done("");
            }
        }
        let cancel = cx.work().cancel.clone();
        Ok(StagedLayout { layout: self.clone(), blobs: staged, staging, cancel, _parents: parents })
    }

    /// Returns a directory on the file system of the layout: the layout itself, or the parent in which it is created.
    fn staging_place(&self) -> Result<(PathBuf, MadeDirectories)> {
        let parent = directory_of(&self.root);
        if self.root.is_dir() {
            // A run that created the layout and died may have left its blobs there.
            remove_leftovers(parent);
            return Ok((self.root.clone(), MadeDirectories::default()));
        }
        Ok((parent.to_owned(), MadeDirectories::make(parent)?))
    }

    /// Returns whether the layout has a blob, of the right size: another size is left over from a crash.
    fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let path = self.blob_path(&descriptor.digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == descriptor.size),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).attempt(|| format!("cannot access {}", path.display())),
        }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.layout_path())
    }

    fn index(&self) -> Result<Index> {
        let path = self.root.join("index.json");
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Index::new(Vec::new())),
            metadata => metadata.attempt(|| format!("cannot access {}", path.display()))?.len(),
        };
        if length > MANIFEST_LIMIT {
            let message = format!("{} has {length} bytes, more than the limit of {MANIFEST_LIMIT}", path.display());
            return Err(Error::input(message));
        }
        let bytes = fs::read(&path).attempt(|| format!("cannot read {}", path.display()))?;
        parse_layout_index(&bytes).attempt(|| format!("cannot use {}", path.display()))
    }

    /// Fails if an existing layout cannot be written to: another version, an unreadable index, or something
    /// else in place of the blobs.
    ///
    /// # Errors
    /// An existing directory that is not a layout of version 1.
    pub fn check(&self) -> Result<()> {
        let blobs = self.root.join("blobs");
        if blobs.exists() && !blobs.is_dir() {
            return Err(Error::input(format!("{} is not a directory", blobs.display())));
        }
        self.index()?;
        let path = self.root.join("oci-layout");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).attempt(|| format!("cannot read {}", path.display())),
        };
        super::check_version(&text).attempt(|| format!("cannot use {}", path.display()))
    }

    fn write_document(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = ScratchFile::new_in(&self.root)?;
        let path = self.root.join(name);
        file.file().write_all(bytes).attempt(|| format!("cannot write {}", path.display()))?;
        file.persist(&path)
    }
}

impl StagedLayout {
    /// Moves the blobs into the layout and adds `entries` to its index, atomically. Returns where the layout is.
    ///
    /// A new layout appears atomically. Concurrent writers to the same layout lose nothing: the index is read,
    /// changed and replaced under a lock.
    ///
    /// # Errors
    /// The lock is held too long, or the run is cancelled meanwhile; I/O errors. The index is then unchanged.
    pub fn publish(self, entries: Vec<Descriptor>) -> Result<PathBuf> {
        let root = &self.layout.root;
        let publish = || if self.publish_new(&entries)? { Ok(()) } else { self.publish_into(entries) };
        let published = publish();
        published.attempt(|| format!("cannot write to the layout {}", root.display()))?;
        Ok(root.clone())
    }

    /// Creates the layout beside its place and renames it. Returns `false`, with nothing changed, if its place is
    /// taken, or the file system has no hard links.
    fn publish_new(&self, entries: &[Descriptor]) -> Result<bool> {
        let root = &self.layout.root;
        let Some(parent) = self.staging.path().parent().filter(|_| !root.exists()) else { return Ok(false) };
        let fresh = ScratchDirectory::new_in(parent)?;
        let layout = LayoutDirectory::new(fresh.path());
        // The staged blobs stay, too: another process may create the layout first.
        if self.fill(&layout, fs::hard_link).is_err() {
            return Ok(false);
        }
        // Later writers wait for this lock, like for that of an existing layout.
        let _lock = IndexLock::acquire(fresh.path(), PATIENCE, &self.cancel)?;
        layout.write_document("oci-layout", OCI_LAYOUT)?;
        let mut index = Index::new(Vec::new());
        names::merge(&mut index.manifests, entries.to_vec());
        layout.write_document("index.json", &json::compact(&index)?)?;
        // Like any new directory, it gets permissions by the umask.
        fs::set_permissions(fresh.path(), fs::metadata(fresh.path().join("blobs"))?.permissions())?;
        match fresh.persist_flushed(root) {
            Err(_) if root.exists() => Ok(false),
            persisted => persisted.map(|()| true),
        }
    }

    fn publish_into(&self, entries: Vec<Descriptor>) -> Result<()> {
        let root = &self.layout.root;
        let _made = MadeDirectories::make(root)?;
        // Publishing is not interrupted half-way: a late signal ends the wait, and nothing after it.
        let _lock = IndexLock::acquire(root, PATIENCE, &self.cancel)?;
        self.layout.check()?;
        let mut index = self.layout.index()?;
        names::merge(&mut index.manifests, entries);
        self.fill(&self.layout, fs::rename)?;
        if !root.join("oci-layout").exists() {
            self.layout.write_document("oci-layout", OCI_LAYOUT)?;
        }
        self.layout.write_document("index.json", &json::compact(&index)?)
    }

    /// Puts the blobs into `layout`, each with one call of `put`.
    fn fill(&self, layout: &LayoutDirectory, put: fn(PathBuf, PathBuf) -> io::Result<()>) -> Result<()> {
        let blobs = layout.root.join("blobs");
        // The specification requires the directory even without blobs.
        fs::create_dir_all(blobs.join("sha256"))?;
        for descriptor in &self.blobs {
            let to = layout.blob_path(&descriptor.digest);
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            put(self.staging.path().join(descriptor.digest.hex()), to)?;
        }
        for directory in fs::read_dir(&blobs)? {
            sync_directory(&directory?.path())?;
        }
        Ok(sync_directory(&blobs)?)
    }
}
