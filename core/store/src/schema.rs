//! The tables, their version, and reachability.

use std::collections::HashSet;

use longshore_oci::{Error, ErrorKind, Result};
use rusqlite::Connection;

use crate::failure::failed;

/// The version of [`TABLES`], in SQLite's `user_version`. A change of the tables raises it, and adds
/// the step from the previous one to [`prepare`].
pub(crate) const VERSION: i64 = 1;

/// SQLite's `application_id` of an image store: "LSst".
pub(crate) const APPLICATION_ID: i32 = 0x4c53_7374;

/// Digests are text, times are seconds since 1970, rows are in insertion order.
const TABLES: &str = "
    -- A blob is visible when it has a row. `used` is when a run last wrote or found it.
    CREATE TABLE blobs (
        digest TEXT PRIMARY KEY,
        size INTEGER NOT NULL,
        diff_id TEXT,
        used INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX blobs_of_layers ON blobs (diff_id) WHERE diff_id IS NOT NULL;
    -- What a manifest or an index refers to; it need not be there.
    CREATE TABLE edges (
        parent TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
        child TEXT NOT NULL,
        UNIQUE (parent, child)
    ) STRICT;
    CREATE TABLE made (
        digest TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
        encoder TEXT NOT NULL,
        newest INTEGER,
        UNIQUE (digest, encoder)
    ) STRICT;
    CREATE TABLE origins (
        digest TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
        registry TEXT NOT NULL,
        repository TEXT NOT NULL,
        UNIQUE (digest, registry, repository)
    ) STRICT;
    -- `root` and `referrers` are descriptors as JSON.
    CREATE TABLE images (
        name TEXT PRIMARY KEY,
        root TEXT NOT NULL,
        referrers TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- The digests of both, from which everything that a name keeps is reachable.
    CREATE TABLE roots (
        name TEXT NOT NULL REFERENCES images (name) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        PRIMARY KEY (name, digest)
    ) STRICT, WITHOUT ROWID;
    -- A lease lives as long as its file in `leases` is locked.
    CREATE TABLE leases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        file TEXT NOT NULL
    ) STRICT;
    CREATE TABLE leased (
        lease INTEGER NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        PRIMARY KEY (lease, digest)
    ) STRICT, WITHOUT ROWID;
    -- A snapshot is there when it has a row; its directory is `fs/<id>`. `size` is that of its files.
    CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        chain_id TEXT NOT NULL,
        -- Whether root made it, in the first user namespace.
        is_root INTEGER NOT NULL,
        parent TEXT,
        size INTEGER NOT NULL,
        UNIQUE (chain_id, is_root)
    ) STRICT;
    -- The uppermost snapshot of an image, by its configuration.
    CREATE TABLE unpacked (
        config TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
        chain_id TEXT NOT NULL,
        PRIMARY KEY (config, chain_id)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// Everything reachable from names and leases along the references.
pub(crate) const REACHABLE: &str = "
    WITH RECURSIVE reachable (digest) AS (
        SELECT digest FROM roots UNION SELECT digest FROM leased
        UNION SELECT child FROM edges JOIN reachable ON parent = reachable.digest
    )";

/// Marks a database as that of an image store. An unmarked store is recognised by its tables, so failing to mark it, as
/// on a full disk, is no error.
pub(crate) fn mark(connection: &Connection) -> Result<()> {
    let marked: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if marked != APPLICATION_ID {
        let done = connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed);
        if version(connection)? == 0 {
            return done;
        }
    }
    Ok(())
}

/// The tables of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    Missing,
    Ours,
    Others,
}

/// Determines whose tables a database has, which identifies its owner if it has no mark.
pub(crate) fn tables(connection: &Connection) -> Result<Tables> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let mut names = connection.prepare(names).map_err(failed)?;
    let names = names.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
    let names: HashSet<String> = names.collect::<Result<_, _>>().map_err(failed)?;
    let mut ours = TABLES.split("CREATE TABLE ").skip(1).filter_map(|table| table.split_whitespace().next());
    Ok(match version(connection)? {
        0 if names.is_empty() => Tables::Missing,
        VERSION if ours.all(|name| names.contains(name)) => Tables::Ours,
        _ => Tables::Others,
    })
}

/// Creates the tables of a new database, and refuses one created by a newer version.
pub(crate) fn prepare(connection: &mut Connection) -> Result<()> {
    if version(connection)? == 0 {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(TABLES).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    check(connection)
}

fn version(connection: &Connection) -> Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(failed)
}

/// Refuses a database created by a newer version, or one without tables.
pub(crate) fn check(connection: &Connection) -> Result<()> {
    match version(connection)? {
        VERSION => Ok(()),
        0 => Err(Error::new(ErrorKind::Unsupported, "store.db has no tables yet")),
        newer => {
            let message = format!("it has version {newer}, but this longshore supports only versions up to {VERSION}");
            Err(Error::new(ErrorKind::Unsupported, message).with_hint("use a newer longshore, or choose another store"))
        }
    }
}
