//! Errors of SQLite as errors of Longshore.

use std::error::Error as StdError;
use std::fs::File;
use std::io;
use std::path::Path;

use longshore_oci::{Error, ErrorKind};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::room;

/// What to do on a full disk.
pub(crate) const PRUNE: &str = "prune the store, which removes what nothing needs";

/// What remains usable of a store with a damaged database.
const DAMAGED: &str = "store.db is damaged; the blobs beside it are files that are named by their digests";

/// Converts an error of SQLite. [`Database`](crate::database::Database) adds which file it is about.
pub(crate) fn failed(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::NoSpace,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => ErrorKind::Denied,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let failed = Error::new(kind, "SQLite failed").with_source(error);
    if kind == ErrorKind::Unavailable { failed.retryable() } else { failed }
}

/// Names the database in an error of SQLite; other errors are unchanged.
pub(crate) fn located(error: Error, database: &Path) -> Error {
    let Some(cause) = cause(&error) else { return error };
    let shown = database.display();
    let (kind, reason, hint) = match error.kind() {
        // SQLite does not say why it cannot create the shared-memory file beside the database.
        ErrorKind::Other | ErrorKind::Denied | ErrorKind::NoSpace if !room::is_left(database) => {
            (ErrorKind::NoSpace, "no space left on device".to_owned(), Some(PRUNE))
        }
        // SQLite also reports failing media this way.
        ErrorKind::Corrupt => match read_through(database) {
            Err(error) => (ErrorKind::Other, Error::from(error).message().to_owned(), None),
            Ok(()) if is_sound(database) => (ErrorKind::Other, "input/output error".to_owned(), None),
            Ok(()) => (ErrorKind::Corrupt, cause, Some(DAMAGED)),
        },
        kind => (kind, cause, None),
    };
    let located = Error::new(kind, format!("cannot use {shown}: {reason}"));
    let located = if error.is_retryable() { located.retryable() } else { located };
    match hint {
        Some(hint) => located.with_hint(hint),
        None => located,
    }
}

/// Returns SQLite's message, if an error comes from it.
fn cause(error: &Error) -> Option<String> {
    let mut next = StdError::source(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rusqlite::Error>() {
            return Some(found.to_string());
        }
        next = error.source();
    }
    None
}

/// Returns whether SQLite finds a database intact.
fn is_sound(database: &Path) -> bool {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let check = |connection: Connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.and_then(check).is_ok_and(|found: String| found == "ok")
}

fn read_through(path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::sink()).map(drop)
}

/// Returns the error for a damaged database of ours.
pub(crate) fn damaged(message: &str) -> Error {
    Error::corrupt(message).with_hint(DAMAGED)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    /// What comes of an error of SQLite about `database`.
    fn located_at(database: &Path, code: i32) -> (ErrorKind, String, bool) {
        let error = failed(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("what SQLite says".to_owned())));
        let located = located(error, database);
        let said = located.with_causes().replace(&database.display().to_string(), "PATH");
        (located.kind(), said, located.hint().is_some())
    }

    /// A read that failed was said to be damage, with a hint about it; no error said which database it was about.
    #[test]
    fn a_medium_that_fails_is_not_a_damaged_database() {
        let place = tempfile::tempdir().unwrap();
        let sound = place.path().join("sound.db");
        Connection::open(&sound).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let damaged = place.path().join("damaged.db");
        std::fs::write(&damaged, "not a database").unwrap();
        let said = |text: &str| format!("cannot use PATH: {text}");
        assert_eq!(located_at(&sound, ffi::SQLITE_CORRUPT), (ErrorKind::Other, said("input/output error"), false));
        let malformed = said("what SQLite says");
        assert_eq!(located_at(&damaged, ffi::SQLITE_CORRUPT), (ErrorKind::Corrupt, malformed, true));
        // A directory cannot be read as a file.
        assert_eq!(located_at(place.path(), ffi::SQLITE_CORRUPT), (ErrorKind::Other, said("is a directory"), false));
        let full = said("what SQLite says");
        assert_eq!(located_at(&sound, ffi::SQLITE_FULL), (ErrorKind::NoSpace, full, false));
        let other = located(Error::input("no such image").context("cannot look"), &sound);
        assert_eq!(other.with_causes(), "cannot look: no such image");
    }
}
