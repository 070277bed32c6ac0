//! Standard output and standard error that are full, closed, or a pipe that nobody reads.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::process::Command;

use longshore_testkit::validate;
use run::{Ran, Workdir};

/// Runs the command by a shell, which redirects its output.
fn shell(work: &Workdir, arguments: &str, redirection: &str) -> Ran {
    let mut command = Command::new("bash");
    let script = format!("set -o pipefail; \"$LONGSHORE\" {arguments} {redirection}");
    command.args(["-c", &script]).current_dir(work.root()).env("LONGSHORE", env!("CARGO_BIN_EXE_longshore"));
    command.env("LONGSHORE_ROOT", work.store()).env_remove("SOURCE_DATE_EPOCH").output().unwrap().into()
}

fn workdir() -> Workdir {
    let work = Workdir::new();
    work.write("tree/file", "content");
    work.write("not.tar", "x".repeat(2000));
    work
}

const BROKEN: [&str; 4] = ["2>/dev/full", "2>&-", "2> >(exec 0<&-; sleep 0.1)", "2>/dev/null"];

#[test]
fn a_broken_standard_error_decides_nothing() {
    let work = workdir();
    // A full disk, a closed descriptor, a reader that is gone, and none of them.
    for redirection in BROKEN {
        for style in ["plain", "json", "tty", "quiet"] {
            let _ = std::fs::remove_file(work.path("a.tar"));
            let arguments = format!("export rootfs:tree --progress={style} -o type=oci,dest=a.tar");
            let ran = shell(&work, &arguments, redirection);
            assert_eq!(ran.code, Some(0), "{style} {redirection}");
            validate::layout_tar(&work.path("a.tar")).unwrap();
            for (arguments, code) in [
                (format!("export scratch --layer not.tar --progress={style} -o type=oci,dest=b.tar"), 3),
                (format!("export rootfs:tree --progress={style} -o type=oci,dest=a.tar,nothing=1"), 2),
                (format!("export --progress={style} --no-such-flag"), 2),
            ] {
                assert_eq!(shell(&work, &arguments, redirection).code, Some(code), "{arguments} {redirection}");
            }
        }
    }
}

#[test]
fn what_cannot_be_written_to_standard_output_is_an_error() {
    let work = workdir();
    work.ok(&["export", "rootfs:tree", "-o", "type=image,name=app:1"]);
    let commands = [
        "export rootfs:tree -o type=oci,dest=-",
        "export rootfs:tree -o type=docker,dest=-",
        "save app:1",
        "export rootfs:tree --dry-run -o type=image,name=app:2",
        "completion bash",
        "completion zsh",
        "images",
        "images --quiet",
        "du --json",
        "inspect image:app:1",
        "exporters oci",
        "sources",
        "unpack app:1",
        "--help",
        "export --help",
        "--version",
    ];
    for arguments in commands.into_iter().chain(ALSO_PRINT) {
        let ran = shell(&work, arguments, ">/dev/full");
        assert_eq!(ran.code, Some(4), "{arguments}: {}", ran.stderr);
        let said = "cannot write to standard output\n  caused by: no space left on device\n";
        assert!(ran.stderr.ends_with(said), "{arguments}: {}", ran.stderr);
        assert_eq!(shell(&work, arguments, ">/dev/null").code, Some(0), "{arguments}");
    }
    for arguments in commands {
        for redirection in [">&-", "1</dev/null", "1<>/dev/null"] {
            let ran = shell(&work, arguments, redirection);
            assert_eq!(ran.code, Some(4), "{arguments} {redirection}: {}", ran.stderr);
            assert!(ran.stderr.contains("standard output is closed, or /dev/null\n"), "{arguments}: {}", ran.stderr);
        }
    }
    assert_eq!(work.names(), ["not.tar", "tree"]);
}

/// Commands that do more than print: they did it, whether anything reads about it or not.
const ALSO_PRINT: [&str; 3] = ["verify image:app:1", "tag app:1 app:2", "prune"];

/// A program that starts another without its output often opens `/dev/null` for reading, too.
#[test]
fn a_command_that_does_more_than_print_needs_no_standard_output() {
    let work = workdir();
    work.ok(&["export", "rootfs:tree", "-o", "type=image,name=app:1"]);
    for arguments in
        ALSO_PRINT.into_iter().chain(["export rootfs:tree -o type=oci,dest=a.tar", "import a.tar --name b"])
    {
        for redirection in [">&-", "1<>/dev/null"] {
            let ran = shell(&work, arguments, redirection);
            assert_eq!(ran.code, Some(0), "{arguments} {redirection}: {}", ran.stderr);
        }
    }
}
