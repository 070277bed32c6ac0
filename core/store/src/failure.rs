//! Errors of SQLite as errors of Longshore.

use longshore_oci::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// Returns an error of SQLite in our kinds, with a hint where one helps.
pub(crate) fn failed(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::NoSpace,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => ErrorKind::Denied,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let failed = Error::new(kind, "store.db cannot be used").with_source(error);
    match kind {
        ErrorKind::Unavailable => failed.retryable(),
        ErrorKind::Corrupt => {
            failed.with_hint("store.db is damaged; the blobs beside it are files named by their digests")
        }
        _ => failed,
    }
}
