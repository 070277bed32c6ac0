//! Directories with a `store.db` that is not that of a store, and stores that say so only by their tables.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use longshore_core::ErrorKind;
use longshore_core::content::{BlobMeta, ContentStore, ImageStore, StoredImage};
use longshore_core::oci::{Descriptor, MediaType};
use longshore_store::EmbeddedStore;
use rusqlite::Connection;

type Listing = BTreeMap<String, (SystemTime, Option<Vec<u8>>)>;

/// Everything in a directory, with its contents and times.
fn listing(root: &Path) -> Listing {
    let entry = |entry: fs::DirEntry| {
        let changed = entry.metadata().unwrap().modified().unwrap();
        (entry.file_name().into_string().unwrap(), (changed, fs::read(entry.path()).ok()))
    };
    fs::read_dir(root).unwrap().map(|found| entry(found.unwrap())).collect()
}

fn assert_refused(root: &Path, what: &str) {
    let before = listing(root);
    for error in [EmbeddedStore::open(root).err(), EmbeddedStore::open_existing(root).err()] {
        let error = error.unwrap_or_else(|| panic!("{what}: taken for a store"));
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{what}: {}", error.with_causes());
        let expected = format!(
            "cannot open the store {}: it is not an image store: its store.db is not that of longshore",
            root.display()
        );
        assert_eq!(error.with_causes(), expected, "{what}");
        let hint = format!("name an empty or a new directory, such as {}/longshore", root.display());
        assert_eq!(error.hint(), Some(hint.as_str()), "{what}");
    }
    assert_eq!(listing(root), before, "{what}: something was written");
}

/// `longshore images` put its tables into another program's database.
#[test]
fn the_database_of_another_program_is_not_touched() {
    let notes = "CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine');";
    for (what, setup) in [
        ("plain", notes.to_owned()),
        ("our version", format!("{notes} PRAGMA user_version = 1")),
        ("one table of ours", "CREATE TABLE images (name TEXT); PRAGMA user_version = 1".to_owned()),
        ("another version", format!("{notes} PRAGMA user_version = 30")),
        ("a mark of its own", format!("{notes} PRAGMA application_id = 1196444487")),
        ("a mark and no tables", "PRAGMA application_id = 1".to_owned()),
        ("with a log", format!("PRAGMA journal_mode = WAL; {notes}")),
        ("all in the log", format!("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {notes}")),
    ] {
        let place = tempfile::tempdir().unwrap();
        let connection = Connection::open(place.path().join("store.db")).unwrap();
        connection.execute_batch(&setup).unwrap();
        fs::write(place.path().join("letters"), "dear").unwrap();
        assert_refused(place.path(), &format!("{what}, in use"));
        let crashed = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(place.path()).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), crashed.path().join(entry.file_name())).unwrap();
        }
        assert_refused(crashed.path(), &format!("{what}, crashed"));
        drop(connection);
        assert_refused(place.path(), what);
    }
}

/// Directories were made first, and the message said "damaged".
#[test]
fn a_file_that_is_no_database_is_not_a_store() {
    let long = vec![b'x'; 5000];
    let header = [&b"SQLite format 3\0"[..], &[0; 84]].concat();
    for content in [&b"not a database"[..], b"SQLite format 3\0", &long, &header] {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("store.db"), content).unwrap();
        assert_refused(place.path(), &content.escape_ascii().to_string());
    }
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("store.db")).unwrap();
    assert_refused(place.path(), "a directory");
}

/// As a process leaves it that died when it had just begun to make a store.
#[test]
fn an_empty_database_is_room_for_a_store() {
    let place = tempfile::tempdir().unwrap();
    for empty in [true, false] {
        let root = place.path().join(empty.to_string());
        fs::create_dir(&root).unwrap();
        fs::write(root.join("store.db"), "").unwrap();
        if !empty {
            fs::write(root.join("letters"), "dear").unwrap();
        }
        let before = listing(&root);
        assert_eq!(EmbeddedStore::open_existing(&root).ok().map(|found| found.is_some()), empty.then_some(false));
        assert_eq!(listing(&root), before);
        assert_eq!(EmbeddedStore::open(&root).is_ok(), empty);
    }
}

fn made(root: &Path) -> EmbeddedStore {
    let store = EmbeddedStore::open(root).unwrap();
    let mut writer = store.ingest(None).unwrap();
    writer.write_all(b"manifest").unwrap();
    let digest = writer.commit(BlobMeta::default()).unwrap().digest;
    let image = StoredImage::new(Descriptor::new(MediaType::MANIFEST, digest, 8), Vec::new());
    store.tag(&[("app:1".parse().unwrap(), image)]).unwrap();
    store
}

fn mark(root: &Path) -> i64 {
    let database = Connection::open(root.join("store.db")).unwrap();
    database.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_store_that_was_made_without_a_mark_is_a_store() {
    let place = tempfile::tempdir().unwrap();
    drop(made(place.path()));
    let new = mark(place.path());
    let database = Connection::open(place.path().join("store.db")).unwrap();
    database.pragma_update(None, "application_id", 0).unwrap();
    drop(database);
    assert_eq!((new, mark(place.path())), (0x4c53_7374, 0));
    let store = EmbeddedStore::open_existing(place.path()).unwrap().unwrap();
    assert_eq!(store.images().unwrap().len(), 1);
    drop(store);
    assert_eq!(mark(place.path()), new);
}

/// Its tables are in the log alone, and its file has no mark.
#[test]
fn a_store_whose_first_process_was_killed_is_a_store() {
    let place = tempfile::tempdir().unwrap();
    let [live, killed] = ["live", "killed"].map(|name| place.path().join(name));
    let store = made(&live);
    fs::create_dir_all(killed.join("blobs/sha256")).unwrap();
    for file in ["store.db", "store.db-wal"] {
        fs::copy(live.join(file), killed.join(file)).unwrap();
    }
    let mut bytes = fs::read(killed.join("store.db")).unwrap();
    bytes[68..72].fill(0);
    fs::write(killed.join("store.db"), bytes).unwrap();
    let found = EmbeddedStore::open_existing(&killed).unwrap().unwrap();
    assert_eq!(found.images().unwrap(), store.images().unwrap());
}
