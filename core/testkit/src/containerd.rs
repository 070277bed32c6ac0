//! A containerd of a test's own: its data, its state and its sockets are in a temporary directory.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where a containerd comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The one that is installed on this machine.
    Installed,
    /// The one in the root that `LONGSHORE_TODAY` names.
    Today,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Installed, Self::Today];

    /// Returns a program of this release; `None`, which is said, where it cannot be run.
    ///
    /// # Panics
    /// If it cannot be run though `LONGSHORE_REQUIRE_PEERS` is set.
    fn command(self, program: &str) -> Option<Command> {
        if !rustix::process::geteuid().is_root() {
            return missing("containerd needs root");
        }
        match self {
            Self::Installed => {
                let is_there = Command::new(program).arg("--version").output().is_ok();
                if is_there { Some(Command::new(program)) } else { missing(&format!("{program} is not installed")) }
            }
            Self::Today => {
                let made = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/today");
                let root = std::env::var_os("LONGSHORE_TODAY").map_or_else(made, PathBuf::from);
                let Ok(root) = root.canonicalize() else { return missing("the peers of today are not installed") };
                let mut command = Command::new("sh");
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/enter.sh"));
                command.arg(root).arg("/tmp").arg(program);
                command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
                Some(command)
            }
        }
    }
}

/// Says what is skipped past the harness, which hides the output of tests that pass.
fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_none(), "{what}");
    let _ = writeln!(io::stderr(), "skipped: {what}");
    None
}

/// Ends the daemon, and removes its files, when its standard input ends: that of a process that was killed does, too.
/// Its data is on a file system of its own, which every kernel can put an overlay on.
const SUPERVISOR: &str = r#"
state=$1
shift
trap '' HUP INT
mount -t tmpfs tmpfs "$state/root" || exit
"$@" </dev/null &
read -r _
kill "$!"
wait "$!"
for place in $(sed -n "s,^[^ ]* [^ ]* [^ ]* [^ ]* \($state/[^ ]*\) .*,\1,p" /proc/self/mountinfo | sort -r); do
	umount --lazy "$place"
done
rm -rf "$state"
"#;

/// Runs a command with another file system on a directory, after its number was written to a file.
const HIDDEN: &str = r#"mount -t tmpfs tmpfs "$1"; echo $$ >"$2"; shift 2; exec "$@""#;

/// How a containerd is configured.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Options {
    /// Whether a namespace sees blobs of others when it asks for them by digest, which is containerd's default.
    pub is_shared: bool,
    /// Whether it serves Kubernetes, too.
    pub is_of_kubernetes: bool,
    /// Whether its data is in a mount namespace of its own, where this process does not see it.
    pub is_hidden: bool,
    /// A plugin that it does not load.
    pub disabled: Option<&'static str>,
}

impl Options {
    /// Lets a namespace see blobs of others when it asks for them by digest.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Loads the plugin for Kubernetes.
    #[must_use]
    pub fn of_kubernetes(self) -> Self {
        Self { is_of_kubernetes: true, ..self }
    }

    /// Puts its data where this process does not see it.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self { is_hidden: true, ..self }
    }

    /// Leaves a plugin out.
    #[must_use]
    pub fn without(self, plugin: &'static str) -> Self {
        Self { disabled: Some(plugin), ..self }
    }
}

/// A running containerd. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Containerd {
    supervisor: Child,
    release: Release,
    /// Its directory, with a short path for sockets.
    state: PathBuf,
}

impl Containerd {
    /// Starts a containerd that collects only when asked; `None`, which is said, where it cannot be run.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn start(release: Release, options: Options) -> Option<Self> {
        release.command("containerd")?;
        let state = tempfile::tempdir().expect("a temporary directory").keep();
        let mut command = release.command(if options.is_hidden { "unshare" } else { "containerd" })?;
        if options.is_hidden {
            command
                .args(["--mount", "sh", "-euc", HIDDEN, "sh"])
                .arg(state.join("root"))
                .arg(state.join("pid"))
                .arg("containerd");
        }
        fs::create_dir(state.join("root")).expect("a directory");
        fs::write(state.join("config.toml"), config(&state, options)).expect("a configuration");
        let log = fs::File::create(state.join("log")).expect("a log");
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(&state).arg(command.get_program()).args(command.get_args());
        supervisor.arg("--config").arg(state.join("config.toml"));
        supervisor.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        supervisor.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log")).stderr(log);
        let daemon = Self { supervisor: supervisor.spawn().expect("a shell"), release, state };
        let until = Instant::now() + Duration::from_secs(60);
        while !daemon.ctr("default", &["version"]).status.success() {
            let log = || fs::read_to_string(daemon.state.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "containerd does not answer:\n{}", log());
            sleep(Duration::from_millis(50));
        }
        Some(daemon)
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.state.join("socket")
    }

    /// Returns a directory that the daemon sees, too, and that goes with it.
    pub fn place(&self) -> &Path {
        &self.state
    }

    /// Returns where it comes from.
    pub fn release(&self) -> Release {
        self.release
    }

    /// Runs `ctr` in a namespace.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn ctr(&self, namespace: &str, arguments: &[&str]) -> Output {
        let mut command = match fs::read_to_string(self.state.join("pid")) {
            // ctr looks into the images that it runs.
            Ok(pid) => {
                let mut command = Command::new("nsenter");
                command.args(["--mount", "--target", pid.trim(), "ctr"]);
                command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
                command
            }
            Err(_) => self.release.command("ctr").expect("ctr"),
        };
        command.arg("--address").arg(self.socket()).args(["--namespace", namespace]).args(arguments);
        command.stdin(Stdio::null()).output().expect("ctr")
    }

    /// Runs `ctr`, which must succeed; returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn ctr_ok(&self, namespace: &str, arguments: &[&str]) -> String {
        let output = self.ctr(namespace, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "ctr {}: {}", arguments.join(" "), text(&output.stderr));
        text(&output.stdout)
    }

    /// Collects everything that nothing holds, and waits for it.
    ///
    /// # Panics
    /// If it fails.
    pub fn collect(&self) {
        // The end of any lease collects in all namespaces.
        self.ctr_ok("collect", &["leases", "create", "--id", "collect"]);
        self.ctr_ok("collect", &["leases", "delete", "--sync", "collect"]);
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn config(state: &Path, options: Options) -> String {
    let policy = if options.is_shared { "shared" } else { "isolated" };
    // Nothing in /opt.
    let disabled = Some("io.containerd.internal.v1.opt").into_iter().chain(options.disabled);
    let disabled = disabled.chain((!options.is_of_kubernetes).then_some("io.containerd.grpc.v1.cri"));
    let disabled: Vec<String> = disabled.map(|plugin| format!("\"{plugin}\"")).collect();
    format!(
        r#"version = 2
root = "{state}/root"
state = "{state}/state"
disabled_plugins = [{disabled}]
[grpc]
address = "{state}/socket"
[ttrpc]
address = "{state}/ttrpc"
[plugins."io.containerd.gc.v1.scheduler"]
mutation_threshold = 0
deletion_threshold = 1000000
# It collects what was deleted whenever it has not done so for this share of the time.
pause_threshold = 0.0000001
startup_delay = "0s"
[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "{policy}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{state}/cni"
conf_dir = "{state}/cni"
"#,
        state = state.display(),
        disabled = disabled.join(", "),
    )
}
