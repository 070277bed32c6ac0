//! Programs that a test runs, and those that it writes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a script that can be run at once. Another process writes it: a program that some other thread of the test starts
/// meanwhile would inherit the open file from this one, and what is open for writing cannot be run.
///
/// # Panics
/// If it cannot be written.
pub fn write_executable(path: &Path, script: &str) {
    let mut shell = Command::new("sh")
        .args(["-c", r#"cat >"$1" && chmod 755 "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = shell.stdin.take().expect("its standard input");
    input.write_all(script.as_bytes()).expect("a shell that reads");
    drop(input);
    assert!(shell.wait().expect("a shell").success(), "cannot write {}", path.display());
}

/// Whether all `programs` are installed. A missing one is said, and is a failure where `LONGSHORE_REQUIRE_PEERS` is set.
///
/// # Panics
/// If one is missing that has to be there.
pub fn are_installed(programs: &[&str]) -> bool {
    let is_here = |program: &&&str| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let Some(missing) = programs.iter().find(|program| !is_here(program)) else { return true };
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{missing} is not installed");
    eprintln!("skipped: {missing} is not installed");
    false
}
