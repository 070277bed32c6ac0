//! Engines that are not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::interop::command::{attempt, longshore, run};
use crate::interop::peers::{is_root, missing};

/// `longshore` in a directory, with an engine.
fn command(directory: &tempfile::TempDir, host: &str, arguments: &[&str]) -> Command {
    let mut command = longshore(directory.path());
    command.args(arguments).env("DOCKER_HOST", host).env("LONGSHORE_ROOT", directory.path().join("store"));
    command.env("DOCKER_CONFIG", directory.path().join("no-settings"));
    command
}

/// The source does not exist: it was not even looked for.
pub(crate) fn fails_before_the_build() {
    let directory = tempfile::tempdir().unwrap();
    let dead = directory.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    for (host, context, expected) in [
        (
            "unix:///missing/socket",
            "",
            "cannot connect to the Docker Engine at unix:///missing/socket: there is no such socket",
        ),
        (&format!("unix://{}", dead.display()), "", "nothing listens there"),
        ("tcp://127.0.0.1:1", "", "cannot connect to the Docker Engine at tcp://127.0.0.1:1: nothing listens there"),
        ("ssh://me@host", "", "ssh:// is not supported"),
        ("/var/run/docker.sock", "", "is not the address of a Docker Engine"),
        ("", ",context=far", "cannot use the Docker context `far`"),
    ] {
        let output = format!("type=docker,name=app:1{context}");
        let arguments = ["export", "--progress=quiet", "rootfs:missing", "-o", &output];
        let error = attempt(&mut command(&directory, host, &arguments)).unwrap_err();
        assert!(error.contains(expected) && error.contains("dest=FILE"), "{host}: {error}");
        assert!(!error.contains("rootfs:missing"), "{error}");
        let error = attempt(&mut command(&directory, host, &["inspect", &format!("docker-daemon:app:1{context}")]));
        assert!(error.unwrap_err().contains(expected), "{host}");
    }
}

pub(crate) fn a_plan_asks_no_engine() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("tree")).unwrap();
    let arguments = ["export", "--dry-run", "rootfs:tree", "-o", "type=docker,name=app:1"];
    let plan = run(&mut command(&directory, "unix:///missing/socket", &arguments));
    assert!(plan.starts_with("type=docker\n  image docker.io/library/app:1"), "{plan}");
}

pub(crate) fn a_socket_without_permission_is_denied() {
    if !is_root() {
        missing("another user's socket needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = directory.path().join("socket");
    let _engine = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_longshore"), directory.path().join("longshore")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(directory.path().join("longshore"));
    command.args(["inspect", "docker-daemon:app:1"]).current_dir(directory.path());
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("HOME", "/").env("TMPDIR", "/tmp");
    let error = attempt(&mut command).unwrap_err();
    assert!(error.contains(&format!("at unix://{}: permission denied", socket.display())), "{error}");
    assert!(error.contains("group that owns the socket"), "{error}");
}
