//! Work: what every call of a run reports to, obeys and may use.

use std::num::NonZeroUsize;

use longshore_oci::Result;

use crate::budget::Budget;
use crate::cancel::Cancel;
use crate::progress::Progress;

/// What every call of a run reports to, obeys and may use. Clones share all three.
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
    /// Where to report what is under way.
    pub progress: Progress,
    /// What says when to stop; it is checked between blocks.
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

    /// Stops when `cancel` says so.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Uses these threads and bytes.
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// A part of this work that can be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        self.clone().with_cancel(self.cancel.child())
    }

    /// How many things may be worked on at the same time.
    pub fn jobs(&self) -> NonZeroUsize {
        self.budget.jobs()
    }

    /// Fails if someone asked to stop.
    ///
    /// # Errors
    /// [`Cancelled`](longshore_oci::ErrorKind::Cancelled).
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }
}
