//! Exit codes.

use std::process::ExitCode;

use longshore_core::{Error, ErrorKind};

/// What the exit code of the command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    Input = 3,
    Environment = 4,
    Interrupted = 130,
}

/// The table of `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done
    1  another error
    2  a bad option or destination; nothing was exported
    3  a source that is missing, corrupt, or not what it should be
    4  no permission, no space, or something is busy or out of reach
  130  interrupted";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// The exit code for an error.
pub(crate) fn of(error: &anyhow::Error) -> Code {
    match error.downcast_ref::<Error>().map(Error::kind) {
        Some(ErrorKind::InvalidOption) => Code::Usage,
        Some(ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            Code::Input
        }
        Some(ErrorKind::Denied | ErrorKind::NoSpace | ErrorKind::Unavailable) => Code::Environment,
        Some(ErrorKind::Cancelled) => Code::Interrupted,
        _ => Code::Failed,
    }
}
