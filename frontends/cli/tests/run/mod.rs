//! Runs the command in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A temporary directory in which the command runs, and one for its image store.
pub struct Workdir {
    root: tempfile::TempDir,
    store: tempfile::TempDir,
}

/// What a run of the command came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Workdir {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), store: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Where the image store of the command is.
    pub fn store(&self) -> &Path {
        self.store.path()
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, relative: &str) -> Vec<u8> {
        std::fs::read(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// Copies the command, for another user or another place. Another process writes the copy: one that a test starts
    /// meanwhile would inherit the open file from this one, and a program that is open for writing is busy.
    pub fn copy_command(&self, relative: &str) {
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_longshore")).arg(self.path(relative)).status();
        assert!(copied.unwrap().success());
    }

    /// The names in the directory, without those that begin with `except`.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The command with arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(arguments).current_dir(self.root()).stdin(Stdio::null()).env_remove("SOURCE_DATE_EPOCH");
        command.env("LONGSHORE_ROOT", self.store()).env_remove("LONGSHORE_PLUGINS");
        command
    }

    /// Runs the command.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs the command, which must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "longshore {}\n{}", arguments.join(" "), ran.stderr);
        ran
    }
}

/// The command as a shell in the foreground starts it: a background job, as the tests may be one, ignores signals.
pub fn heeding(command: &Command) -> Command {
    let mut heeding = Command::new("env");
    heeding.arg("--default-signal=HUP,INT,TERM").arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => heeding.env(key, value),
            None => heeding.env_remove(key),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        heeding.current_dir(directory);
    }
    heeding.stdin(Stdio::null());
    heeding
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
