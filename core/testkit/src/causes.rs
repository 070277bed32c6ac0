//! Errors as shown in the output of a test.

use std::error::Error;

/// Returns an error with all its causes, on one line.
pub(crate) fn full(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
