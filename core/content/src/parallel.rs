//! Runs the same work on many items, several at a time.

use std::thread;

use longshore_oci::{ErrorKind, Result};
use parking_lot::Mutex;

use crate::cancel::Cancel;

/// Runs `work` on each item, started in order, on up to `threads` threads. The first failure or panic cancels the
/// others.
///
/// # Errors
/// That failure, not the cancellations that it caused.
pub fn for_each<T: Send>(
    items: Vec<T>,
    threads: usize,
    cancel: &Cancel,
    work: impl Fn(T) -> Result<()> + Sync,
) -> Result<()> {
    let threads = threads.min(items.len());
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().next();
    let run = || -> Result<()> {
        while let Some(item) = next() {
            cancel.check()?;
            let failing = cancel.on_drop();
            work(item)?;
            failing.disarm();
        }
        Ok(())
    };
    let mut results: Vec<Result<()>> = match threads {
        0 => Vec::new(),
        1 => vec![run()],
        _ => thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            threads.into_iter().map(|t| join(t).unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        }),
    };
    // Cancellations caused by another error come last, so that the error itself is returned.
    results.sort_by_key(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Cancelled));
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::Error;

    /// The others went on, and the caller waited for them.
    #[test]
    fn a_panic_cancels_the_other_items() {
        let cancel = Cancel::default();
        let work = |item: usize| {
            if item == 0 {
                panic!("on purpose");
            }
            let (sender, cancelled) = std::sync::mpsc::channel();
            let _listening = cancel.on_cancel(move || sender.send(()).unwrap());
            cancelled.recv_timeout(std::time::Duration::from_secs(60)).expect("it was not cancelled");
            Ok(())
        };
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| for_each(vec![0, 1], 2, &cancel, work)));
        assert_eq!(*ran.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    }

    #[test]
    fn the_failure_is_told_and_not_what_it_cancelled() {
        let cancel = Cancel::default();
        let work = |item: usize| match item {
            3 => Err(Error::input("three")),
            _ if cancel.is_cancelled() => Err(Error::cancelled()),
            _ => Ok(()),
        };
        for threads in [1, 2, 8] {
            let error = for_each((0..1000).collect(), threads, &cancel.child(), work).unwrap_err();
            assert_eq!(error.message(), "three", "{threads} threads");
        }
        assert!(for_each(Vec::<usize>::new(), 4, &Cancel::default(), work).is_ok());
    }
}
