//! The database: one connection per process, any number of processes.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_content::{ScratchDirectory, lock_file};
use longshore_oci::{Context, Error, ErrorKind, Result};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::failure::{PRUNE, failed, located};
use crate::frozen::{self, Frozen};
use crate::schema;

/// How long a transaction waits for those of other processes, each of which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Database {
    path: PathBuf,
    open: Mutex<Open>,
}

struct Open {
    connection: Connection,
    access: Access,
    /// Dropped after the connection to it.
    _copy: Option<ScratchDirectory>,
}

/// How a database can be accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// This process may not write to it.
    Read,
    /// The disk is full.
    NoSpace,
}

impl Database {
    /// Opens the database of the store in `root`, creating it if it does not exist.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join("store.db");
        let connection = connect(root, &path).map_err(|error| located(error, &path))?;
        Ok(Self::new(path, Open { connection, access: Access::Write, _copy: None }))
    }

    /// Opens the database of a store read-only, because of `access`.
    pub(crate) fn read_only(root: &Path, access: Access) -> Result<Self> {
        let path = root.join("store.db");
        File::open(&path).attempt(|| format!("cannot read {}", path.display()))?;
        let open = open_frozen(&path, access).map_err(|error| located(error, &path))?;
        Ok(Self::new(path, open))
    }

    fn new(path: PathBuf, open: Open) -> Self {
        Self { path, open: Mutex::new(open) }
    }

    pub(crate) fn access(&self) -> Access {
        self.open.lock().access
    }

    /// Reads a database that a full disk keeps from changing, while no other process has it open; `None` if one has,
    /// or if the disk has space.
    pub(crate) fn read_alone<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<Option<T>> {
        let mut open = self.open.lock();
        if open.access != Access::NoSpace {
            return Ok(None);
        }
        let alone = || Ok(Open { connection: frozen::alone(&self.path)?, access: Access::NoSpace, _copy: None });
        if self.replace(&mut open, alone).is_err() {
            return Ok(None);
        }
        self.run(&mut open, TransactionBehavior::Deferred, work).map(Some)
    }

    /// Reopens a read-only database for writing, once there is room.
    pub(crate) fn reopen(&self, root: &Path) -> Result<()> {
        let connect = || Ok(Open { connection: connect(root, &self.path)?, access: Access::Write, _copy: None });
        let reopened = self.replace(&mut self.open.lock(), connect);
        reopened.map_err(|error| located(error, &self.path))
    }

    /// Reopens the database in another mode, after closing it; restores the previous one if that fails.
    fn replace(&self, open: &mut Open, other: impl FnOnce() -> Result<Open>) -> Result<()> {
        let access = open.access;
        open.connection = Connection::open_in_memory().map_err(failed)?;
        match other() {
            Ok(other) => *open = other,
            Err(error) => {
                *open = open_frozen(&self.path, access)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads a consistent state of the database.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run(&mut self.open.lock(), TransactionBehavior::Deferred, work)
    }

    /// Changes the database exclusively: no other process changes it, or the files of its rows, at the
    /// same time. On an error nothing changes.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.run(&mut *self.writable()?, TransactionBehavior::Immediate, work)
    }

    /// Changes the database and rolls it back, to see the result.
    pub(crate) fn rehearse<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut open = self.writable()?;
        let rehearse = || {
            let behavior = TransactionBehavior::Immediate;
            work(&open.connection.transaction_with_behavior(behavior).map_err(failed)?)
        };
        rehearse().map_err(|error| located(error, &self.path))
    }

    /// Fails if the database is read-only.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.writable().map(drop)
    }

    fn writable(&self) -> Result<MutexGuard<'_, Open>> {
        let open = self.open.lock();
        let root = self.path.parent().unwrap_or(&self.path).display();
        match open.access {
            Access::Write => Ok(open),
            Access::Read => {
                let error = Error::new(ErrorKind::Denied, format!("the store {root} cannot be written to"));
                Err(error.with_hint("choose another store"))
            }
            Access::NoSpace => {
                let message = format!("the store {root} cannot be written to: no space left on device");
                Err(Error::new(ErrorKind::NoSpace, message).with_hint(PRUNE))
            }
        }
    }

    fn run<T>(
        &self,
        open: &mut Open,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let run = || {
            let transaction = open.connection.transaction_with_behavior(behavior).map_err(failed)?;
            let done = work(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(done)
        };
        run().map_err(|error| located(error, &self.path))
    }
}

/// Opens the database at `path` read-only, because of `access`.
fn open_frozen(path: &Path, access: Access) -> Result<Open> {
    let Frozen { connection, copy } = match frozen::open(path, PATIENCE) {
        // Then a copy has no room either.
        Err(error) if access == Access::NoSpace => {
            Frozen { connection: frozen::alone(path).map_err(|_| error)?, copy: None }
        }
        opened => opened?,
    };
    schema::check(&connection)?;
    Ok(Open { connection, access, _copy: copy })
}

/// Opens the database at `path`, in the store in `root`, for writing.
fn connect(root: &Path, path: &Path) -> Result<Connection> {
    // If two processes switch a new database to a write-ahead log, one fails immediately
    // instead of waiting for the other.
    let lock_path = root.join("open.lock");
    let lock = File::create(&lock_path).and_then(|file| lock_file(&file).map(|()| file));
    let lock = lock.attempt(|| format!("cannot lock {}", lock_path.display()))?;
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    // Before the log exists, so that the file itself says whose it is.
    schema::mark(&connection)?;
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
    Ok(connection)
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
