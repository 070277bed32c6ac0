//! Memory depends on jobs and blocks, not on the size of a layer.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::fs::File;
use std::process::Stdio;

use longshore_testkit::sample::Random;
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

/// The figures of `--jobs` and `compression-level`: levels of zstd from 10 take more than 16 MiB a job.
#[test]
fn high_levels_of_zstd_take_what_their_option_says() {
    const JOBS: u64 = 4;
    let work = Workdir::new();
    // More than a pipe holds, however well the rest compresses: the command waits until its memory is read.
    work.write("tree/noise", Random::new(1).bytes(1 << 20));
    File::create(work.path("tree/large")).unwrap().set_len(256 << 20).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, work.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for (level, limit) in [(9, 16), (11, 72), (12, 72), (15, 72), (22, 72)] {
        let output = format!("type=oci,dest=pipe,compression=zstd,compression-level={level}");
        let jobs = format!("--jobs={JOBS}");
        let arguments = ["export", "rootfs:tree", "--no-store", &jobs, "--progress=quiet", "-o", &output];
        let mut child = work.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let pipe = File::open(work.path("pipe")).unwrap();
        let peak = peak(child.id()) >> 10;
        drop(pipe);
        child.wait().unwrap();
        assert!(peak < 64 + JOBS * limit, "level {level}: {peak} MiB");
    }
    let help = String::from_utf8(work.ok(&["export", "--help"]).stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("for each thread 16 MiB, or up to 72 MiB with zstd from level 10"), "{help}");
}
