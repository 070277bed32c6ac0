//! What `--store` names.

use std::fs;

use super::{prepared, stdout};
use crate::run::Ran;

const EXPORT: [&str; 4] = ["export", "rootfs:tree", "-o", "type=image,name=a:1"];

fn with_store<'a>(arguments: &[&'a str], store: &'a str) -> Vec<&'a str> {
    [arguments, &["--store", store]].concat()
}

#[test]
fn a_store_is_a_path_or_begins_with_a_scheme() {
    let work = prepared();
    for (address, path) in [("dir:one", "one"), ("./a:b", "a:b"), ("dir:c:d", "c:d")] {
        work.ok(&with_store(&EXPORT, address));
        assert!(work.path(path).join("store.db").exists(), "{address}");
        let absolute = work.path(path);
        assert_eq!(stdout(&work, &["images", "-q", "--store", absolute.to_str().unwrap()]), "docker.io/library/a:1\n");
    }
    let before = work.names();
    for address in ["podman:default", "foo:/x", "foo:", "DIR:x"] {
        let scheme = address.split(':').next().unwrap();
        let expected = format!(
            "error: unknown kind of image store `{scheme}`\n\
            hint: a store is a path or dir:PATH or containerd:[SOCKET][,namespace=NAME,snapshotter=NAME]; for a directory of that name, write ./{address}\n"
        );
        for arguments in [&EXPORT[..], &["images"], &["prune"], &["export", "rootfs:tree", "-o", "type=oci,dest=a"]] {
            let ran = work.run(&with_store(arguments, address));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected.as_str()), "{arguments:?}");
        }
        let ran = Ran::from(work.command(&EXPORT).env("LONGSHORE_ROOT", address).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected.as_str()), "LONGSHORE_ROOT={address}");
    }
    assert_eq!(work.names(), before, "a store that was mistyped was made");
}

/// `--store $HOME` scattered the files of a store into a home.
#[test]
fn a_path_that_holds_something_else_is_refused_before_anything_is_written() {
    let work = prepared();
    work.write("home/.profile", "");
    work.write("file", "");
    work.write("other/store.db", "not a database");
    fs::create_dir(work.path("empty")).unwrap();
    let before = work.names();
    for (store, cause, hint) in [
        ("home", "it is not an image store, but contains other files, such as .profile", "such as home/longshore"),
        ("other", "it is not an image store: its store.db is not that of longshore", "such as other/longshore"),
        ("file", "it is not a directory", "name a directory for the image store"),
        ("file/below", "file is not a directory", "name a directory"),
        ("~/images", "`~` is not your home directory here", "write $HOME/images"),
        ("missing/below", "directory missing does not exist", "mkdir -p missing"),
        ("emtpy/below", "directory emtpy does not exist", "did you mean empty/below?"),
    ] {
        for arguments in [&EXPORT[..], &["images"], &["du"], &["inspect", "image:a:1"], &["import", "tree"]] {
            let ran = work.run(&with_store(arguments, store));
            let expected = format!(": cannot open the store {store}\n");
            assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
            for text in [&expected[1..], cause, hint] {
                assert!(ran.stderr.contains(text), "{store} {arguments:?}: no `{text}` in {}", ran.stderr);
            }
        }
    }
    assert_eq!(work.names(), before);
    for kept in ["home", "other"] {
        assert_eq!(fs::read_dir(work.path(kept)).unwrap().count(), 1, "{kept}");
    }
    work.ok(&with_store(&EXPORT, "empty"));
}

#[test]
fn where_there_is_no_store_yet_that_is_said() {
    let work = prepared();
    for command in ["unpack", "inspect", "verify"] {
        let name = if command == "unpack" { "a:1" } else { "image:a:1" };
        let ran = work.run(&[command, name]);
        let place = work.store().display();
        let expected = format!(
            "error: cannot read image:a:1\n  caused by: there is no image store yet in {place}\n\
            hint: `longshore import` or an export with type=image creates one; --store names another\n"
        );
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), expected.as_str()), "{command}");
    }
    assert_eq!(fs::read_dir(work.store()).unwrap().count(), 0, "a command that reads made a store");
}

/// What is malformed was found when the store was opened, after the work of a command, or never.
#[test]
fn a_malformed_address_is_refused_by_every_command_and_a_well_formed_one_by_none_that_opens_no_store() {
    let work = prepared();
    work.write("file", "");
    work.write("home/.profile", "");
    let before = work.names();
    let commands: [&[&str]; 7] = [
        &["exporters"],
        &["sources"],
        &["completion", "bash"],
        &["export", "rootfs:tree", "-o", "type=oci,dest=a.tar", "--dry-run"],
        &["export", "rootfs:tree", "-o", "type=oci,dest=a.tar", "--no-store", "--dry-run"],
        &["verify", "oci:missing"],
        &["export", "rootfs:missing", "-o", "type=oci,dest=a.tar"],
    ];
    for (address, text) in [
        ("podman:default", "unknown kind of image store `podman`"),
        ("dir:", "the path of the image store is empty"),
        ("", "the path of the image store is empty"),
        ("file", "it is not a directory"),
        ("dir:file/x", "file is not a directory"),
        ("dir:~/images", "`~` is not your home directory here"),
    ] {
        for arguments in commands {
            let ran = work.run(&with_store(arguments, address));
            assert_eq!((ran.code, &ran.stdout[..]), (Some(2), &b""[..]), "{address} {arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(text) && ran.stderr.contains("hint: "), "{address}: {}", ran.stderr);
            assert!(!ran.stderr.contains("missing"), "something else came first: {}", ran.stderr);
        }
    }
    // A place for no store, which only those notice that open one.
    for address in ["home", "missing/below", "dir:/proc/self/none"] {
        for arguments in &commands[..5] {
            work.ok(&with_store(arguments, address));
        }
    }
    assert_eq!(work.names(), before);
}

#[test]
fn the_help_says_which_kinds_of_stores_there_are() {
    let work = prepared();
    for arguments in [&["--help"][..], &["images", "--help"], &["export", "-h"]] {
        let help = stdout(&work, arguments).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = "a directory, or dir:PATH (a directory on a local disk, shared by any number of processes)";
        assert!(help.contains(text), "{help}");
        assert!(help.contains("[default: $LONGSHORE_ROOT, else"), "{help}");
    }
}
