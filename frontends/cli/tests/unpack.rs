//! `longshore unpack`, through the command.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_core::archive::{Entry, EntryKind, Writer};
use longshore_testkit::conformance::listing_of;
use longshore_testkit::sample::Tree;
use run::Workdir;

fn stdout(work: &Workdir, arguments: &[&str]) -> String {
    String::from_utf8(work.ok(arguments).stdout).unwrap()
}

/// Without the line of the directory itself, whose mode is that of whoever made it.
fn below(path: &Path) -> Vec<String> {
    listing_of(path).split_off(1)
}

/// A tree with every kind of file, and two layers that go over it.
fn prepared() -> Workdir {
    let work = Workdir::new();
    fs::create_dir(work.path("tree")).unwrap();
    let tree = Tree::new(1);
    let tree = if rustix::process::geteuid().is_root() { tree.with_devices() } else { tree };
    tree.write(&work.path("tree")).unwrap();
    work.write("more/added", "added");
    work.write("again/added", "replaced");
    let layers = ["--layer", "more:/opt", "--layer", "again:/opt"];
    let output = ["-o", "type=image,name=app:1"];
    work.ok(&[&["export", "rootfs:tree"], &layers[..], &output[..]].concat());
    work
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let work = prepared();
    work.ok(&["unpack", "app:1", "--to", "out"]);
    assert_eq!(work.read("out/opt/added"), b"replaced");
    fs::remove_dir_all(work.path("out/opt")).unwrap();
    let (found, expected) = (below(&work.path("out")), below(&work.path("tree")));
    let missing: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
    assert!(missing.iter().all(|line| line.ends_with("device or socket")) && missing.len() <= 1, "{missing:?}");
    assert_eq!(found.len() + missing.len(), expected.len());
    let ran = work.run(&["unpack", "app:1", "--to", "out"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it is not empty"), "{}", ran.stderr);
    let ran = work.run(&["unpack", "app:1", "--to", "x", "--platform", "linux/s390x"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("hint: choose one of"), "{}", ran.stderr);
    let ran = work.run(&["unpack", "nobody:1"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("nobody:1 is not in the store"), "{}", ran.stderr);
}

#[test]
fn options_name_a_directory_a_layer_which_the_image_keeps() {
    let work = prepared();
    let first = stdout(&work, &["unpack", "app:1"]);
    let options = first.trim().trim_end_matches(",userxattr");
    let directories: Vec<_> = options.strip_prefix("lowerdir=").unwrap().split(':').collect();
    assert_eq!(directories.len(), 3, "{first}");
    assert!(directories.iter().all(|directory| Path::new(directory).is_dir()));
    assert_eq!(fs::read(Path::new(directories[0]).join("opt/added")).unwrap(), b"replaced");
    let ran = work.ok(&["unpack", "app:1", "--progress=plain"]);
    assert_eq!(
        (String::from_utf8(ran.stdout).unwrap(), ran.stderr.as_str()),
        (first.clone(), ""),
        "nothing is unpacked again"
    );
    work.ok(&["export", "image:app:1", "--layer", "again", "-o", "type=image,name=app:2,unpack=true"]);
    let other = stdout(&work, &["unpack", "app:2", "--progress=plain"]);
    assert!(other.contains(directories[0]), "layers are shared: {other}");
    work.ok(&["rm", "app:1"]);
    work.ok(&["prune"]);
    assert!(Path::new(directories[0]).is_dir(), "the other image needs it");
    work.ok(&["rm", "app:2"]);
    assert!(stdout(&work, &["prune"]).contains("unpacked layers: 4, "));
    assert_eq!(fs::read_dir(work.store().join("fs")).unwrap().count(), 0);
}

#[test]
fn images_of_one_layer_and_of_none() {
    let work = Workdir::new();
    work.write("tree/file", "content");
    work.ok(&["export", "rootfs:tree", "-o", "type=image,name=one:1"]);
    work.ok(&["export", "scratch", "-o", "type=image,name=none:1"]);
    let options = stdout(&work, &["unpack", "one:1"]);
    assert!(options.trim().trim_end_matches(",userxattr").ends_with("/fs/empty"), "{options}");
    if rustix::process::geteuid().is_root() {
        fs::create_dir(work.path("mounted")).unwrap();
        let mut by_hand = Command::new("mount");
        by_hand.args(["-t", "overlay", "overlay", "-o", options.trim()]).arg(work.path("mounted"));
        if by_hand.status().unwrap().success() {
            assert_eq!(work.read("mounted/file"), b"content");
            rustix::mount::unmount(work.path("mounted"), rustix::mount::UnmountFlags::empty()).unwrap();
        }
    }
    work.ok(&["unpack", "none:1", "--to", "out"]);
    assert_eq!(fs::read_dir(work.path("out")).unwrap().count(), 0);
    let ran = work.run(&["unpack", "none:1"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("without layers cannot be mounted"), "{}", ran.stderr);
}

#[test]
fn what_is_mounted_is_the_image() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root may mount");
        return;
    }
    let work = prepared();
    work.ok(&["unpack", "app:1", "--to", "out"]);
    fs::create_dir(work.path("mounted")).unwrap();
    let ran = work.run(&["unpack", "app:1", "--mount", "mounted"]);
    if ran.code == Some(4) && std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none() {
        eprintln!("skipped: {}", ran.stderr);
        return;
    }
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let (found, expected) = (listing_of(&work.path("mounted")), listing_of(&work.path("out")));
    let is_read_only = fs::write(work.path("mounted/x"), "").is_err();
    rustix::mount::unmount(work.path("mounted"), rustix::mount::UnmountFlags::empty()).unwrap();
    assert_eq!(found, expected);
    assert!(is_read_only);
}

/// Whoever is not root gets the files as their own, without devices, and may do it twice.
#[test]
fn an_ordinary_user_unpacks() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: all the tests run as an ordinary user");
        return;
    }
    let work = prepared();
    work.ok(&["export", "image:app:1", "-o", "type=oci,dest=a.tar,name=app:1"]);
    work.copy_command("binary");
    let open = |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    [&work.path("binary"), work.root(), work.store()].into_iter().for_each(open);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(work.path("binary"));
        command.args(arguments).current_dir(work.root()).env("LONGSHORE_ROOT", work.store().join("own"));
        let ran = run::Ran::from(command.uid(65_534).gid(65_534).output().unwrap());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran
    };
    run(&["import", "a.tar"]);
    let ran = run(&["unpack", "app:1", "--to", "out"]);
    assert!(ran.stderr.contains("only root may create it"), "{}", ran.stderr);
    let file = fs::metadata(work.path("out/opt/added")).unwrap();
    assert_eq!((file.uid(), fs::read(work.path("out/opt/added")).unwrap()), (65_534, b"replaced".to_vec()));
    let options = String::from_utf8(run(&["unpack", "app:1"]).stdout).unwrap();
    assert!(options.ends_with(",userxattr\n"), "{options}");
    let snapshot = |at: usize| options.trim_start_matches("lowerdir=").split([':', ',']).nth(at).unwrap().to_owned();
    let mode = |path: String| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(format!("{}/opt/added", snapshot(0))), 0o644, "a file in a snapshot is not executable");

    // Root of a user namespace may mount, but is no root: attributes of overlayfs are still the user's.
    write_opaque_layer(&work);
    work.ok(&[
        "export",
        "scratch",
        "--layer",
        "lower",
        "--layer",
        "opaque.tar",
        "--no-store",
        "-o",
        "type=oci,dest=o.tar,name=o:1",
    ]);
    run(&["import", "o.tar"]);
    let script = "mkdir mounted && ./binary unpack o:1 --mount mounted --progress quiet && ls mounted/d";
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script]).current_dir(work.root());
    unshare.env("LONGSHORE_ROOT", work.store().join("own")).uid(65_534).gid(65_534);
    let output = unshare.output().unwrap();
    if output.status.success() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "new\n");
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("unshare:"), "{stderr}");
        eprintln!("skipped: {stderr}");
    }
}

/// Only the system of the first user namespace takes some attributes; some files, and some file systems, take
/// none.
#[test]
fn attributes_that_the_system_does_not_take_are_left_out_with_a_warning() {
    let work = Workdir::new();
    let mut tar = Writer::new(Vec::new());
    let mut add = |path: &str, kind, xattrs: &[(&str, &[u8])]| {
        let xattrs = xattrs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
        let link = if kind == EntryKind::Symlink { b"target".to_vec() } else { Vec::new() };
        tar.append(&Entry { xattrs, link, ..Entry::new(path, kind, 0o755) }, &mut std::io::empty()).unwrap();
    };
    // A capability for root of another namespace, and an ACL for a user that is not mapped.
    let capability: Vec<u8> =
        [0x0300_0001_u32, 1 << 10, 0, 0, 0, 100_000].iter().flat_map(|n| n.to_le_bytes()).collect();
    let entry =
        |tag: u16, mode: u16, id: u32| [&tag.to_le_bytes()[..], &mode.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let acl = [2_u32.to_le_bytes().to_vec(), entry(1, 7, none), entry(2, 5, 70_000), entry(4, 5, none)];
    let acl = [acl.concat(), entry(16, 5, none), entry(32, 5, none)].concat();
    let file = EntryKind::File;
    add("bin/ping", file, &[("security.capability", &capability)]);
    add("bin/traceroute", file, &[("security.capability", &capability)]);
    add("srv", EntryKind::Directory, &[("system.posix_acl_access", &acl)]);
    add("mac/photo", file, &[("com.apple.quarantine", b"0081"), ("com.apple.lastuseddate#PS", b"x")]);
    add("link", EntryKind::Symlink, &[("user.note", b"x")]);
    add("link2", EntryKind::Symlink, &[("user.other", b"x")]);
    add("z/broken", file, &[("security.capability", b"no capability")]);
    work.write("layer.tar", tar.finish().unwrap());
    work.ok(&["export", "scratch", "--layer", "layer.tar", "-o", "type=oci,dest=a.tar,name=a:1"]);
    let check = |ran: &run::Ran, to: &str| {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        for expected in [
            "skipped attribute `com.apple.lastuseddate#PS` of `mac/photo`: ",
            "skipped attribute `user.note` of `link`: ",
        ] {
            assert_eq!(ran.stderr.matches(expected).count(), 1, "{expected}: {}", ran.stderr);
        }
        for absent in ["com.apple.quarantine", "user.other", "traceroute"] {
            assert!(!ran.stderr.contains(absent), "once a kind: {}", ran.stderr);
        }
        assert!(work.path(to).join("mac/photo").is_file() && work.path(to).join("link2").is_symlink());
    };
    work.ok(&["import", "a.tar"]);
    let ran = work.run(&["unpack", "a:1", "--to", "own", "--jobs=1"]);
    check(&ran, "own");
    check(&work.run(&["unpack", "a:1", "--jobs=1"]), "own");
    let script = "\"$0\" unpack a:1 --to mapped --jobs=1";
    let mut unshare = Command::new("unshare");
    unshare.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_longshore")]).current_dir(work.root());
    let ran = run::Ran::from(unshare.env("LONGSHORE_ROOT", work.store()).output().unwrap());
    if ran.stderr.contains("unshare:") {
        eprintln!("skipped: {}", ran.stderr);
        return;
    }
    check(&ran, "mapped");
    for expected in [
        "skipped attribute `security.capability` of `bin/ping`: ",
        "skipped attribute `system.posix_acl_access` of `srv`: ",
    ] {
        assert_eq!(ran.stderr.matches(expected).count(), 1, "{expected}: {}", ran.stderr);
    }
}

#[test]
fn a_mount_on_a_link_is_where_it_leads() {
    let work = prepared();
    fs::create_dir(work.path("mounted")).unwrap();
    std::os::unix::fs::symlink("mounted", work.path("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", work.path("dangling")).unwrap();
    let ran = work.run(&["unpack", "app:1", "--mount", "dangling"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it is not a directory"), "{}", ran.stderr);
    let ran = work.run(&["unpack", "app:1", "--mount", "link"]);
    if ran.code == Some(4) {
        eprintln!("skipped: {}", ran.stderr);
        return;
    }
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(work.read("mounted/opt/added"), b"replaced");
    rustix::mount::unmount(work.path("mounted"), rustix::mount::UnmountFlags::empty()).unwrap();
}

/// A path nearly as long as the system takes, which a store's own path makes longer.
#[test]
fn long_paths_become_snapshots() {
    let work = Workdir::new();
    let path = format!("{}/ff", vec!["d".repeat(254); 16].join("/"));
    assert_eq!(path.len(), 4082);
    let mut tar = Writer::new(Vec::new());
    tar.append(&Entry::file(path, 0o644, 1), &mut &b"x"[..]).unwrap();
    work.write("long.tar", tar.finish().unwrap());
    work.ok(&["export", "scratch", "--layer", "long.tar", "-o", "type=image,name=long:1"]);
    work.ok(&["unpack", "long:1"]);
    work.ok(&["unpack", "long:1", "--to", "to"]);
    work.ok(&["rm", "long:1"]);
    assert!(stdout(&work, &["prune"]).contains("unpacked layers: 1, 1 B"));
    let left = fs::read_dir(work.store().join("fs")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["empty"]);
}

/// A directory with a file, and a layer that hides what is in it and puts another one there.
fn write_opaque_layer(work: &Workdir) {
    work.write("lower/d/secret", "hidden");
    let mut tar = Writer::new(Vec::new());
    for path in ["d/.wh..wh..opq", "d/new"] {
        tar.append(&Entry::file(path, 0o644, 0), &mut std::io::empty()).unwrap();
    }
    work.write("opaque.tar", tar.finish().unwrap());
}

/// More files than anyone has, and names that are long: an error, and memory stays small.
#[test]
fn memory_does_not_grow_with_what_a_layer_says() {
    let work = Workdir::new();
    let write = |name: &str, entries: u64, length: usize| {
        let mut tar = Writer::new(std::io::BufWriter::new(fs::File::create(work.path(name)).unwrap()));
        for number in 0..entries {
            let path = format!("{}/{number:0length$}", number / 1000);
            tar.append(&Entry::new(path, EntryKind::Fifo, 0o644), &mut std::io::empty()).unwrap();
        }
        tar.finish().unwrap().into_inner().unwrap();
    };
    write("many.tar", (3 << 18) + 2, 1);
    write("long.tar", 440_000, 240);
    for name in ["many", "long"] {
        let layer = format!("{name}.tar");
        let output = format!("type=image,name={name}:1,compression=zstd,compression-level=1");
        work.ok(&["export", "scratch", "--layer", &layer, "-o", &output]);
        let mut command = work.command(&["unpack", &format!("{name}:1"), "--to", "out"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
            peak = peak.max(line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0));
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && stderr.contains("than the limit of"), "{name}: {stderr}");
        assert!(peak > 0 && peak < 512 << 10, "{name}: {peak} KiB");
        assert!(!work.path("out").exists());
    }
}
