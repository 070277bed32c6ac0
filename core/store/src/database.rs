//! The database: one connection a process, any number of processes.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_content::ScratchDirectory;
use longshore_oci::{Context, Error, ErrorKind, Result};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::failure::failed;
use crate::frozen::{self, Frozen};
use crate::schema;

/// How long a transaction waits for those of other processes, each of which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Database {
    connection: Mutex<Connection>,
    /// The store, if it cannot be written to.
    read_only: Option<PathBuf>,
    /// Dropped after the connection to it.
    _copy: Option<ScratchDirectory>,
}

impl Database {
    pub(crate) fn open(root: &Path) -> Result<Self> {
        // Two processes that both turn a new database into one with a write-ahead log fail at once
        // instead of waiting for each other.
        let path = root.join("open.lock");
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
        let lock = lock.attempt(|| format!("cannot lock {}", path.display()))?;
        let mut connection = Connection::open(root.join("store.db")).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
        if mode != "wal" {
            let message = format!("{} is on a file system where processes cannot share memory", root.display());
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("use a directory on a local disk"));
        }
        for (pragma, value) in [("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection.pragma_update(None, pragma, value).map_err(failed)?;
        }
        schema::prepare(&mut connection)?;
        drop(lock);
        Ok(Self { connection: Mutex::new(connection), read_only: None, _copy: None })
    }

    /// Opens the database of a store that cannot be written to.
    pub(crate) fn read_only(root: &Path) -> Result<Self> {
        let path = root.join("store.db");
        File::open(&path).attempt(|| format!("cannot read {}", path.display()))?;
        let Frozen { connection, copy } = frozen::open(&path, PATIENCE)?;
        schema::check(&connection)?;
        Ok(Self { connection: Mutex::new(connection), read_only: Some(root.to_owned()), _copy: copy })
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.is_some()
    }

    fn check_writable(&self) -> Result<()> {
        match &self.read_only {
            Some(root) => {
                let message = format!("the store {} cannot be written to", root.display());
                Err(Error::new(ErrorKind::Denied, message).with_hint("choose another store with --store"))
            }
            None => Ok(()),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// Reads a state of the database that is consistent in itself.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run(TransactionBehavior::Deferred, work)
    }

    /// Changes the database, alone: no other process changes it, or the files it stands for, at the
    /// same time. What fails changes nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.check_writable()?;
        self.run(TransactionBehavior::Immediate, work)
    }

    /// Changes the database and takes all of it back: what would come of it.
    pub(crate) fn rehearse<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.check_writable()?;
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        work(&transaction)
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

/// Returns the time, in seconds since 1970. It determines the order of collection, never the contents of exports.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
