//! Tar archives of other writers, and archives that no writer makes.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod blocks;
mod dialects;
mod ends;
mod errors;
mod listing;
mod mutations;
mod peers;
mod sequences;

use std::io::Read;

use longshore_core::archive::{Entry, Reader};
use longshore_core::{Error, Result};

/// All entries of an archive with their contents.
fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(Error::from)?;
        entries.push((entry, content));
    }
    reader.drain()?;
    Ok(entries)
}

/// The entries of an archive that is read.
fn entries(bytes: &[u8], what: &str) -> Vec<Entry> {
    let found = read(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    found.into_iter().map(|(entry, _)| entry).collect()
}

/// The error of an archive that is refused.
fn error(bytes: &[u8], what: &str) -> Error {
    match read(bytes) {
        Ok(entries) => panic!("{what}: read as {entries:?}"),
        Err(error) => error,
    }
}
