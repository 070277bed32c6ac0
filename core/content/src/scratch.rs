//! Temporary files and directories beside a destination, which are cleaned up even after a crash.
//!
//! Each is locked by the process that created it. The kernel releases the lock when that process dies, so the
//! next run beside the same destination detects leftovers and removes them.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use longshore_oci::{Context, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::descend::remove_tree;
use crate::entry::{directory_of, is_still, lock_file, open_leftover, sync_directory};

/// The prefix of every temporary name.
pub const SCRATCH_PREFIX: &str = ".longshore-tmp-";
/// The prefix of the temporary names of records: what the next run reads if this one is killed. Only what reads them
/// removes them.
pub const RECORD_PREFIX: &str = ".longshore-tmp-list-";

/// Removes every temporary file and directory of this process.
///
/// For programs about to exit without joining their threads, as after a signal; a write in progress fails.
/// Missed files are left to the next run beside the same destination.
pub fn discard_scratch() {
    for path in std::mem::take(&mut *present()) {
        let _ = remove_tree(&path);
    }
}

/// Returns the registered temporary paths.
fn present() -> MutexGuard<'static, Vec<PathBuf>> {
    static PRESENT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    PRESENT.lock()
}

/// Lists a path for [`discard_scratch`] until it is dropped.
#[derive(Debug)]
struct Listed(PathBuf);

impl Listed {
    fn new(path: &Path) -> Self {
        present().push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        present().retain(|path| *path != self.0);
    }
}

/// Directories created for a destination, which are removed again if they stay empty.
#[derive(Debug, Default)]
pub struct MadeDirectories(Vec<PathBuf>);

impl MadeDirectories {
    /// Creates `directory` and its missing parents, and syncs their names to disk.
    ///
    /// # Errors
    /// I/O errors.
    pub fn make(directory: &Path) -> Result<Self> {
        Self::make_with_mode(directory, 0o777)
    }

    /// As [`make`](Self::make), with this mode, subject to the umask.
    ///
    /// # Errors
    /// I/O errors.
    pub fn make_with_mode(directory: &Path, mode: u32) -> Result<Self> {
        let missing = directory.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
        let missing = Self(missing.map(Path::to_path_buf).collect());
        let make = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(mode).create(directory)?;
            for made in missing.0.iter().rev() {
                sync_directory(directory_of(made))?;
            }
            Ok(())
        };
        make().attempt(|| format!("cannot create {}", directory.display()))?;
        Ok(missing)
    }

    /// Keeps them, even if they are empty.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadeDirectories {
    fn drop(&mut self) {
        for directory in &self.0 {
            // A directory in use is not empty, so it cannot be removed.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A temporary file that replaces a destination, or is removed.
#[derive(Debug)]
pub struct ScratchFile {
    file: tempfile::NamedTempFile,
    #[expect(dead_code, reason = "held for what its drop does")]
    listed: Listed,
}

impl ScratchFile {
    /// Creates a file in `directory`, within which it will be renamed.
    ///
    /// # Errors
    /// I/O errors.
    pub fn new_in(directory: &Path) -> Result<Self> {
        remove_leftovers(directory);
        // Permissions of a new file: subject to the umask.
        let open = |path: &Path| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path)?;
            lock(file, path)
        };
        let file = tempfile::Builder::new().prefix(SCRATCH_PREFIX).make_in(directory, open);
        let file = file.attempt(|| format!("cannot create a file in {}", directory.display()))?;
        Ok(Self { listed: Listed::new(file.path()), file })
    }

    /// Returns the file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Syncs the file and replaces `destination`. An existing file keeps its mode.
    ///
    /// # Errors
    /// I/O errors.
    pub fn persist(self, destination: &Path) -> Result<()> {
        let persist = || -> io::Result<()> {
            if let Ok(existing) = fs::metadata(destination) {
                self.file.as_file().set_permissions(existing.permissions())?;
            }
            self.file.as_file().sync_all()?;
            self.file.persist(destination)?;
            sync_directory(directory_of(destination))
        };
        persist().attempt(|| format!("cannot write {}", destination.display()))
    }
}

/// A temporary directory, removed with its contents on drop, or after its process dies.
#[derive(Debug)]
pub struct ScratchDirectory {
    /// Empty once the directory has been renamed.
    path: PathBuf,
    #[expect(dead_code, reason = "held for what their drops do")]
    held: (File, Listed),
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Leftovers are removed by the next run beside the same destination.
            let _ = remove_tree(&self.path);
        }
    }
}

impl ScratchDirectory {
    /// Creates a directory in `parent`, and removes leftovers of dead processes there.
    ///
    /// # Errors
    /// I/O errors.
    pub fn new_in(parent: &Path) -> Result<Self> {
        remove_leftovers(parent);
        let make = || -> io::Result<Self> {
            loop {
                let private = PermissionsExt::from_mode(0o700);
                let directory =
                    tempfile::Builder::new().prefix(SCRATCH_PREFIX).permissions(private).tempdir_in(parent)?;
                match File::open(directory.path()).and_then(|file| lock(file, directory.path())) {
                    Ok(lock) => {
                        let path = directory.keep();
                        return Ok(Self { held: (lock, Listed::new(&path)), path });
                    }
                    // A collector removed it as a leftover before it was locked.
                    Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        };
        make().attempt(|| format!("cannot create a directory in {}", parent.display()))
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with everything in it.
    ///
    /// # Errors
    /// Those of the medium. What is left goes with a later run beside the same destination.
    pub fn remove(mut self) -> Result<()> {
        remove_tree(&self.path).attempt(|| format!("cannot remove {}", self.path.display()))?;
        self.path = PathBuf::new();
        Ok(())
    }

    /// Syncs its contents and renames it to `destination`, which must be missing and in the same directory.
    ///
    /// # Errors
    /// I/O errors; an existing `destination`.
    pub fn persist(self, destination: &Path) -> Result<()> {
        let flushed = File::open(&self.path).and_then(|root| Ok(rustix::fs::syncfs(root)?));
        flushed.attempt(|| format!("cannot create {}", destination.display()))?;
        self.persist_flushed(destination)
    }

    /// As [`persist`](Self::persist), for a directory whose contents the caller has synced.
    ///
    /// # Errors
    /// As [`persist`](Self::persist).
    pub fn persist_flushed(mut self, destination: &Path) -> Result<()> {
        let mut persist = || -> io::Result<()> {
            sync_directory(&self.path)?;
            fs::rename(&self.path, destination)?;
            self.path = PathBuf::new();
            sync_directory(directory_of(destination))
        };
        persist().attempt(|| format!("cannot create {}", destination.display()))
    }
}

/// Locks what was just created. Returns `AlreadyExists`, meaning "choose another name", if a collector
/// mistook it for a leftover before it was locked.
fn lock(file: File, path: &Path) -> io::Result<File> {
    lock_file(&file)?;
    if is_still(&file, path) { Ok(file) } else { Err(io::ErrorKind::AlreadyExists.into()) }
}

/// Returns whether a name is that of one of Longshore's temporary files or directories.
pub fn is_scratch(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(SCRATCH_PREFIX.as_bytes())
}

/// Returns whether a name is that of a record.
pub fn is_record(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(RECORD_PREFIX.as_bytes())
}

/// Removes leftover temporary files and directories of dead processes in `directory`, but not records. Those that cannot
/// be removed stay.
pub fn remove_leftovers(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let is_leftover = |name: &OsStr| is_scratch(name) && !is_record(name);
    let leftovers = entries.flatten().filter(|entry| is_leftover(&entry.file_name()));
    for path in leftovers.map(|entry| entry.path()).collect::<Vec<PathBuf>>() {
        // The lock is held until it is gone.
        if let Some(_locked) = open_leftover(&path) {
            let _ = remove_tree(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_dead_processes_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir_all(parent.path().join(format!("{SCRATCH_PREFIX}dead/blobs"))).unwrap();
        fs::write(parent.path().join(format!("{SCRATCH_PREFIX}dead-file")), "x").unwrap();
        fs::write(parent.path().join("theirs"), "x").unwrap();
        let record = parent.path().join(format!("{RECORD_PREFIX}dead"));
        fs::write(&record, "x").unwrap();
        let alive = ScratchDirectory::new_in(parent.path()).unwrap();
        let also_alive = ScratchFile::new_in(parent.path()).unwrap();
        assert_eq!(names(parent.path()).len(), 4);
        assert!(alive.path().exists() && is_scratch(record.file_name().unwrap()));
        fs::remove_file(record).unwrap();
        drop((alive, also_alive));
        assert_eq!(names(parent.path()), ["theirs"]);
    }

    /// A collector removed directories that were made and not locked yet, and their makers gave up.
    #[test]
    fn makers_and_collectors_do_not_disturb_each_other() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let directory = ScratchDirectory::new_in(parent.path()).unwrap();
                        let mut file = ScratchFile::new_in(parent.path()).unwrap();
                        fs::write(directory.path().join("blob"), "x").unwrap();
                        file.file().write_all(b"x").unwrap();
                    }
                });
            }
        });
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn a_destination_keeps_its_mode() {
        let parent = tempfile::tempdir().unwrap();
        let destination = parent.path().join("a.tar");
        fs::write(&destination, "old").unwrap();
        fs::set_permissions(&destination, PermissionsExt::from_mode(0o640)).unwrap();
        let mut file = ScratchFile::new_in(parent.path()).unwrap();
        file.file().write_all(b"new").unwrap();
        file.persist(&destination).unwrap();
        assert_eq!(fs::read(&destination).unwrap(), b"new");
        assert_eq!(fs::metadata(&destination).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
