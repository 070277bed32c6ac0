//! Directories as they are found on machines: what they hold that no image should have.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use longshore_core::archive::Reader;
use longshore_core::compression::decoder;
use longshore_testkit::validate::{self, ValidatedImage};
use run::{Ran, Workdir};
use std::process::Command;

/// Exports to a layout, with the store of the run in `store`, and checks the layout.
fn export(work: &Workdir, store: &str, arguments: &[&str]) -> (Vec<ValidatedImage>, Ran) {
    let _ = std::fs::remove_dir_all(work.path("out"));
    let output = ["--store", store, "export", "-o", "type=oci,dest=out,tar=false", "--progress=plain"];
    let ran = work.ok(&[&output, arguments].concat());
    (validate::layout_dir(&work.path("out")).unwrap().images, ran)
}

/// The paths in a layer of an exported image.
fn paths(work: &Workdir, image: &ValidatedImage, layer: usize) -> Vec<String> {
    let bytes = work.read(&format!("out/{}", image.layers[layer].digest.layout_path()));
    let mut reader = Reader::new(decoder(&bytes[..]).unwrap().1);
    std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| entry.display()).collect()
}

fn warnings(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect()
}

#[test]
fn the_store_of_the_run_is_left_out_of_the_trees_that_it_is_in() {
    let work = Workdir::new();
    work.write("tree/etc/hosts", "127.0.0.1");
    std::fs::create_dir_all(work.path("tree/var")).unwrap();
    std::os::unix::fs::symlink("tree", work.path("link")).unwrap();
    let place = work.path("tree/var/[images]*").canonicalize().unwrap_or_else(|_| work.path("tree/var/[images]*"));
    let expected = format!("skipped {}: it is the store of this run", place.display());
    let expected_paths = ["etc", "etc/hosts", "var"];
    let mut diff_ids = Vec::new();
    for source in [&["rootfs:tree"][..], &["rootfs:link"], &["scratch", "--layer", "tree"]] {
        let (images, ran) = export(&work, "tree/var/[images]*", source);
        assert_eq!(paths(&work, &images[0], 0), expected_paths, "{source:?}");
        assert_eq!(warnings(&ran), [expected.as_str()], "{source:?}");
        diff_ids.push(images[0].layers[0].diff_id.clone());
    }
    assert!(diff_ids.iter().all(|diff_id| *diff_id == diff_ids[0]), "an image does not grow with each run");

    let platforms = ["linux/amd64=rootfs:tree", "linux/arm64=scratch", "--layer", "tree:/opt"];
    let (images, ran) = export(&work, "tree/var/[images]*", &platforms);
    assert_eq!(paths(&work, &images[1], 0), ["opt/etc", "opt/etc/hosts", "opt/var"]);
    assert_eq!(images[0].layers[1], images[1].layers[0]);
    assert_eq!(warnings(&ran).len(), 1, "{}", ran.stderr);

    let (_, ran) = export(&work, "tree/var/[images]*", &["rootfs:tree", "--exclude", "var"]);
    assert_eq!(warnings(&ran), Vec::<&str>::new(), "it is excluded anyway");
    work.write("tree/.dockerignore", "*\n!etc\n!var\n");
    let (images, ran) = export(&work, "tree/var/[images]*", &["rootfs:tree"]);
    assert_eq!(paths(&work, &images[0], 0), expected_paths, "no pattern includes it again");
    assert_eq!(warnings(&ran).len(), 2, "{}", ran.stderr);
}

#[test]
fn a_store_is_no_tree() {
    let work = Workdir::new();
    work.write("tree/file", "");
    export(&work, "store", &["rootfs:tree"]);
    let ran = work.run(&["--store", "store", "export", "rootfs:store", "-o", "type=oci,dest=o.tar"]);
    let expected = "error: cannot export store: it is the store of this run\n\
        hint: choose another store (--store), or work without one (--no-store)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), expected));
    assert!(!work.path("o.tar").exists());
}

/// Only the store of the run was looked for, and only by its path.
#[test]
fn a_store_is_left_out_of_trees_if_the_run_does_not_use_it_or_a_mount_shows_it() {
    let work = Workdir::new();
    for directory in ["etc", "srv/mnt", "var/lib"] {
        std::fs::create_dir_all(work.path("tree").join(directory)).unwrap();
    }
    let place = work.path("tree/var/lib/store");
    let mut fill = work.command(&["export", "scratch", "-o", "type=image,name=app:1"]);
    assert!(fill.env("LONGSHORE_ROOT", &place).output().unwrap().status.success());
    let exported = |arguments: &[&str]| {
        let _ = std::fs::remove_dir_all(work.path("out"));
        let output = ["export", "rootfs:tree", "--progress=plain", "-o", "type=oci,dest=out,tar=false"];
        let mut command = work.command(&[&output, arguments].concat());
        let ran = Ran::from(command.env("LONGSHORE_ROOT", &place).output().unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        let image = validate::layout_dir(&work.path("out")).unwrap().images.remove(0);
        (paths(&work, &image, 0), warnings(&ran).iter().map(|said| (*said).to_owned()).collect::<Vec<_>>())
    };
    let expected = ["etc", "srv", "srv/mnt", "var", "var/lib"].map(str::to_owned);
    let place = place.canonicalize().unwrap();
    let other = format!("skipped {}: it is an image store", place.display());
    for arguments in [&["--store", "elsewhere"][..], &["--no-store"]] {
        assert_eq!(exported(arguments), (expected.to_vec(), vec![other.clone()]), "{arguments:?}");
    }
    let bind = ["--bind", place.to_str().unwrap(), "tree/srv/mnt"];
    if !Command::new("mount").args(bind).current_dir(work.root()).output().unwrap().status.success() {
        eprintln!("skipped: only root may mount");
        return;
    }
    let found = exported(&[]);
    assert!(Command::new("umount").arg(work.path("tree/srv/mnt")).status().unwrap().success());
    let own = format!("skipped {}: it is the store of this run", place.display());
    let expected: Vec<String> = expected.into_iter().filter(|path| path != "srv/mnt").collect();
    assert_eq!(found, (expected, vec![own]));
}

#[test]
fn temporary_files_of_runs_are_left_out() {
    let work = Workdir::new();
    for file in [".longshore-tmp-a/blobs/sha256/x", "sub/.longshore-tmp-b", "sub/.longshore-tm", "longshore-tmp-c"] {
        work.write(&format!("tree/{file}"), "content");
    }
    let (images, ran) = export(&work, "store", &["rootfs:tree"]);
    assert_eq!(paths(&work, &images[0], 0), ["longshore-tmp-c", "sub", "sub/.longshore-tm"]);
    let expected = "tree: 2 files of interrupted or running exports skipped, such as tree/.longshore-tmp-a";
    assert_eq!(warnings(&ran)[0], expected);
}

fn refused(work: &Workdir, arguments: &[&str]) -> String {
    let ran = work.run(&[&["--store", "store", "export", "-o", "type=oci,dest=o.tar"], arguments].concat());
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(!work.path("o.tar").exists());
    ran.stderr.replace("error: cannot export to type=oci,dest=o.tar\n  caused by: ", "error: ")
}

const OVERLAY_HINT: &str = "hint: tree is a directory of an overlay: for the changes alone add whiteouts=overlay, or mount \
                            the overlay and export the merged tree\n";

#[test]
fn directories_of_an_overlay_are_no_trees() {
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, removexattr, setxattr};
    let work = Workdir::new();
    work.write("tree/usr/bin/tool", "#!");
    let set = |path: &str, name: &str| match setxattr(work.path(path), name, b"y", XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => eprintln!("skipped: no {name} on {path}"),
        set => {
            set.unwrap();
            for source in [&["rootfs:tree"][..], &["scratch", "--layer", "tree"]] {
                let expected =
                    format!("error: {path} has the attribute `{name}`, which belongs to overlayfs\n{OVERLAY_HINT}");
                assert_eq!(refused(&work, source), expected);
            }
            removexattr(work.path(path), name).unwrap();
        }
    };
    set("tree", "user.overlay.impure");
    set("tree/usr", "user.overlay.opaque");
    set("tree/usr/bin/tool", "user.overlay.origin");
    set("tree/usr", "trusted.overlay.redirect");
    let gone = work.path("tree/usr/lib");
    if mknodat(CWD, &gone, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).is_ok() {
        let expected =
            format!("error: tree/usr/lib is a whiteout of overlayfs: a character device 0/0\n{OVERLAY_HINT}");
        assert_eq!(refused(&work, &["rootfs:tree"]), expected);
        export(&work, "store", &["rootfs:tree", "--exclude", "usr/lib"]);
        std::fs::remove_file(&gone).unwrap();
    }
    export(&work, "store", &["rootfs:tree"]);
}

/// The changes in an upper directory, as overlayfs and as layers say them, are the same layer.
#[test]
fn whiteouts_are_those_of_the_option() {
    use longshore_core::archive::Reader;
    use longshore_core::compression::decoder;
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};
    let work = Workdir::new();
    for tree in ["overlay", "aufs"] {
        work.write(&format!("{tree}/d/new"), "new");
    }
    let device = || mknodat(CWD, work.path("overlay/gone"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0));
    let opaque = || setxattr(work.path("overlay/d"), "trusted.overlay.opaque", b"y", XattrFlags::empty());
    if device().and_then(|()| opaque()).is_err() {
        eprintln!("skipped: only root makes an upper directory");
        return;
    }
    work.write("aufs/.wh.gone", "");
    work.write("aufs/d/.wh..wh..opq", "");
    let names = |source: &str| {
        let ran = work.ok(&["export", source, "--no-store", "--progress=plain", "-o", "type=oci,dest=a.tar"]);
        assert_eq!(warnings(&ran), [""; 0], "all of it is kept");
        let archive = longshore_testkit::validate::layout_tar(&work.path("a.tar")).unwrap();
        let tar = longshore_core::archive::TarFile::open(std::fs::File::open(work.path("a.tar")).unwrap()).unwrap();
        let layer = tar.read(&archive.images[0].layers[0].digest.layout_path(), 0).unwrap();
        let mut reader = Reader::new(decoder(layer).unwrap().1);
        let mut names = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            names.push(entry.display());
        }
        names.sort();
        names
    };
    // A whiteout in an overlay within an overlay is an empty file: it came back as one.
    work.write("overlay/e/was", "");
    work.write("overlay/e/is", "");
    work.write("overlay/f/empty", "");
    work.write("aufs/e/.wh.was", "");
    work.write("aufs/e/is", "");
    work.write("aufs/f/empty", "");
    let set =
        |path: &str, name: &str, value: &[u8]| setxattr(work.path(path), name, value, XattrFlags::empty()).unwrap();
    set("overlay/e", "trusted.overlay.opaque", b"x");
    set("overlay/e/was", "trusted.overlay.whiteout", b"");
    // It counts in a directory that says so.
    set("overlay/f/empty", "trusted.overlay.whiteout", b"");
    set("overlay/d/new", "trusted.overlay.origin", b"x");
    let expected =
        [".wh.gone", "d", "d/.wh..wh..opq", "d/new", "e", "e/.wh.was", "e/is", "f", "f/empty"].map(str::to_owned);
    assert_eq!(names("rootfs:overlay,whiteouts=overlay"), expected);
    assert_eq!(names("rootfs:aufs,whiteouts=aufs"), expected);
    set("overlay", "user.overlay.opaque", b"x");
    work.write("overlay/top", "");
    set("overlay/top", "user.overlay.whiteout", b"y");
    assert_eq!(
        names("rootfs:overlay,whiteouts=overlay"),
        [&[".wh.gone".to_owned(), ".wh.top".to_owned()], &expected[1..]].concat()
    );
    let ran = work.run(&["export", "rootfs:overlay", "-o", "type=oci,dest=x.tar"]);
    assert!(ran.stderr.contains("add whiteouts=overlay"), "{}", ran.stderr);
    let ran = work.run(&["export", "rootfs:overlay,whiteouts=btrfs", "-o", "type=oci,dest=x.tar"]);
    assert!(ran.stderr.contains("expected plain|overlay|aufs"), "{}", ran.stderr);
}

/// Makes directories below each other; the path of the last.
fn deep(root: &std::path::Path, name: &str, depth: usize) -> usize {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut at = open(root, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&at, name, Mode::from_raw_mode(0o755)).unwrap();
        at = openat(&at, name, flags, Mode::empty()).unwrap();
    }
    openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644)).unwrap();
    (name.len() + 1) * depth + "file".len()
}

/// Runs the command with at most so many descriptors.
fn with_descriptors(work: &Workdir, limit: &str, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new("sh");
    let script = format!("ulimit {limit} && exec \"$@\"");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_longshore")]).args(arguments);
    command.current_dir(work.root()).env("LONGSHORE_ROOT", work.store()).output().unwrap().into()
}

#[test]
fn deep_trees_take_few_descriptors() {
    let work = Workdir::new();
    work.write("tree/a/x", "");
    work.write("tree/z/x", "");
    deep(&work.path("tree"), "m", 1500);
    let arguments = ["export", "rootfs:tree", "--jobs=1", "-o", "type=image,name=deep:1", "-o", "type=oci,dest=o.tar"];
    let ran = with_descriptors(&work, "-n 128", &arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let images = validate::layout_tar(&work.path("o.tar")).unwrap().images;
    assert_eq!(images[0].layers.len(), 1);
    for arguments in [&["unpack", "deep:1", "--to", "to"][..], &["unpack", "deep:1"]] {
        let ran = with_descriptors(&work, "-n 128", arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    }
    assert!(work.path("to/z/x").exists());
    let left = |path: &std::path::Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left(work.root()).chain(left(&work.store().join("fs"))).collect();
    assert!(left.iter().all(|name| !name.as_encoded_bytes().starts_with(b".longshore")), "{left:?}");
}

#[test]
fn an_error_within_another_file_system_says_how_to_leave_it_out() {
    let work = Workdir::new();
    std::fs::create_dir_all(work.path("tree/proc")).unwrap();
    let mount = |arguments: &[&str]| {
        let ran = std::process::Command::new(arguments[0]).args(&arguments[1..]).current_dir(work.root()).output();
        ran.unwrap().status.success()
    };
    if !mount(&["mount", "-t", "proc", "proc", "tree/proc"]) {
        eprintln!("skipped: cannot mount");
        return;
    }
    let error = work.run(&["--store", "store", "export", "rootfs:tree", "-o", "type=oci,dest=o.tar"]);
    let excluded = work.run(&["export", "rootfs:tree", "--exclude", "proc", "-o", "type=oci,dest=o.tar"]);
    assert!(mount(&["umount", "tree/proc"]));
    let expected = "hint: `proc` is another file system: exclude it (--exclude)\n";
    assert!(error.stderr.ends_with(expected), "{}", error.stderr);
    assert_eq!(excluded.code, Some(0), "{}", excluded.stderr);
}

#[test]
fn what_a_layer_does_not_keep_is_said_once_and_counted() {
    use rustix::fs::{Timespec, Timestamps, XattrFlags, setxattr};
    let work = Workdir::new();
    for file in ["a", "b", "c"] {
        work.write(&format!("tree/sub/{file}"), file);
    }
    let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 500_000_000 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, work.path("tree/sub/b"), &times, rustix::fs::AtFlags::empty()).unwrap();
    let (_, ran) = export(&work, "store", &["rootfs:tree"]);
    assert_eq!(warnings(&ran), [""; 0], "nearly every time has a fraction of a second: {}", ran.stderr);
    let set = |path: &str, name: &str, value: &[u8]| setxattr(work.path(path), name, value, XattrFlags::empty());
    if set("tree/sub/a", "user.origin", b"x").is_err() {
        eprintln!("skipped: the file system has no attributes");
        return;
    }
    set("tree/sub", "user.origin", b"x").unwrap();
    // Two archives, each of which reads the directory.
    let outputs = ["-o", "type=oci,dest=-", "-o", "type=oci,dest=o.tar,compression=zstd"];
    let (_, ran) = export(&work, "store", &[&["rootfs:tree"], &outputs[..]].concat());
    assert_eq!(warnings(&ran), ["tree: its layer does not keep extended attributes of 2 files (`user.origin` of sub)"]);
}
