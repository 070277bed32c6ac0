//! The lock of a layout's index.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_content::Cancel;
use longshore_oci::{Context, Error, ErrorKind, Result};

/// The lock file. buildx locks the same file, so that both can write to a layout. It is never unlinked
/// here, because a lock on an unlinked file protects nothing.
const NAME: &str = "index.json.lock";

/// Holds the lock until it is dropped, or the process dies.
#[derive(Debug)]
pub(super) struct IndexLock(#[expect(dead_code, reason = "held for its lock")] File);

impl IndexLock {
    /// Waits for the lock of the layout in `root`, for at most `patience` and until the run is cancelled. The kernel
    /// serves waiting processes roughly in order.
    pub(super) fn acquire(root: &Path, patience: Duration, cancel: &Cancel) -> Result<Self> {
        let path = root.join(NAME);
        let deadline = Instant::now() + patience;
        loop {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            let file = options.open(&path).attempt(|| format!("cannot open {}", path.display()))?;
            let locked = match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(TryLockError::WouldBlock) => wait(file, deadline.saturating_duration_since(Instant::now()), cancel),
                Err(TryLockError::Error(error)) => Err(error.into()),
            };
            match locked.attempt(|| format!("cannot lock {}", path.display()))? {
                // buildx unlinks the file when it is done, so this lock may no longer protect anything.
                Some(file) if longshore_content::is_still(&file, &path) => return Ok(Self(file)),
                Some(_) => {}
                None => {
                    let seconds = patience.as_secs();
                    let message = format!("cannot lock {}: held by other processes for {seconds} s", path.display());
                    return Err(Error::new(ErrorKind::Unavailable, message).retryable());
                }
            }
        }
    }
}

/// Waits for the lock of `file`; `None` if that takes longer than `patience`. A thread cannot be woken from
/// waiting for a lock, so another thread waits, and releases the lock if it gets it too late.
fn wait(file: File, patience: Duration, cancel: &Cancel) -> Result<Option<File>> {
    let (sender, receiver) = mpsc::channel();
    let cancelled = sender.clone();
    thread::Builder::new().spawn(move || {
        let locked = longshore_content::lock_file(&file).map(|()| file);
        // Without a receiver the file is dropped, which releases the lock.
        let _ = sender.send(locked.map_err(Error::from));
    })?;
    let _listening = cancel.on_cancel(move || {
        let _ = cancelled.send(Err(Error::cancelled()));
    });
    receiver.recv_timeout(patience).ok().transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_not_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let acquire = || IndexLock::acquire(root.path(), Duration::from_millis(20), &Cancel::default());
        let held = acquire().unwrap();
        let error = acquire().unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
        drop(held);
        drop(acquire().unwrap());
        assert!(root.path().join(NAME).exists(), "the lock file is never unlinked");
    }

    /// Those who polled lost the lock again and again to those who came later.
    #[test]
    fn those_who_wait_are_not_overtaken() {
        let root = tempfile::tempdir().unwrap();
        let acquire = || IndexLock::acquire(root.path(), Duration::from_secs(600), &Cancel::default());
        let held = acquire().unwrap();
        let inode = format!(":{} ", std::os::unix::fs::MetadataExt::ino(&root.path().join(NAME).metadata().unwrap()));
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..20 {
                let (sender, acquire) = (sender.clone(), &acquire);
                scope.spawn(move || {
                    let lock = acquire().unwrap();
                    sender.send(number).unwrap();
                    drop(lock);
                });
                // Each is in the queue before the next one comes. Who waits has an arrow in proc_locks(5).
                let locks = || std::fs::read_to_string("/proc/locks").unwrap_or_default();
                let is_waiting = |line: &&str| line.contains("->") && line.contains(&inode);
                let until = Instant::now() + Duration::from_millis(500);
                while locks().lines().filter(is_waiting).count() <= number && Instant::now() < until {
                    thread::yield_now();
                }
            }
            drop(held);
        });
        drop(sender);
        let order: Vec<usize> = order.iter().collect();
        // Neighbours may change places while one of them is woken.
        let is_near = |(place, number): (usize, &usize)| place.abs_diff(*number) <= 2;
        assert!(order.len() == 20 && order.iter().enumerate().all(is_near), "{order:?}");
    }

    #[test]
    fn a_wait_that_was_given_up_takes_no_lock() {
        let root = tempfile::tempdir().unwrap();
        let acquire = |patience| IndexLock::acquire(root.path(), patience, &Cancel::default());
        let held = acquire(Duration::ZERO).unwrap();
        for _ in 0..5 {
            acquire(Duration::from_millis(5)).unwrap_err();
        }
        drop(held);
        // Those who gave up get the lock first, and let it go.
        drop(acquire(Duration::from_secs(600)).unwrap());
    }

    /// Nothing but a kill ended the wait, for minutes.
    #[test]
    fn a_cancelled_run_waits_for_no_lock() {
        let root = tempfile::tempdir().unwrap();
        let cancel = Cancel::default();
        let acquire = || IndexLock::acquire(root.path(), Duration::from_secs(600), &cancel);
        let held = acquire().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(acquire);
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            cancel.cancel();
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        });
        assert_eq!(acquire().unwrap_err().kind(), ErrorKind::Cancelled);
        drop(held);
        // What needs no wait is done: the index is replaced whole.
        let again = IndexLock::acquire(root.path(), Duration::from_secs(600), &Cancel::default());
        drop(again.unwrap());
        drop(acquire().unwrap());
    }
}
