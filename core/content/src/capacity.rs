//! Capacity: a limited amount that is acquired and released, with waiting when it is exhausted.

use std::sync::Arc;

use longshore_oci::Result;
use parking_lot::{Condvar, Mutex};

use crate::cancel::Cancel;

/// A limited amount: bytes in flight, or concurrent transfers. Clones share it.
#[derive(Debug, Clone)]
pub struct Capacity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// An acquired amount, released on drop.
#[derive(Debug)]
#[must_use = "the amount is free again once this is dropped"]
pub struct Permit {
    capacity: Capacity,
    amount: u64,
}

impl Capacity {
    /// Creates a capacity of `limit`, all of it available.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared { limit, used: Mutex::default(), freed: Condvar::new() }))
    }

    /// Waits until `amount` is available, and holds it until the permit is dropped. A larger amount is capped
    /// to the limit.
    ///
    /// # Errors
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled), without further delay.
    pub fn acquire(&self, amount: u64, cancel: &Cancel) -> Result<Permit> {
        let Shared { limit, used, freed } = &*self.0;
        let amount = amount.min(*limit);
        let waiting = self.0.clone();
        let _wake = cancel.on_cancel(move || {
            // A thread between its check of `cancel` and its wait holds the lock, so it cannot miss this.
            let _used = waiting.used.lock();
            waiting.freed.notify_all();
        });
        let mut used = used.lock();
        loop {
            cancel.check()?;
            if amount <= *limit - *used {
                *used += amount;
                return Ok(Permit { capacity: self.clone(), amount });
            }
            freed.wait(&mut used);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Shared { used, freed, .. } = &*self.capacity.0;
        *used.lock() -= self.amount;
        // Wake all: a thread that needs more, or was just cancelled, would not pass the wakeup on.
        freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::ErrorKind;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn no_more_than_the_limit_is_held() {
        let (capacity, held) = (Capacity::new(3), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for amount in [1, 2, 3, 4, 1, 2] {
                let (capacity, held) = (&capacity, &held);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let permit = capacity.acquire(amount, &Cancel::default()).unwrap();
                        assert!(held.fetch_add(permit.amount, Ordering::SeqCst) + permit.amount <= 3);
                        held.fetch_sub(permit.amount, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    /// A thread that is woken and cannot go on does not pass the wake-up to the next.
    #[test]
    fn a_large_amount_that_waits_first_holds_up_no_small_one() {
        const LONG: Duration = Duration::from_millis(100);
        let capacity = Capacity::new(3);
        let (kept, given_back) = (take(&capacity, 2), take(&capacity, 1));
        let cancel = Cancel::default();
        std::thread::scope(|scope| {
            let large = scope.spawn(|| capacity.acquire(3, &cancel).map(drop));
            std::thread::sleep(LONG);
            let (done, is_done) = mpsc::channel();
            let (small, until) = (Cancel::default(), capacity.clone());
            let stop = small.clone();
            scope.spawn(move || done.send(until.acquire(1, &small).is_ok()));
            std::thread::sleep(LONG);
            drop(given_back);
            let found = is_done.recv_timeout(20 * LONG);
            // Also where it fails, nothing is left waiting.
            stop.cancel();
            cancel.cancel();
            assert_eq!(large.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            assert_eq!(found, Ok(true), "one of three was free");
        });
        drop(kept);
    }

    fn take(capacity: &Capacity, amount: u64) -> Permit {
        capacity.acquire(amount, &Cancel::default()).unwrap()
    }
}
