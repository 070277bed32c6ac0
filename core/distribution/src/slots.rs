//! How much is sent to one host at the same time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use longshore_content::Cancel;
use longshore_oci::Result;
use parking_lot::{Condvar, Mutex};

/// Places for transfers.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(count: NonZeroUsize) -> Self {
        Self { free: Mutex::new(count.get()), freed: Condvar::new() }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// Only that someone asked to stop.
    pub(crate) fn take(self: &Arc<Self>, cancel: &Cancel) -> Result<Slot> {
        let slots = self.clone();
        let _wake = cancel.on_cancel(move || {
            // Whoever has checked and does not wait yet holds the lock, and is not missed.
            let _free = slots.free.lock();
            slots.freed.notify_all();
        });
        let mut free = self.free.lock();
        loop {
            cancel.check()?;
            if *free > 0 {
                *free -= 1;
                return Ok(Slot(self.clone()));
            }
            self.freed.wait(&mut free);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}
