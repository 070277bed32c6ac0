//! Programs of other projects as they are today: Debian's testing suite, in a root of its own (testdata/README.md).

pub mod daemon;
pub mod docker;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where they are installed; nothing, which is said, where they cannot be run. What is installed is no reason to skip.
pub fn root() -> Option<&'static Path> {
    static ROOT: OnceLock<Result<PathBuf, &str>> = OnceLock::new();
    match ROOT.get_or_init(find) {
        Ok(root) => Some(root),
        Err(reason) => {
            // Past the harness, which hides the output of tests that pass.
            let _ = writeln!(io::stderr(), "skipped: {reason}");
            None
        }
    }
}

fn find() -> Result<PathBuf, &'static str> {
    let made = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/today");
    let root = std::env::var_os("LONGSHORE_TODAY").map_or_else(made, PathBuf::from);
    let root = root.canonicalize().map_err(|_| "the peers of today are not installed: see testdata/README.md")?;
    if rustix::process::geteuid().is_root() { Ok(root) } else { Err("the peers of today need root") }
}

/// A program below `root`, which sees the files of this machine that tests write.
pub fn command(root: &Path, program: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/enter.sh"));
    command.arg(root).arg(env!("CARGO_TARGET_TMPDIR")).arg(program);
    // The root has its programs where Debian has them, whatever this machine says.
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}
