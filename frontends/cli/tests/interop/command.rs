//! The one place where other programs run.

use std::process::{Command, Stdio};

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    attempt(command).unwrap_or_else(|stderr| panic!("{command:?} failed:\n{stderr}"))
}

/// Runs a program that may fail: then it returns what it printed on standard error.
pub(crate) fn attempt(command: &mut Command) -> Result<String, String> {
    let ran = command.stdin(Stdio::null()).env("LC_ALL", "C").output();
    let output = ran.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
