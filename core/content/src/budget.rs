//! The resources of a run: threads for leaf work, and bytes in flight.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;

use longshore_oci::{Error, Result};
use parking_lot::{Condvar, Mutex};

use crate::cancel::Cancel;
use crate::capacity::{Capacity, Permit};

/// Bytes in flight per thread of the pool: two layer blocks being processed, two queued.
const BYTES_PER_JOB: u64 = 16 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads for leaf work, and a budget of bytes. Clones share both.
///
/// Leaf work never waits for other work: it compresses or hashes a block in memory. So the pool cannot
/// deadlock, however many drivers feed it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    jobs: NonZeroUsize,
    bytes: Capacity,
    queue: Arc<Queue>,
    /// Started on the first use.
    threads: OnceLock<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    ready: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Budget {
    /// Creates a pool of `jobs` threads, with a proportional byte budget.
    pub fn new(jobs: NonZeroUsize) -> Self {
        let bytes = Capacity::new(BYTES_PER_JOB.saturating_mul(jobs.get() as u64));
        Self(Arc::new(Shared { jobs, bytes, queue: Arc::default(), threads: OnceLock::new() }))
    }

    /// Creates a pool with one thread per CPU available to this process.
    pub fn for_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Returns the number of threads of the pool.
    pub fn jobs(&self) -> NonZeroUsize {
        self.0.jobs
    }

    /// Runs leaf work on the pool. The receiver gets its result; it is disconnected if `work` panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.push(Box::new(move || {
            // A cancelled run drops the receiver.
            let _ = sender.send(work());
        }));
        receiver
    }

    /// Runs leaf work that is abandoned when `cancel` is set. The receiver then gets
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled) without waiting for work that has started; work that
    /// has not is dropped. It is disconnected if `work` panics.
    pub fn run_until<T: Send + 'static>(
        &self,
        cancel: &Cancel,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> mpsc::Receiver<Result<T>> {
        // Only the first of the two results counts: the channel has room for one.
        let (sender, receiver) = mpsc::sync_channel(1);
        let early = sender.clone();
        let guard = cancel.on_cancel(move || {
            let _ = early.try_send(Err(Error::cancelled()));
        });
        let cancel = cancel.clone();
        self.push(Box::new(move || {
            let _guard = guard;
            let result = cancel.check().and_then(|()| work());
            let _ = sender.try_send(result);
        }));
        receiver
    }

    fn push(&self, job: Job) {
        self.0.threads.get_or_init(|| {
            let spawn = |_| {
                let queue = self.0.queue.clone();
                std::thread::spawn(move || queue.work())
            };
            (0..self.0.jobs.get()).map(spawn).collect()
        });
        self.0.queue.push(job);
    }

    /// Waits until `bytes` are available, and holds them until the permit is dropped. A larger amount than the
    /// whole budget is capped to it.
    ///
    /// # Errors
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled), without further delay.
    pub fn acquire(&self, bytes: u64, cancel: &Cancel) -> Result<Permit> {
        self.0.bytes.acquire(bytes, cancel)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.state.lock().closed = true;
        self.queue.ready.notify_all();
        // The last holder of the budget may be leaf work itself: a dropped block of a failed run.
        let own = std::thread::current().id();
        for thread in self.threads.take().unwrap_or_default().into_iter().filter(|thread| thread.thread().id() != own) {
            // A panic in leaf work was reported to the receiver of its result.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
        self.ready.notify_one();
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // A panic drops the sender of the result; the thread lives on for other work.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                state = self.state.lock();
            } else if state.closed {
                return;
            } else {
                self.ready.wait(&mut state);
            }
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::for_this_machine()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("jobs", &self.0.jobs).field("bytes", &self.0.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::ErrorKind;

    #[test]
    fn results_come_back_and_a_panic_stops_nobody() {
        let budget = Budget::new(NonZeroUsize::MIN);
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let panicked = budget.run(|| panic!("on purpose"));
        let results: Vec<_> = (0..10).map(|i| budget.run(move || i * i)).collect();
        assert!(panicked.recv().is_err());
        std::panic::set_hook(quiet);
        assert_eq!(results.into_iter().map(|result| result.recv().unwrap()).sum::<i32>(), 285);
    }

    #[test]
    fn a_result_is_not_waited_for_once_it_is_cancelled() {
        let budget = Budget::new(NonZeroUsize::MIN);
        let cancel = Cancel::default();
        let (go, wait) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let under_way = budget.run_until(&cancel, move || {
            let _ = begin.send(());
            let _ = wait.recv();
            Ok(())
        });
        let queued = budget.run_until(&cancel, || -> Result<()> { panic!("it is dropped") });
        begun.recv().unwrap();
        cancel.cancel();
        let late = budget.run_until(&cancel, || -> Result<()> { panic!("it is dropped") });
        for receiver in [under_way, queued, late] {
            assert_eq!(receiver.recv().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        }
        drop(go);
        let again = budget.run_until(&Cancel::default(), || Ok(1));
        assert_eq!(again.recv().unwrap().unwrap(), 1);
    }

    #[test]
    fn the_last_to_hold_a_budget_may_be_work_of_its_own() {
        let budget = Budget::new(NonZeroUsize::new(2).unwrap());
        let (go, wait) = mpsc::channel::<()>();
        let held = budget.clone();
        let (done, ended) = mpsc::channel();
        drop(budget.run(move || {
            let _ = wait.recv();
            drop(held);
            let _ = done.send(());
        }));
        drop(budget);
        drop(go);
        ended.recv().unwrap();
    }

    /// The number of jobs is what a user asks for.
    #[test]
    fn a_budget_of_all_bytes_is_still_a_limit() {
        let budget = Budget::new(NonZeroUsize::MAX);
        let all = budget.acquire(u64::MAX, &Cancel::default()).unwrap();
        let cancel = Cancel::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.acquire(1, &cancel).map(drop));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!waiting.is_finished(), "more than all bytes");
            cancel.cancel();
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        });
        drop(all);
        assert!(budget.acquire(1, &Cancel::default()).is_ok());
    }

    #[test]
    fn waiting_for_bytes_ends_when_cancelled() {
        let budget = Budget::new(NonZeroUsize::MIN);
        let cancel = Cancel::default();
        let all = budget.acquire(u64::MAX, &cancel).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.acquire(1, &cancel).map(drop));
            cancel.cancel();
            assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        });
        drop(all);
        assert!(budget.acquire(u64::MAX, &Cancel::default()).is_ok());
    }
}
