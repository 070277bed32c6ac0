//! A store on a disk without any room: it can be read and pruned, and what needs room fails with words.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use longshore_testkit::sample::Random;
use run::{Ran, Workdir};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A small disk, with a store that has an image `kept:1`, and content that no name reaches.
struct Disk {
    work: Workdir,
    disk: PathBuf,
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.disk, UnmountFlags::DETACH);
    }
}

impl Disk {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        let work = Workdir::new();
        let disk = work.path("disk");
        fs::create_dir(&disk).unwrap();
        if let Err(error) = mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), Some(c"size=24m")) {
            assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "cannot mount a tmpfs: {error}");
            eprintln!("skipped: only root can mount a small disk");
            return None;
        }
        let disk = Self { work, disk };
        disk.work.write("small/file", "small");
        disk.work.write("large/file", Random::new(1).bytes(5 << 20));
        disk.ok(&["export", "rootfs:small", "-o", "type=image,name=kept:1"]);
        disk.ok(&["export", "rootfs:large", "-o", "type=image,name=gone:1"]);
        disk.ok(&["rm", "gone:1"]);
        fs::write(disk.disk.join("store/ingest/new-dead"), "half").unwrap();
        Some(disk)
    }

    fn fill(&self) {
        let mut filler = fs::File::options().create(true).append(true).open(self.disk.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&vec![1; size]).is_ok() {}
        }
        assert!(fs::write(self.disk.join("more"), "x").is_err());
        let _ = fs::remove_file(self.disk.join("more"));
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.work.command(arguments).env("LONGSHORE_ROOT", self.disk.join("store")).output().unwrap().into()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        String::from_utf8(ran.stdout).unwrap()
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.disk.join("store/blobs/sha256")).unwrap().count()
    }
}

#[test]
fn a_store_on_a_full_disk_is_read_and_pruned() {
    let Some(disk) = Disk::new() else { return };
    disk.fill();
    assert_eq!(disk.ok(&["images", "-q"]), "docker.io/library/kept:1\n");
    let measured = disk.ok(&["du"]);
    assert!(
        measured.contains("images               3 blobs") && measured.contains("half-written         1 blob"),
        "{measured}"
    );
    assert!(disk.ok(&["verify", "image:kept:1"]).starts_with("ok sha256:"));
    disk.ok(&["export", "image:kept:1", "-o", "type=oci,dest=elsewhere.tar"]);
    let store = disk.disk.join("store");
    let reason = format!("cannot use {}: no space left on device", store.join("store.db").display());
    for command in [&["export", "rootfs:small", "-o", "type=image,name=new:1"][..], &["import", "elsewhere.tar"]] {
        let ran = disk.run(command);
        assert_eq!(ran.code, Some(4), "{command:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(&reason), "{command:?}: {}", ran.stderr);
        assert!(
            ran.stderr.ends_with("hint: prune the store (`longshore prune`), which removes what nothing needs\n"),
            "{}",
            ran.stderr
        );
    }
    let ran = disk.run(&["tag", "kept:1", "other:1"]);
    let message = format!("the store {} cannot be written to: no space left on device", store.display());
    assert!(ran.code == Some(4) && ran.stderr.contains(&message), "{:?} {}", ran.code, ran.stderr);
    let pruned = disk.ok(&["prune"]);
    assert!(pruned.contains("incomplete files of killed commands: 4 B\n"), "{pruned}");
    assert!(pruned.contains("removed 3 blobs, 5.0"), "{pruned}");
    assert_eq!(disk.blobs(), 3);
    disk.ok(&["tag", "kept:1", "other:1"]);
    disk.ok(&["verify", "image:other:1"]);
}

#[test]
fn names_can_be_removed_on_a_full_disk() {
    let Some(disk) = Disk::new() else { return };
    disk.ok(&["prune"]);
    disk.fill();
    disk.ok(&["rm", "kept:1"]);
    disk.fill();
    assert_eq!(disk.ok(&["images", "-q"]), "");
    fs::remove_file(disk.disk.join("filler")).unwrap();
    disk.ok(&["prune"]);
    assert_eq!(disk.blobs(), 0);
    assert!(disk.disk.join("store/ballast").exists(), "there is room for the next time");
}

/// The files of blobs that nothing needs are removed before the database is changed.
#[test]
fn a_full_disk_without_a_ballast_is_pruned() {
    let Some(disk) = Disk::new() else { return };
    fs::remove_file(disk.disk.join("store/ballast")).unwrap();
    fs::remove_file(disk.disk.join("store/ingest/new-dead")).unwrap();
    disk.fill();
    let pruned = disk.ok(&["prune"]);
    assert!(pruned.contains("removed 3 blobs, 5.0"), "{pruned}");
    assert_eq!(disk.ok(&["images", "-q"]), "docker.io/library/kept:1\n");
    disk.ok(&["verify", "image:kept:1"]);
    fs::remove_file(disk.disk.join("filler")).unwrap();
    disk.ok(&["export", "rootfs:large", "-o", "type=image,name=gone:1"]);
    disk.ok(&["verify", "image:gone:1"]);
}

#[test]
fn without_anything_to_give_up_a_full_disk_is_an_error() {
    let Some(disk) = Disk::new() else { return };
    disk.ok(&["prune"]);
    fs::remove_file(disk.disk.join("store/ballast")).unwrap();
    disk.fill();
    let store = disk.disk.join("store");
    let expected = format!(
        "error: cannot prune the store {}\n  caused by: cannot use {}: no space left on device\n\
        hint: free some space on its disk first\n",
        store.display(),
        store.join("store.db").display()
    );
    let ran = disk.run(&["prune"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(4), expected.as_str()));
}
