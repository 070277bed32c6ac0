//! How progress is shown: the flags that all commands with progress have.

use clap::ValueEnum;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct ProgressArgs {
    /// Progress output on standard error
    #[arg(long, value_enum, default_value_t, value_name = "STYLE", conflicts_with = "quiet")]
    progress: ProgressStyle,

    /// Show errors only (as `--progress quiet`)
    #[arg(long, short)]
    quiet: bool,
}

impl ProgressArgs {
    /// Of a step inside another command.
    pub(crate) fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

    pub(crate) fn style(self) -> ProgressStyle {
        if self.quiet { ProgressStyle::Quiet } else { self.progress }
    }
}

/// A style of progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// `tty` on a terminal, else `plain`
    #[default]
    Auto,
    /// One bar per layer
    Tty,
    /// One line per step
    Plain,
    /// One JSON object per event
    #[value(alias = "rawjson")]
    Json,
    /// Errors only
    Quiet,
}
