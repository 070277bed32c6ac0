//! Exit codes.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

use longshore_core::{Error, ErrorKind};

/// The meaning of an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Failed,
    Usage,
    Input,
    Environment,
    /// Ended by the signal with this number.
    Interrupted(u8),
}

/// The table of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  another error
    2  a bad option or destination; nothing was exported
    3  a source that is missing, corrupt or invalid
    4  no permission, no space, or a resource is busy or unreachable
  129  hangup (SIGHUP)
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)";

const SIGINT: u8 = 2;
/// The first signal to stop this process; 0 for none.
static SIGNAL: AtomicU8 = AtomicU8::new(0);

/// Records a signal to stop this process; returns false if it is not the first.
pub(crate) fn note_signal(signal: u8) -> bool {
    SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

impl Code {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Environment => 4,
            // As in shells.
            Self::Interrupted(signal) => 128 + signal,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// Returns the exit code for an error.
pub(crate) fn of(error: &anyhow::Error) -> Code {
    match error.downcast_ref::<Error>().map(Error::kind) {
        Some(ErrorKind::InvalidOption) => Code::Usage,
        Some(ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            Code::Input
        }
        Some(ErrorKind::Denied | ErrorKind::NoSpace | ErrorKind::Unavailable) => Code::Environment,
        Some(ErrorKind::Cancelled) => match SIGNAL.load(Ordering::SeqCst) {
            0 => Code::Interrupted(SIGINT),
            signal => Code::Interrupted(signal),
        },
        _ => Code::Failed,
    }
}
