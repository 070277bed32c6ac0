//! Files whose lock shows that their process is alive.
//!
//! The kernel releases the lock when a process dies for any reason, which tells leftovers from files in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_oci::{Context, Error, Result};

use crate::entry::{is_still, open_leftover};

/// A file that is locked as long as this value lives, and removed on drop.
#[derive(Debug)]
pub struct LiveFile {
    /// Empty once the file is kept.
    path: PathBuf,
    file: Arc<File>,
}

impl LiveFile {
    /// Creates a file in `directory` with a unique name that begins with `prefix`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn create(directory: &Path, prefix: &str) -> Result<Self> {
        loop {
            let file = tempfile::Builder::new().prefix(prefix).tempfile_in(directory);
            let file = file.attempt(|| format!("cannot create a file in {}", directory.display()))?;
            let (file, path) = file.into_parts();
            // A collector may have removed it as a leftover before it was locked.
            if file.try_lock().is_ok() && is_still(&file, &path) {
                let path = path.keep().map_err(|error| Error::from(error.error))?;
                return Ok(Self { path, file: Arc::new(file) });
            }
        }
    }

    /// Opens the file at `path` for appending, and locks it; `None` if another process holds the lock.
    ///
    /// # Errors
    /// Those of opening it.
    pub(crate) fn open(path: PathBuf) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = match options.open(&path) {
            // The file of another user cannot be continued.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => return Ok(None),
            file => file.attempt(|| format!("cannot open {}", path.display()))?,
        };
        let is_ours = file.try_lock().is_ok() && is_still(&file, &path);
        if is_ours {
            return Ok(Some(Self { path, file: Arc::new(file) }));
        }
        Ok(None)
    }

    /// Locks the leftover file of a dead process; `None` if the process is alive or the file is missing.
    pub fn abandoned(path: &Path) -> Option<Self> {
        open_leftover(path).map(|file| Self { path: path.to_owned(), file: Arc::new(file) })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn remove(mut self) -> Result<()> {
        fs::remove_file(&self.path).attempt(|| format!("cannot remove {}", self.path.display()))?;
        self.path = PathBuf::new();
        Ok(())
    }

    /// Keeps the file. The lock is released with the returned file.
    pub fn keep(mut self) -> Arc<File> {
        self.path = PathBuf::new();
        self.file.clone()
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // A file that cannot be removed now is found as a leftover later.
            let _ = fs::remove_file(&self.path);
        }
    }
}
