//! A run that is killed or interrupted leaves the destination as it was, and the next one cleans up.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::process::{Child, Stdio};

use longshore_testkit::validate;
use run::{Workdir, heeding};
use rustix::process::{Pid, Signal, kill_process};

/// A run that is certain to be half-way: it reads a pipe that ends when we say so.
struct HalfWay {
    child: Child,
    pipe: std::fs::File,
}

impl HalfWay {
    fn start(work: &Workdir, outputs: &[&str]) -> Self {
        let mut arguments = vec!["export", "rootfs:tree", "--progress=quiet"];
        outputs.iter().for_each(|output| arguments.extend(["-o", output]));
        let child = heeding(&work.command(&arguments)).stderr(Stdio::piped()).spawn().unwrap();
        // The run waits to write its archive to the pipe; its layers are made by then.
        let pipe = std::fs::File::open(work.path("pipe")).unwrap();
        Self { child, pipe }
    }

    /// Waits until the pipe takes no more, so that the run waits for its reader.
    fn fill(&self) {
        while rustix::io::ioctl_fionread(&self.pipe).unwrap() < 60_000 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn workdir() -> Workdir {
    let work = Workdir::new();
    // More than a pipe holds, and nothing that compresses.
    work.write("tree/file", longshore_testkit::sample::Random::new(1).bytes(1 << 20));
    work.write("old.tar", "what was there before");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, work.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    work
}

const OUTPUTS: [&str; 3] = ["type=oci,dest=pipe", "type=oci,dest=old.tar", "type=oci,dest=layout,tar=false"];

#[test]
fn kill_9_half_way() {
    let work = workdir();
    let run = HalfWay::start(&work, &OUTPUTS);
    assert_eq!(run.end(Signal::KILL), None);
    assert_eq!(work.read("old.tar"), b"what was there before");
    assert!(!work.path("layout").exists());
    let left_over = |work: &Workdir| work.names().iter().filter(|name| name.starts_with(".longshore-tmp-")).count();
    assert!(left_over(&work) > 0, "the kill came half-way");
    work.ok(&["export", "rootfs:tree", "-o", OUTPUTS[1], "-o", OUTPUTS[2]]);
    assert_eq!(left_over(&work), 0);
    validate::layout_tar(&work.path("old.tar")).unwrap();
    validate::layout_dir(&work.path("layout")).unwrap();
}

#[test]
fn a_signal_ends_the_run_soon_and_leaves_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let work = workdir();
        let before = work.names();
        let run = HalfWay::start(&work, &OUTPUTS);
        assert_eq!(run.end(signal), Some(code), "{signal:?}");
        assert_eq!(work.read("old.tar"), b"what was there before");
        assert_eq!(work.names(), before);
    }
}

/// The pipe of its archive is full, so the run does not listen: the first signal takes its time.
#[test]
fn the_second_signal_ends_the_run_without_its_leave() {
    let work = workdir();
    let mut run = HalfWay::start(&work, &OUTPUTS);
    run.fill();
    let pid = Pid::from_child(&run.child);
    kill_process(pid, Signal::TERM).unwrap();
    // Two signals at the same time would be one.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(run.child.try_wait().unwrap(), None, "it is waited for");
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(run.child.wait().unwrap().code(), Some(130));
    let left_over = work.names().iter().filter(|name| name.starts_with(".longshore-tmp-")).count();
    assert!(left_over > 0, "nothing was waited for");
    work.ok(&["export", "rootfs:tree", "-o", OUTPUTS[1], "-o", OUTPUTS[2]]);
    assert_eq!(work.names(), ["layout", "old.tar", "pipe", "tree"]);
}

/// Standard error is a full pipe, and a thread waits to write to it.
#[test]
fn a_standard_error_that_nobody_reads_does_not_make_deaf() {
    let work = workdir();
    let mut command = work.command(&["export", "rootfs:tree", "--progress=json", "-o", "type=oci,dest=o.tar"]);
    for number in 0..400 {
        work.write(&format!("layers/{number}/file"), number.to_string());
        command.args(["--layer", &format!("layers/{number}")]);
    }
    let mut child = heeding(&command).stderr(Stdio::piped()).spawn().unwrap();
    // Until it waits for the pipe: nothing more happens.
    let state = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let mut before = String::new();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = state(child.id());
        if now == before {
            break;
        }
        before = now;
    }
    assert_eq!(child.try_wait().unwrap(), None, "it waits");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let work = workdir();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_longshore")]);
    command.args(["export", "rootfs:tree", "--progress=quiet", "-o", OUTPUTS[0], "-o", OUTPUTS[1]]);
    let mut child = command.current_dir(work.root()).env("LONGSHORE_ROOT", work.store()).spawn().unwrap();
    let mut pipe = std::fs::File::open(work.path("pipe")).unwrap();
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    std::io::copy(&mut pipe, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    validate::layout_tar(&work.path("old.tar")).unwrap();
}

/// Blocks that wait for a slow compressor are dropped, so that the run ends by itself and removes what it made.
#[test]
fn a_signal_during_slow_compression_leaves_nothing() {
    let work = Workdir::new();
    let text: Vec<u8> = longshore_testkit::sample::Random::new(2).bytes(48 << 20).iter().map(|b| b & 15).collect();
    work.write("tree/file", text);
    let output = "type=image,name=slow:1,compression=zstd,compression-level=15";
    let arguments = ["export", "rootfs:tree", "--jobs=1", "--progress=quiet", "-o", output];
    let mut child = heeding(&work.command(&arguments)).spawn().unwrap();
    let entries = |name: &str| std::fs::read_dir(work.store().join(name)).map_or(0, Iterator::count);
    while entries("ingest") == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!((entries("ingest"), entries("leases")), (0, 0));
}

/// What a run waits for, and renames, in order: system calls with the paths of descriptors; `None` without strace.
fn flushes(work: &Workdir, arguments: &[&str]) -> Option<Vec<String>> {
    // A store makes its own directory, and no parent of it.
    std::fs::create_dir_all(work.path("deep/data")).unwrap();
    let mut command = std::process::Command::new("strace");
    let calls = "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2";
    command.args(["-f", "-qq", "-y", "-s", "4096", "-e", "signal=none", "-e", calls, "-o", "trace"]);
    command.arg(env!("CARGO_BIN_EXE_longshore")).args(arguments).current_dir(work.root());
    let ran = command.env("LONGSHORE_ROOT", work.path("deep/data/store")).output();
    if !ran.as_ref().is_ok_and(|ran| ran.status.success()) {
        assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "cannot trace: {ran:?}");
        eprintln!("skipped: cannot trace: {ran:?}");
        return None;
    }
    let trace = String::from_utf8(work.read("trace")).unwrap();
    std::fs::remove_file(work.path("trace")).unwrap();
    Some(trace.lines().filter(|line| line.contains(" = 0")).map(str::to_owned).collect())
}

/// The place in `calls` of a call that begins with `call` and is about `path`.
fn place(calls: &[String], call: &str, path: &std::path::Path) -> Option<usize> {
    let ends = [format!("<{}>", path.display()), format!("\"{}\")", path.display())];
    calls.iter().position(|line| line.contains(call) && ends.iter().any(|end| line.contains(end)))
}

#[test]
fn new_layouts_and_stores_are_flushed_with_their_parents() {
    let work = workdir();
    let root = work.root().canonicalize().unwrap();
    // Parents that are missing are taken for mistyped ones.
    std::fs::create_dir_all(work.path("out/of")).unwrap();
    let output = "type=oci,dest=out/of/layout,tar=false";
    let Some(calls) = flushes(&work, &["export", "rootfs:tree", "-o", output]) else { return };
    // The layout is made beside its place: what is in it is flushed before it is renamed, and its name after.
    let named = place(&calls, "rename(", std::path::Path::new("out/of/layout"));
    let last = |directory: &str| calls.iter().rposition(|line| line.contains("fsync(") && line.contains(directory));
    assert!(named.is_some() && last("/blobs>") < named && named < last("out/of>"), "{calls:#?}");
    for directory in ["out/of", "deep/data", "deep/data/store"] {
        let path = root.join(directory);
        assert!(place(&calls, "fsync(", &path).is_some(), "{directory}: {calls:#?}");
    }
}

#[test]
fn an_unpacked_tree_is_flushed_before_it_is_named_and_its_name_after() {
    let work = workdir();
    let root = work.root().canonicalize().unwrap();
    std::fs::create_dir_all(work.path("deep/data")).unwrap();
    std::fs::create_dir(work.path("new")).unwrap();
    let export = ["--store", "deep/data/store", "export", "rootfs:tree", "-o", "type=image,name=app:1"];
    work.ok(&export);
    let to = root.join("new/tree");
    let Some(calls) = flushes(&work, &["unpack", "app:1", "--to", to.to_str().unwrap()]) else { return };
    let flushed = calls.iter().position(|line| line.contains("syncfs("));
    let named = place(&calls, "rename(", &to);
    let kept = place(&calls, "fsync(", &root.join("new"));
    let last = calls.iter().rposition(|line| line.contains("fsync(") && line.contains("new>"));
    assert!(flushed.is_some() && flushed < named && named < last && kept.is_some(), "{calls:#?}");
}

/// A new layout is staged in its parent, where a run that finds the layout has nothing to stage.
#[test]
fn what_was_left_beside_a_layout_is_removed_by_the_next_run() {
    let work = workdir();
    work.ok(&["export", "rootfs:tree", "-o", OUTPUTS[2]]);
    for place in [".longshore-tmp-beside", "layout/.longshore-tmp-inside"] {
        work.write(&format!("{place}/blob"), "x");
    }
    work.ok(&["export", "rootfs:tree", "-o", OUTPUTS[2]]);
    assert_eq!(work.names(), ["layout", "old.tar", "pipe", "tree"]);
    assert!(!work.path("layout/.longshore-tmp-inside").exists());
}
