//! Errors as people read them in the output of a test.

use longshore_core::Error;

/// An error with all its causes, in one line.
pub(crate) fn full(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
