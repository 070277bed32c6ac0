//! A run that is killed or interrupted leaves the destination as it was, and the next one cleans up.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::process::{Child, Stdio};

use longshore_testkit::validate;
use run::Workdir;
use rustix::process::{Pid, Signal, kill_process};

/// A run that is certain to be half-way: it reads a pipe that ends when we say so.
struct HalfWay {
    child: Child,
    _pipe: std::fs::File,
}

impl HalfWay {
    fn start(work: &Workdir, outputs: &[&str]) -> Self {
        let mut arguments = vec!["export", "rootfs:tree", "--progress=quiet"];
        outputs.iter().for_each(|output| arguments.extend(["-o", output]));
        let mut command = work.command(&arguments);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        // The run waits to write its archive to the pipe; its layers are made by then.
        let pipe = std::fs::File::open(work.path("pipe")).unwrap();
        Self { child, _pipe: pipe }
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
fn an_interrupt_ends_the_run_soon_and_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let work = workdir();
        let before = work.names();
        let run = HalfWay::start(&work, &OUTPUTS);
        assert_eq!(run.end(signal), Some(130), "{signal:?}");
        assert_eq!(work.read("old.tar"), b"what was there before");
        assert_eq!(work.names(), before);
    }
}
