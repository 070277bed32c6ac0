//! What is at a path: a store, a place for a new one, or something else.

use std::fs;
use std::io;
use std::path::Path;

use longshore_content::existing_ancestor;
use longshore_oci::{Context, Error, Result};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use crate::failure::damaged;
use crate::owner::{Owner, owner};

/// Entries at the root of a complete or partly created store, or of a file system.
const OWN: [&str; 11] = [
    "blobs",
    "ingest",
    "leases",
    "fs",
    "open.lock",
    "ballast",
    "store.db",
    "store.db-journal",
    "store.db-wal",
    "store.db-shm",
    "lost+found",
];

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Store,
    /// A store that this process cannot write to.
    ReadOnlyStore,
    /// Nothing, or an empty directory.
    Vacant,
}

/// Looks at `root`, and refuses a file or a directory with anything but a store. Nothing is written.
pub(crate) fn look(root: &Path) -> Result<Place> {
    check_directory(root)?;
    match fs::metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::Vacant),
        found => found?,
    };
    let database = root.join("store.db");
    match fs::metadata(&database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_vacant(root).map(|()| Place::Vacant),
        found => {
            found.attempt(|| format!("cannot access {}", database.display()))?;
            match owner(&database)? {
                Owner::Store => {
                    let is_read_only = is_read_only(root)? || is_read_only(&database)?;
                    Ok(if is_read_only { Place::ReadOnlyStore } else { Place::Store })
                }
                Owner::Unclaimed => check_vacant(root).map(|()| Place::Vacant),
                Owner::Unknown if is_made(root) => Err(damaged("store.db is not a database")),
                Owner::Other | Owner::Unknown => Err(foreign(root)),
            }
        }
    }
}

/// Returns whether a store is in the directory `root`, as far as this process may look. Nothing is written.
pub fn is_store(root: &Path) -> bool {
    matches!(look(root), Ok(Place::Store | Place::ReadOnlyStore))
}

/// Refuses a path that is not a directory, or is below a file.
pub(crate) fn check_directory(root: &Path) -> Result<()> {
    const HINT: &str = "name a directory for the image store";
    match fs::metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let above = existing_ancestor(root);
            Err(Error::option(format!("{} is not a directory", above.display())).with_hint(HINT))
        }
        Ok(found) if !found.is_dir() => Err(Error::option("it is not a directory").with_hint(HINT)),
        _ => Ok(()),
    }
}

/// Returns whether a store was created in `root`, whatever the state of its database.
fn is_made(root: &Path) -> bool {
    ["blobs", "leases", "open.lock"].iter().all(|own| root.join(own).exists())
}

/// Returns the error for a directory with another program's database, or something else in its place.
fn foreign(root: &Path) -> Error {
    let message = "it is not an image store: its store.db is not that of longshore";
    let new = root.join("longshore");
    Error::option(message).with_hint(format!("name an empty or a new directory, such as {}", new.display()))
}

/// A new store would scatter its files among existing ones.
fn check_vacant(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).attempt(|| format!("cannot list {}", root.display()))? {
        let name = entry?.file_name();
        if !OWN.iter().any(|own| **own == *name) {
            let message = format!("it is not an image store, but contains other files, such as {}", name.display());
            let hint = format!("use a new or empty directory, such as {}", root.join("longshore").display());
            return Err(Error::option(message).with_hint(hint));
        }
    }
    Ok(())
}

fn is_read_only(path: &Path) -> Result<bool> {
    match accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(false),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(true),
        Err(error) => Err(error).attempt(|| format!("cannot access {}", path.display())),
    }
}
