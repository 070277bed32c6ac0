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

/// A read-only connection, and a copy of the database if it needs one.
pub(crate) struct Frozen {
    pub(crate) connection: Connection,
    pub(crate) copy: Option<ScratchDirectory>,
}

/// Opens the database at `path`. Reading one with a write-ahead log uses a shared-memory file beside it, and works
/// without where that file cannot be created.
pub(crate) fn open(path: &Path, patience: Duration) -> Result<Frozen> {
    if let Ok(connection) = connect(path, "mode=ro", patience) {
        return Ok(Frozen { connection, copy: None });
    }
    let log = beside(path, "-wal");
    match fs::metadata(&log) {
        // The last process that wrote to it checkpointed the log.
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

/// Replays the log of the database at `path` in a copy of both, left by a dead process or copied with the directory.
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

/// Opens the database at `path` with its log index in memory, which needs no disk space. No other process can have it
/// open then.
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
    // SQLite opens the file only now.
    connection.query_row("PRAGMA schema_version", [], |_| Ok(())).map_err(failed)?;
    Ok(connection)
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
