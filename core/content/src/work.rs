//! Work: the progress, cancellation and budget of every call of a run.

use std::num::NonZeroUsize;

use longshore_oci::Result;

use crate::budget::Budget;
use crate::cancel::Cancel;
use crate::progress::Progress;

/// The progress, cancellation and budget of every call of a run. Clones share all three.
///
/// ```
/// use longshore_content::{Cancel, Work};
///
/// let cancel = Cancel::default();
/// let work = Work::default().with_cancel(cancel.clone());
/// cancel.cancel();
/// assert!(work.check().is_err());
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Work {
    /// Receives progress reports.
    pub progress: Progress,
    /// Cancels the work; checked between blocks.
    pub cancel: Cancel,
    /// Threads for leaf work, and bytes in flight.
    pub budget: Budget,
}

impl Work {
    /// Reports to `progress`.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Uses `cancel` for cancellation.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Uses `budget` for threads and bytes in flight.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Returns a part of this work that can be cancelled separately.
    #[must_use]
    pub fn child(&self) -> Self {
        self.clone().with_cancel(self.cancel.child())
    }

    /// Returns the number of concurrent jobs.
    pub fn jobs(&self) -> NonZeroUsize {
        self.budget.jobs()
    }

    /// Fails if cancellation was requested.
    ///
    /// # Errors
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled).
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }
}
