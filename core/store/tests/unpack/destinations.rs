//! Where trees are unpacked to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use longshore_core::ErrorKind;

use longshore_testkit::stack::{Item, directory, file, read_tree};

use super::fixture::{layers, unpack_to};

#[test]
fn a_destination_must_be_new_or_empty() {
    let place = tempfile::tempdir().unwrap();
    let layers = layers(&[vec![file("a", "a")]]);
    for (name, expected) in [("full", "not empty"), ("file", "not a directory"), ("link", "dangling link")] {
        let to = place.path().join(name);
        match name {
            "full" => fs::create_dir_all(to.join("x")).unwrap(),
            "file" => fs::write(&to, "").unwrap(),
            _ => symlink("nowhere", &to).unwrap(),
        }
        let error = unpack_to(&layers, &to).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidOption && error.with_causes().contains(expected), "{error}");
    }
    fs::create_dir(place.path().join("empty")).unwrap();
    for to in ["empty", "new/below"] {
        unpack_to(&layers, &place.path().join(to)).unwrap();
        assert_eq!(read_tree(&place.path().join(to)).len(), 2, "{to}");
    }
}

fn closed(path: &str, mode: u32) -> Item {
    let (entry, content) = directory(path);
    (longshore_core::archive::Entry { mode, ..entry }, content)
}

#[test]
fn a_link_to_an_empty_directory_is_followed() {
    let place = tempfile::tempdir().unwrap();
    let layers = layers(&[vec![closed("./", 0o750), closed("d", 0o710), file("d/a", "a")]]);
    fs::create_dir(place.path().join("real")).unwrap();
    symlink("real", place.path().join("link")).unwrap();
    symlink("link", place.path().join("chain")).unwrap();
    unpack_to(&layers, &place.path().join("chain")).unwrap();
    let mode = |path: &str| fs::metadata(place.path().join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("real"), mode("real/d"), mode("real/d/a")), (0o750, 0o710, 0o644));
    assert!(place.path().join("link").is_symlink() && place.path().join("chain").is_symlink());
}

#[test]
fn dots_and_slashes_at_the_end_are_no_names() {
    let place = tempfile::tempdir().unwrap();
    let layers = layers(&[vec![file("a", "a")]]);
    for to in ["one/", "two/.", "./three/./"] {
        unpack_to(&layers, &place.path().join(to)).unwrap();
    }
    for name in ["one", "two", "three"] {
        assert_eq!(fs::read(place.path().join(name).join("a")).unwrap(), b"a", "{name}");
    }
    let error = unpack_to(&layers, &place.path().join("five/..")).unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidOption && error.with_causes().contains("does not end in a name"),
        "{error}"
    );
    fs::create_dir(place.path().join("six")).unwrap();
    unpack_to(&layers, &place.path().join("six/.")).unwrap();
    assert_eq!(fs::read(place.path().join("six/a")).unwrap(), b"a");
}

/// A directory that only its root may be written to, and one that is read-only as a whole.
#[test]
fn what_a_killed_run_left_beside_a_destination_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let layers = layers(&[vec![closed("./", 0o555), closed("d", 0o555), file("d/a", "a")]]);
    for (to, exists) in [("new", false), ("empty", true)] {
        if exists {
            fs::create_dir(place.path().join(to)).unwrap();
        }
        let left = place.path().join(".longshore-tmp-left");
        fs::create_dir_all(left.join("0")).unwrap();
        fs::set_permissions(&left, PermissionsExt::from_mode(0o555)).unwrap();
        unpack_to(&layers, &place.path().join(to)).unwrap();
        assert!(!left.exists(), "{to}");
        fs::create_dir(&left).unwrap();
        unpack_to(&layers, &place.path().join(to)).unwrap_err();
        assert!(!left.exists(), "{to}: one that refuses cleans up all the same");
        let found = fs::metadata(place.path().join(to)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime()), (0o555, 1_600_000_000), "{to}");
    }
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_directory_that_another_process_fills_is_busy() {
    let place = tempfile::tempdir().unwrap();
    let layers = layers(&[vec![file("a", "a")]]);
    let held = fs::File::open(place.path()).unwrap();
    held.lock().unwrap();
    let error = unpack_to(&layers, place.path()).unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.with_causes().contains("another process"), "{error}");
    drop(held);
    unpack_to(&layers, place.path()).unwrap();
    assert_eq!(read_tree(place.path()).len(), 2);
}

/// Files that a later run would remove, or believe.
#[test]
fn files_with_temporary_names_are_left_out() {
    let place = tempfile::tempdir().unwrap();
    let names = [".longshore-tmp-list-x", "d/.longshore-tmp-x", ".longshore-tmp-d/below", "d/a"];
    let layers = layers(&[names.map(|name| file(name, "x")).to_vec()]);
    unpack_to(&layers, &place.path().join("new")).unwrap();
    let tree = read_tree(&place.path().join("new"));
    assert_eq!(tree.len(), 3, "{tree:?}");
}
