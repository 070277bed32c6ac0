//! A daemon that does not outlive the process that started it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends the daemon, and removes its files, when its standard input ends: that of a process that was killed does, too.
const SUPERVISOR: &str = r#"
state=$1
shift
trap '' HUP INT
"$@" </dev/null &
read -r _
kill "$!"
wait "$!"
rm -rf "$state"
"#;

/// A running daemon. It ends when this is dropped, and a static one with the process.
#[derive(Debug)]
pub struct Daemon {
    supervisor: Child,
    /// Its directory, with a short path for sockets.
    state: PathBuf,
}

impl Daemon {
    /// Starts what `command` makes of the directory of the daemon. Its log is the file `log` there.
    pub fn start(command: impl FnOnce(&Path) -> Command) -> Self {
        let state = tempfile::tempdir().unwrap().keep();
        let command = command(&state);
        let log = std::fs::File::create(state.join("log")).unwrap();
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(&state).arg(command.get_program()).args(command.get_args());
        supervisor.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        supervisor.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { supervisor: supervisor.spawn().unwrap(), state }
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.join("log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}
