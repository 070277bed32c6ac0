//! The database of a store that this process cannot write to.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_content::ScratchDirectory;
use longshore_oci::{Context, Result};
use rusqlite::{Connection, OpenFlags};

use crate::failure::failed;

/// A connection that only reads, and a copy of the database if it needs one.
pub(crate) struct Frozen {
    pub(crate) connection: Connection,
    pub(crate) copy: Option<ScratchDirectory>,
}

/// Opens the database at `path`. A database with a write-ahead log is read with the help of memory that processes
/// share, which is a file beside it: what cannot be made there has to be done without.
pub(crate) fn open(path: &Path, patience: Duration) -> Result<Frozen> {
    if let Ok(connection) = connect(path, "mode=ro", patience) {
        return Ok(Frozen { connection, copy: None });
    }
    let log = beside(path, "-wal");
    match fs::metadata(&log) {
        // The last process that wrote to it put everything into the database.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Frozen { connection: as_it_is(path)?, copy: None });
        }
        found => found.attempt(|| format!("cannot access {}", log.display()))?,
    };
    replayed(path)
}

/// Opens the database at `path` without its log, and writes nothing, not even beside it.
pub(crate) fn as_it_is(path: &Path) -> Result<Connection> {
    connect(path, "immutable=1", Duration::ZERO)
}

/// Replays the log of the database at `path` in a copy of both: a process died, or the directory is a copy.
pub(crate) fn replayed(path: &Path) -> Result<Frozen> {
    let log = beside(path, "-wal");
    let copy = ScratchDirectory::new_in(&std::env::temp_dir())?;
    let replayed = copy.path().join("store.db");
    for (from, to) in [(path, replayed.clone()), (&log, beside(&replayed, "-wal"))] {
        fs::copy(from, to).attempt(|| format!("cannot copy {}", from.display()))?;
    }
    let connection = Connection::open(&replayed).map_err(failed)?;
    Ok(Frozen { connection, copy: Some(copy) })
}

/// Opens the database at `path` with a log in the memory of this process, which needs no room on the disk. No other
/// process can have it open then.
pub(crate) fn alone(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(failed)?;
    for (pragma, value) in [("locking_mode", "EXCLUSIVE"), ("query_only", "ON")] {
        connection.pragma_update(None, pragma, value).map_err(failed)?;
    }
    connection.query_row("PRAGMA schema_version", [], |_| Ok(())).map_err(failed)?;
    Ok(connection)
}

fn connect(path: &Path, how: &str, patience: Duration) -> Result<Connection> {
    let escape = |byte: &u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let path: String = path.as_os_str().as_bytes().iter().map(escape).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{path}?{how}"), flags).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    // Opened only now.
    connection.query_row("PRAGMA schema_version", [], |_| Ok(())).map_err(failed)?;
    Ok(connection)
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
