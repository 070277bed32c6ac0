//! The lock of a layout's index.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use longshore_oci::{Context, Error, ErrorKind, Result};

/// The lock file. buildx locks the same one, so that both can write to a layout; it is never unlinked
/// here, because a lock on an unlinked file excludes nobody.
const NAME: &str = "index.json.lock";

/// Holds the lock until it is dropped, or the process dies.
#[derive(Debug)]
pub(super) struct IndexLock(#[expect(dead_code, reason = "held for its lock")] File);

impl IndexLock {
    /// Waits for the lock of the layout in `root`, for at most `patience`.
    pub(super) fn acquire(root: &Path, patience: Duration) -> Result<Self> {
        let path = root.join(NAME);
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        loop {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            let file = options.open(&path).attempt(|| format!("cannot open {}", path.display()))?;
            match file.try_lock() {
                // buildx unlinks the file when it is done: what we hold may be nobody's lock by now.
                Ok(()) if longshore_content::is_still(&file, &path) => return Ok(Self(file)),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).attempt(|| format!("cannot lock {}", path.display()));
                }
            }
            if Instant::now() >= deadline {
                let seconds = patience.as_secs();
                let message = format!("cannot lock {}: held by another process for {seconds} s", path.display());
                return Err(Error::new(ErrorKind::Unavailable, message).retryable());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_not_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let acquire = || IndexLock::acquire(root.path(), Duration::from_millis(20));
        let held = acquire().unwrap();
        let error = acquire().unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
        drop(held);
        drop(acquire().unwrap());
        assert!(root.path().join(NAME).exists(), "the lock file is never unlinked");
    }
}
