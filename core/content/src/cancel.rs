//! Cancellation: a flag that wakes waiting threads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use longshore_oci::{Error, Result};
use parking_lot::{Mutex, MutexGuard};

/// Asks a run to stop. Clones share the flag.
///
/// Work checks it between blocks; code that blocks elsewhere (a socket, a lock, a child) registers a callback
/// that wakes it.
///
/// ```
/// use longshore_content::Cancel;
///
/// let run = Cancel::default();
/// let part = run.child();
/// part.cancel();
/// assert!(!run.is_cancelled(), "a child does not stop its parent");
/// run.cancel();
/// assert!(run.child().is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waiting: Mutex<Waiting>,
    /// The parent whose cancellation also applies, and the guard that keeps this child registered with it.
    parent: Option<(Cancel, Guard)>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    callbacks: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

/// Unregisters its callback when dropped.
#[must_use = "the callback is taken back when this is dropped"]
#[derive(Default)]
pub struct Guard(Option<(Cancel, u64)>);

/// Asks to stop when dropped, as by a panic, unless it is disarmed.
#[must_use = "it asks to stop when this is dropped"]
#[derive(Debug)]
pub struct CancelOnDrop<'a>(Option<&'a Cancel>);

impl CancelOnDrop<'_> {
    /// Lets the run go on.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(cancel) = self.0 {
            cancel.cancel();
        }
    }
}

impl Cancel {
    /// Asks to stop, and runs the callbacks on this thread. Further calls do nothing.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let callbacks = std::mem::take(&mut self.waiting().callbacks);
        callbacks.into_values().for_each(|callback| callback());
    }

    /// Returns whether cancellation was requested.
    pub fn is_cancelled(&self) -> bool {
        let by_parent = || self.0.parent.as_ref().is_some_and(|(parent, _)| parent.is_cancelled());
        self.0.cancelled.load(Ordering::SeqCst) || by_parent()
    }

    /// Fails if cancellation was requested.
    ///
    /// # Errors
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled).
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Runs `callback` on cancellation, immediately if it was already requested, unless the guard is dropped
    /// before.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Guard {
        let mut waiting = self.waiting();
        if self.is_cancelled() {
            drop(waiting);
            callback();
            return Guard(None);
        }
        let key = waiting.next;
        waiting.next += 1;
        waiting.callbacks.insert(key, Box::new(callback));
        Guard(Some((self.clone(), key)))
    }

    /// Asks to stop when what it returns is dropped before it is disarmed: work that fails or panics stops its
    /// siblings.
    ///
    /// ```
    /// use longshore_content::Cancel;
    ///
    /// let run = Cancel::default();
    /// run.on_drop().disarm();
    /// assert!(!run.is_cancelled());
    /// drop(run.on_drop());
    /// assert!(run.is_cancelled());
    /// ```
    pub fn on_drop(&self) -> CancelOnDrop<'_> {
        CancelOnDrop(Some(self))
    }

    /// Creates a flag that this one also sets, for a part of the run that can be stopped separately.
    pub fn child(&self) -> Self {
        Self(Arc::new_cyclic(|child: &Weak<State>| {
            let child = child.clone();
            let listening = self.on_cancel(move || {
                if let Some(state) = child.upgrade() {
                    Self(state).cancel();
                }
            });
            State { parent: Some((self.clone(), listening)), ..State::default() }
        }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock()
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((cancel, key)) = self.0.take() {
            cancel.waiting().callbacks.remove(&key);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn callbacks_run_once_and_only_while_guarded() {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = |amount| {
            let calls = calls.clone();
            move || {
                calls.fetch_add(amount, Ordering::SeqCst);
            }
        };
        let cancel = Cancel::default();
        let kept = cancel.on_cancel(count(1));
        drop(cancel.on_cancel(count(10)));
        let child = cancel.child();
        let below = child.on_cancel(count(100));
        cancel.cancel();
        cancel.cancel();
        let late = child.on_cancel(count(1000));
        assert_eq!(calls.load(Ordering::SeqCst), 1101);
        drop((kept, below, late));
    }
}
