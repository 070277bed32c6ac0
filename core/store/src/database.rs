//! The database: one connection a process, any number of processes.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_core::{Context, Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::schema;

/// How long a transaction waits for those of other processes, each of which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Database(Mutex<Connection>);

impl Database {
    pub(crate) fn open(root: &Path) -> Result<Self> {
        // Two processes that both turn a new database into one with a write-ahead log fail at once
        // instead of waiting for each other.
        let lock = File::create(root.join("open.lock")).attempt(|| "cannot lock it".to_owned())?;
        lock.lock()?;
        let mut connection = Connection::open(root.join("store.db")).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, pragma, value).map_err(failed)?;
        }
        schema::prepare(&mut connection)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a state of the database that is consistent in itself.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run(TransactionBehavior::Deferred, work)
    }

    /// Changes the database, alone: no other process changes it, or the files it stands for, at the
    /// same time. What fails changes nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run(TransactionBehavior::Immediate, work)
    }

    fn run<T>(&self, behavior: TransactionBehavior, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// An error of SQLite, in our kinds.
pub(crate) fn failed(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::NoSpace,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => ErrorKind::Denied,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let failed = Error::new(kind, "the database of the store").with_source(error);
    if kind == ErrorKind::Unavailable { failed.retryable() } else { failed }
}

/// The time, in seconds since 1970. It decides what is collected first, never what is exported.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
