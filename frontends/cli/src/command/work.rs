//! Sets up progress, signals and concurrency for a command, from its flags.

use std::num::NonZeroUsize;
use std::sync::Arc;

use longshore_core::{Budget, Progress, Result, Work};

use super::signals;
use crate::args::ProgressStyle;
use crate::progress::{self, Display};

/// Starts to show progress in `style`, and to handle signals. Work runs in parallel on `jobs` threads, or by default
/// one per processor.
pub(super) fn begin(style: ProgressStyle, jobs: Option<NonZeroUsize>) -> Result<(Arc<dyn Display>, Work)> {
    let cancel = signals::cancel_on_signal()?;
    let display = progress::start(style);
    let budget = jobs.map(Budget::new).unwrap_or_default();
    let work = Work::default().with_budget(budget).with_cancel(cancel).with_progress(Progress::new(display.clone()));
    Ok((display, work))
}
