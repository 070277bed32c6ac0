//! Standard output, as far as commands print to it.

use std::io::{self, Write};

use longshore_core::{Context, Error, ErrorKind, Result, check_stdout};

/// Fails if what a command prints would be lost. This is for commands that do nothing else: others may be started with
/// standard output on `/dev/null`, which cannot be told from a closed one if it is open for reading too.
pub(crate) fn check() -> Result<()> {
    check_stdout().attempt(|| "cannot print".to_owned())
}

/// Writes `bytes`.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<()> {
    written(io::stdout().write_all(bytes.as_ref()))?;
    flush()
}

/// Writes what is still in memory.
pub(crate) fn flush() -> Result<()> {
    written(io::stdout().flush())
}

/// Names standard output in the error of writing to it.
pub(crate) fn written(result: io::Result<()>) -> Result<()> {
    result.map_err(|error| {
        let error = Error::from(error);
        // Such as a pipe without a reader.
        let kind = if error.kind() == ErrorKind::Other { ErrorKind::Unavailable } else { error.kind() };
        Error::new(kind, "cannot write to standard output").with_source(error)
    })
}
