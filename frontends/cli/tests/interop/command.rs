//! The one place where other programs run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::peers::{Peer, SKOPEO};

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    attempt(command).unwrap_or_else(|stderr| panic!("{command:?} failed:\n{stderr}"))
}

/// Runs a program that may fail: then it returns what it printed on standard error.
pub(crate) fn attempt(command: &mut Command) -> Result<String, String> {
    attempt_with(command, Stdio::null())
}

/// Runs a program that may fail, with an input.
pub(crate) fn attempt_with(command: &mut Command, input: Stdio) -> Result<String, String> {
    let ran = command.stdin(input).env("LC_ALL", "C").output();
    let output = ran.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// `longshore export` in a directory.
pub(crate) fn longshore_export(directory: &Path) -> Command {
    let mut command = longshore(directory);
    command.args(["export", "--progress=quiet"]);
    command
}

/// `longshore` in a directory.
pub(crate) fn longshore(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.current_dir(directory).env_remove("SOURCE_DATE_EPOCH").env("LONGSHORE_ROOT", store_root());
    command
}

/// Debian 12's skopeo.
pub(crate) fn skopeo(command: &str) -> Command {
    skopeo_of(&SKOPEO, command)
}

/// skopeo, without the policy on signatures that a system may or may not have.
pub(crate) fn skopeo_of(peer: &Peer, command: &str) -> Command {
    let mut skopeo = peer.command();
    skopeo.args(["--insecure-policy", command]);
    skopeo
}

/// The image store of all these tests, which several processes use at the same time.
pub(crate) fn store_root() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-store")
}
