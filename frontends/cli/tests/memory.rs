//! Memory depends on jobs and blocks, not on the size of a layer.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::fs::File;
use std::process::Stdio;

use run::Workdir;

/// The most memory that a process has used so far, in KiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn a_gibibyte_in_two_encodings_needs_less_than_an_eighth_of_it() {
    let work = Workdir::new();
    work.write("tree/small", "");
    // Without blocks on the disk, and none is read into more than one buffer.
    File::create(work.path("tree/large")).unwrap().set_len(1 << 30).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, work.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let outputs = ["-o", "type=oci,dest=pipe", "-o", "type=oci,dest=zstd.tar,compression=zstd"];
    let mut command =
        work.command(&[&["export", "rootfs:tree", "--jobs=2", "--progress=quiet"], &outputs[..]].concat());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // A pipe is opened when all layers are made and both archives are complete but not published.
    let pipe = File::open(work.path("pipe")).unwrap();
    let peak = peak(child.id());
    drop(pipe);
    child.wait().unwrap();
    assert!(peak < 128 << 10, "{peak} KiB");
}
