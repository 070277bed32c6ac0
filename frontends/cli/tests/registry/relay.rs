//! TLS in front of a registry of the test kit.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::interop::peers::missing;

/// Takes connections with TLS and passes what is in them to `sys.argv[1]`, until its input ends.
const SCRIPT: &str = "
import socket, ssl, sys, threading
host, port = sys.argv[1].rsplit(':', 1)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(raw):
    try:
        client = context.wrap_socket(raw, server_side=True)
    except OSError:
        return
    server = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)
    client.close()
def accept(listener):
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=serve, args=(raw,), daemon=True).start()
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=accept, args=(listener,), daemon=True).start()
sys.stdin.read()
";

/// A port of this machine where a registry is reached with TLS.
pub(super) struct Relay {
    process: Child,
    pub(super) port: u16,
}

impl Relay {
    /// `None` without Python.
    pub(super) fn start(to: SocketAddr, certificate: &Path, key: &Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, &to.to_string()]).arg(certificate).arg(key);
        let Ok(mut process) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            missing("python3 is not installed");
            return None;
        };
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { process, port: port.trim().parse().unwrap() })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}
