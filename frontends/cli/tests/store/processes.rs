//! Many processes with one store, and processes that are killed.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use longshore_core::content::{Collector, ImageStore, PruneOptions};
use longshore_store::EmbeddedStore;
use longshore_testkit::sample::Random;

use super::{assert_whole, prepared};

/// Sixteen processes, twenty exports each, and one that prunes all the while.
#[test]
fn many_processes_lose_nothing() {
    const PROCESSES: usize = 16;
    const EXPORTS: usize = 20;
    let work = prepared();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut rounds = 0;
            while !ended.load(Ordering::SeqCst) {
                work.ok(&["prune"]);
                rounds += 1;
            }
            rounds
        });
        let exporting: Vec<_> = (0..PROCESSES)
            .map(|process| {
                let work = &work;
                scope.spawn(move || {
                    for export in 0..EXPORTS {
                        let label = format!("number={process}.{export}");
                        let output = format!("type=image,name=app{process}:{export}");
                        // Half of them share the same layers, which the others have just collected.
                        let tree = if export % 2 == 0 { "rootfs:tree" } else { "rootfs:etc" };
                        work.ok(&["export", tree, "--jobs=1", "--label", &label, "-o", &output]);
                    }
                })
            })
            .collect();
        exporting.into_iter().for_each(|process| process.join().unwrap());
        ended.store(true, Ordering::SeqCst);
        assert!(pruning.join().unwrap() > 0);
    });
    assert_eq!(assert_whole(&work), PROCESSES * EXPORTS);
    work.ok(&["prune"]);
    assert_eq!(assert_whole(&work), PROCESSES * EXPORTS);
    // Two layers for all, and a configuration and a manifest for each.
    let used = EmbeddedStore::open(work.store()).unwrap().usage().unwrap();
    assert_eq!((used.total(), used.total().count), (used.images, 2 + 2 * (PROCESSES * EXPORTS) as u64));
}

/// A user other than root cannot open a read-only file for writing: a finished blob cannot be continued.
#[test]
fn many_processes_of_an_ordinary_user_import_the_same() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let work = prepared();
    work.write("tree/random", Random::new(1).bytes(3 << 20));
    work.ok(&["export", "rootfs:tree", "--no-store", "-o", "type=oci,name=app:1,dest=a.tar"]);
    work.ok(&["export", "rootfs:tree", "--no-store", "-o", "type=oci,name=app:1,dest=layout,tar=false"]);
    work.copy_command("binary");
    let open = |path: &std::path::Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    [&work.path("binary"), work.root(), work.store()].into_iter().for_each(open);
    for round in 0..3 {
        let root = work.store().join(round.to_string());
        let start = |source: &&str| {
            let mut command = Command::new(work.path("binary"));
            command.args(["import", source, "--progress=quiet"]).current_dir(work.root());
            command.env("LONGSHORE_ROOT", &root).stdout(Stdio::null()).stderr(Stdio::piped());
            if rustix::process::geteuid().is_root() {
                command.uid(65_534).gid(65_534);
            }
            command.spawn().unwrap()
        };
        let children: Vec<_> = ["a.tar", "layout", "a.tar", "layout", "a.tar", "layout"].iter().map(start).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Killed at any time, a run leaves a store that opens, whose images are whole, and that prunes clean.
#[test]
fn kill_9_at_any_time() {
    let work = prepared();
    for file in 0..20 {
        work.write(&format!("tree/{file}"), Random::new(file).bytes(200_000));
    }
    work.ok(&["export", "rootfs:etc", "-o", "type=image,name=before:1"]);
    for round in 0..25 {
        let output = format!("type=image,name=app:{round}");
        let mut child = work.command(&["export", "rootfs:tree", "--progress=quiet", "-o", &output]).spawn().unwrap();
        thread::sleep(Duration::from_millis(4 * round));
        let _ = child.kill();
        child.wait().unwrap();
        assert_whole(&work);
    }
    let store = EmbeddedStore::open(work.store()).unwrap();
    assert!(store.image(&"before:1".parse().unwrap()).unwrap().is_some());
    let names: Vec<_> = store.images().unwrap().into_iter().map(|(name, _)| name).collect();
    store.untag(&names).unwrap();
    store.prune(&PruneOptions::default()).unwrap();
    let files = |directory: &str| std::fs::read_dir(work.store().join(directory)).unwrap().count();
    assert_eq!(["blobs/sha256", "ingest", "leases"].map(files), [0, 0, 0]);
}
