//! Directory entries: whether one still names a file, and syncing them to disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Returns whether `path` still names the open file.
pub fn is_still(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (open, named) = (file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
    matches!((open, named), (Ok(open), Ok(named)) if open == named)
}

/// Opens and locks what a dead process left at `path`; `None` if its process is alive, or it cannot be opened.
pub(crate) fn open_leftover(path: &Path) -> Option<File> {
    // Someone else may have put a link or a pipe there.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    (file.try_lock().is_ok() && is_still(&file, path)).then_some(file)
}

/// Returns the directory that `path` is in; `.` for a name alone.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the nearest directory above `path`, or `path` itself, that exists.
pub fn existing_ancestor(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|above| above.exists())
        .filter(|above| !above.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Syncs a directory, so that the names in it survive a power loss.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Locks a file, and waits as long as another process has the lock, whatever signals come meanwhile.
pub fn lock_file(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}
