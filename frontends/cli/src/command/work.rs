//! What a command works with, from its flags.

use std::num::NonZeroUsize;
use std::sync::Arc;

use longshore_core::{Budget, Progress, Result, Work};

use super::signals;
use crate::args::ProgressStyle;
use crate::progress::{self, Display};

/// Begins to show progress in `style`, and to listen to signals. With `jobs`, so many things are worked on
/// at the same time; else as many as there are processors.
pub(super) fn begin(style: ProgressStyle, jobs: Option<NonZeroUsize>) -> Result<(Arc<dyn Display>, Work)> {
    let cancel = signals::cancel_on_signal()?;
    let display = progress::start(style);
    let budget = jobs.map(Budget::new).unwrap_or_default();
    let work = Work::default().with_budget(budget).with_cancel(cancel).with_progress(Progress::new(display.clone()));
    Ok((display, work))
}
