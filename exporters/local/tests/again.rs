//! Into a directory that has files: of an earlier export, or of someone who works in it meanwhile.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod fixture;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use fixture::{Place, image_with};
use longshore_core::Work;
use longshore_core::archive::{Entry, EntryKind};
use longshore_core::files::{FilesDirectory, StagedFiles};

/// A rename over another name of the same link does nothing, and the temporary name stayed.
#[test]
fn links_with_several_names_are_written_again() {
    let place = Place::new();
    symlink("x", place.path("tree/a")).unwrap();
    fs::hard_link(place.path("tree/a"), place.path("tree/b")).unwrap();
    place.write("tree/c", "c");
    fs::hard_link(place.path("tree/c"), place.path("tree/d")).unwrap();
    symlink("y", place.path("tree/z")).unwrap();
    for _ in 0..3 {
        place.export("");
        let inode = |name: &str| place.path(name).symlink_metadata().unwrap().ino();
        assert_eq!((inode("out/a"), inode("out/c")), (inode("out/b"), inode("out/d")));
        assert_eq!(place.names(""), ["a", "b", "c", "d", "z"]);
    }
}

/// `usr` got root's 0755 where the image has it for its owner alone.
#[test]
fn directories_above_what_is_included_again_keep_their_attributes() {
    let place = Place::new();
    let entry = |path: &str, mode| Entry { uid: 5, mtime: 77, ..Entry::new(path, EntryKind::Directory, mode) };
    let entries = [
        (entry("usr", 0o700), ""),
        (entry("usr/bin", 0o710), ""),
        (Entry::file("usr/bin/other", 0o644, 1), "o"),
        (Entry::file("usr/bin/tool", 0o755, 1), "t"),
    ];
    place.try_export(image_with(&entries), "\"exclude=usr,!usr/bin/tool\"").unwrap();
    let found = |path: &str| place.path(path).metadata().map(|found| (found.mode() & 0o7777, found.mtime())).unwrap();
    assert_eq!((found("out/usr"), found("out/usr/bin")), ((0o700, 77), (0o710, 77)));
    assert_eq!(place.names("usr/bin"), ["tool"]);
}

#[test]
fn a_new_directory_has_the_group_of_its_parent() {
    let place = Place::new();
    place.write("tree/a", "a");
    fs::set_permissions(place.0.path(), PermissionsExt::from_mode(0o2775)).unwrap();
    fs::create_dir(place.path("made")).unwrap();
    place.export("");
    let mode = |name: &str| place.path(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("out"), mode("made"));
}

fn staged(place: &Place, deletes: bool, work: &Work) -> StagedFiles {
    let directory = FilesDirectory::new(place.path("out")).with_delete(deletes, false);
    let staged = directory.stage(work, |visit| {
        visit(&Entry::file("a", 0o644, 3), &mut &b"new"[..])?;
        visit(&Entry::file("b", 0o644, 3), &mut &b"new"[..])
    });
    staged.unwrap()
}

/// They were removed, though nobody had allowed that, or counted as files of exports.
#[test]
fn files_that_come_while_others_are_staged_stay_those_of_their_owner() {
    let place = Place::new();
    place.write("tree/a", "old");
    place.export("");
    let staging = staged(&place, true, &Work::default());
    place.write("out/theirs", "theirs");
    let error = staging.publish(&Work::default()).unwrap_err().with_causes();
    assert!(error.contains("files were added to it meanwhile"), "{error}");
    assert_eq!((place.read("out/a"), place.read("out/theirs")), ("old".to_owned(), "theirs".to_owned()));
    fs::remove_file(place.path("out/theirs")).unwrap();
    let staging = staged(&place, false, &Work::default());
    place.write("out/theirs", "theirs");
    staging.publish(&Work::default()).unwrap();
    assert_eq!((place.read("out/a"), place.read("out/theirs")), ("new".to_owned(), "theirs".to_owned()));
    assert!(place.refusal("mode=delete").contains("has files that no export put there"));
}

/// Half of the files were new and half of them old.
#[test]
fn a_late_signal_does_not_stop_half_way() {
    let place = Place::new();
    place.write("tree/a", "old");
    place.export("");
    let work = Work::default();
    let staging = staged(&place, false, &work);
    work.cancel.cancel();
    staging.publish(&work).unwrap();
    assert_eq!((place.read("out/a"), place.read("out/b")), ("new".to_owned(), "new".to_owned()));
}
