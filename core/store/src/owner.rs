//! Whose database a file is, determined without writing anything, not even beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use longshore_oci::{Context, Result};

use crate::frozen;
use crate::schema::{self, APPLICATION_ID, Tables, VERSION};

/// Whose database a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An image store.
    Store,
    /// No program yet: the database has no tables.
    Unclaimed,
    /// Another program.
    Other,
    /// Unknown: the file is not a database.
    Unknown,
}

/// The magic of a database (sqlite.org/fileformat2.html, "The Database Header").
const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: usize = 100;
const USER_VERSION: usize = 60;
const APPLICATION: usize = 68;

/// Determines whose database the file at `path` is.
///
/// # Errors
/// Those of reading it.
pub(crate) fn owner(path: &Path) -> Result<Owner> {
    let look = || format!("cannot look at {}", path.display());
    if !fs::metadata(path).attempt(look)?.is_file() {
        return Ok(Owner::Unknown);
    }
    let mut header = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEADER as u64).read_to_end(&mut header));
    read.attempt(|| format!("cannot read {}", path.display()))?;
    if header.is_empty() {
        return Ok(Owner::Unclaimed);
    }
    if header.len() < HEADER || !header.starts_with(MAGIC) {
        return Ok(Owner::Unknown);
    }
    match (number(&header, APPLICATION), i64::from(number(&header, USER_VERSION))) {
        (APPLICATION_ID, _) => Ok(Owner::Store),
        // Early stores have no application ID.
        (0, 0..=VERSION) => by_tables(path),
        _ => Ok(Owner::Other),
    }
}

fn number(header: &[u8], at: usize) -> i32 {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

/// The log holds all tables if the first process of the store is still alive, or was killed.
fn by_tables(path: &Path) -> Result<Owner> {
    let log = frozen::beside(path, "-wal");
    let has_log = match fs::metadata(&log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        found => found.attempt(|| format!("cannot look at {}", log.display()))?.len() > 0,
    };
    // A file that SQLite cannot read has none of our tables.
    let mut tables = frozen::as_it_is(path).and_then(|file| schema::tables(&file)).unwrap_or(Tables::Others);
    if tables == Tables::Missing && has_log {
        let replayed = frozen::replayed(path)?;
        tables = schema::tables(&replayed.connection).unwrap_or(Tables::Others);
    }
    Ok(match tables {
        Tables::Missing => Owner::Unclaimed,
        Tables::Ours => Owner::Store,
        Tables::Others => Owner::Other,
    })
}
