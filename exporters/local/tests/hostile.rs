//! What others may have put into an image, or into the directory that it is exported to.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod fixture;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use fixture::{Place, image_with};
use longshore_core::archive::{Entry, EntryKind};

/// The record that a killed run of `unpack` leaves, about `data`.
fn forged(place: &Place) -> String {
    let inode = fs::metadata(place.path("out/data")).unwrap().ino();
    format!("longshore: moved here\0{inode} data\0")
}

/// An image could tell the next run to remove a directory beside it.
#[test]
fn a_file_of_an_image_is_no_record_of_an_interrupted_run() {
    let place = Place::new();
    place.write("out/data/vital", "mine");
    let record = forged(&place);
    let names = [".longshore-tmp-list-evil", ".longshore-tmp-evil", "sub/.longshore-tmp-list-evil"];
    let mut entries: Vec<_> =
        names.iter().map(|name| (Entry::file(*name, 0o600, record.len() as u64), &*record)).collect();
    entries.push((Entry::new(".longshore-tmp-directory", EntryKind::Directory, 0o700), ""));
    entries.push((Entry::file(".longshore-tmp-directory/below", 0o600, 1), "x"));
    entries.push((Entry { link: b".longshore-tmp-evil".to_vec(), ..Entry::new("link", EntryKind::HardLink, 0) }, ""));
    entries.push((Entry::file("z", 0o600, 1), "z"));
    for _ in 0..2 {
        place.try_export(image_with(&entries), "").unwrap();
        assert_eq!(place.names(""), ["data", "link", "sub", "z"]);
        assert_eq!((place.read("out/link"), place.names("sub").len()), (record.clone(), 0));
        assert_eq!(place.read("out/data/vital"), "mine");
    }
}

/// In a directory such as /tmp, anyone can leave a file for root to find.
#[test]
fn a_record_of_another_user_is_not_believed() {
    let place = Place::new();
    place.write("tree/a", "1");
    place.write("out/data/vital", "mine");
    let record = place.path("out/.longshore-tmp-list-evil");
    fs::write(&record, forged(&place)).unwrap();
    fs::set_permissions(&record, PermissionsExt::from_mode(0o644)).unwrap();
    let exported = place.try_export_leaving(place.image("tree"), "");
    exported.unwrap();
    assert_eq!(place.read("out/data/vital"), "mine");
    assert!(record.exists());
}
