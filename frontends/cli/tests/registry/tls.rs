//! Certificates: an authority of the test's own, a server, and clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use longshore_testkit::registry::{Registry, Rule, TokenOptions};
use serde_json::json;

use super::docker_registry::{Certificates, DockerRegistry, Options, is_ready};
use super::machine::{Machine, document, layers};
use super::relay::Relay;
use crate::interop::command::run;
use crate::interop::peers::missing;

/// For `openssl`, which otherwise asks the settings of the machine.
const CONFIGURATION: &str = "
[req]
distinguished_name = name
prompt = no
[name]
CN = test
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
";

/// An authority with what it certified: `NAME.crt` and `NAME.key`.
struct Authority(tempfile::TempDir);

impl Authority {
    /// With a server and a client; `None` where there is no openssl.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            missing("openssl is not installed");
            return None;
        }
        let authority = Self(tempfile::tempdir().unwrap());
        std::fs::write(authority.path("openssl.cnf"), CONFIGURATION).unwrap();
        authority.openssl(&["req", "-x509", "-extensions", "authority", "-days", "2", "-out", "ca.crt"], "ca");
        for name in ["server", "client"] {
            authority.openssl(&["req", "-out", "request"], name);
            let signed = format!("{name}.crt");
            let sign = ["x509", "-req", "-in", "request", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
            let more = ["-days", "2", "-extfile", "openssl.cnf", "-extensions", name, "-out", &signed];
            run(authority.command().args(sign).args(more));
        }
        Some(authority)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path());
        command
    }

    /// Runs `openssl req` with a new key called `name`.
    fn openssl(&self, arguments: &[&str], name: &str) {
        let subject = format!("/CN=longshore test {name}");
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let mut command = self.command();
        command.args(arguments).args(key).args(["-config", "openssl.cnf", "-subj", &subject]);
        run(command.args(["-keyout", &format!("{name}.key")]));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn registry(&self, clients: Option<&Self>) -> DockerRegistry {
        let (certificate, key) = (self.path("server.crt"), self.path("server.key"));
        let clients = clients.map(|authority| authority.path("ca.crt"));
        let tls = Some(Certificates { certificate, key, clients });
        DockerRegistry::with(&Options { tls, ..Options::default() }).unwrap()
    }
}

fn authority() -> Option<Authority> {
    Authority::new().filter(|_| is_ready())
}

/// Puts a file where the settings of a registry are.
fn place(machine: &Machine, host: &str, name: &str, file: &Path) {
    machine.configure(&format!("settings/longshore/certs.d/{host}/{name}"), std::fs::read(file).unwrap());
}

fn machine() -> Machine {
    let mut machine = Machine::new();
    let settings = machine.home().join("settings").to_str().unwrap().to_owned();
    machine.set("XDG_CONFIG_HOME", settings);
    machine
}

/// Pushes, and reads back if that works without options.
fn pushes(machine: &Machine, registry: &DockerRegistry, host: &str, options: &str) {
    let name = format!("{host}/app:1");
    let (_, digest) = machine.export_one(&["rootfs:tree", "-o", &format!("type=registry,name={name}{options}")]);
    assert_eq!(registry.tag("app", "1"), Some(digest.clone()));
    if options.is_empty() {
        let verified = machine.ok(&["verify", &format!("docker://{name}")]);
        assert_eq!(String::from_utf8(verified.stdout).unwrap(), format!("ok {digest} {name}\n"));
    }
}

fn is_refused(machine: &Machine, registry: &DockerRegistry, host: &str, options: &str) {
    let output = format!("type=registry,name={host}/app:1{options}");
    let ran = machine.fails(&["export", "rootfs:tree", "-o", &output], 4, &["certificate", host]);
    assert!(!ran.stderr.contains("retrying"), "what is not trusted is not tried again: {}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
    assert!(registry.is_empty());
}

#[test]
fn an_authority_that_nobody_knows_is_refused_until_it_is_in_the_settings() {
    let Some(authority) = authority() else { return };
    let registry = authority.registry(None);
    let (machine, host) = (machine(), registry.host());
    is_refused(&machine, &registry, &host, "");
    let hint = "hint: put the certificate of its CA into ~/.config/longshore/certs.d/HOST:PORT/ca.crt";
    machine.fails(&["inspect", &format!("docker://{host}/app:1")], 4, &[hint]);
    place(&machine, &host, "ca.crt", &authority.path("ca.crt"));
    pushes(&machine, &registry, &host, "");
    let local = format!("localhost:{}", registry.address().port());
    is_refused_elsewhere(&machine, &local);
    place(&machine, &local, "ca.crt", &authority.path("ca.crt"));
    pushes(&machine, &registry, &local, "");
}

/// The settings of a host are for that name of it alone.
fn is_refused_elsewhere(machine: &Machine, host: &str) {
    let output = format!("type=registry,name={host}/other:1");
    machine.fails(&["export", "rootfs:tree", "-o", &output], 4, &["certificate", "hint: "]);
}

#[test]
fn another_authority_is_no_help() {
    let Some(authority) = authority() else { return };
    let registry = authority.registry(None);
    let (machine, host) = (machine(), registry.host());
    place(&machine, &host, "ca.crt", &Authority::new().unwrap().path("ca.crt"));
    is_refused(&machine, &registry, &host, "");
}

#[test]
fn an_insecure_registry_is_not_checked() {
    let Some(authority) = authority() else { return };
    let registry = authority.registry(None);
    pushes(&machine(), &registry, &registry.host(), ",registry.insecure=true");
}

#[test]
fn a_client_certificate_is_shown_where_the_settings_have_one() {
    let Some(authority) = authority() else { return };
    let registry = authority.registry(Some(&authority));
    let (machine, host) = (machine(), registry.host());
    place(&machine, &host, "ca.crt", &authority.path("ca.crt"));
    is_refused(&machine, &registry, &host, "");
    // One of someone whom the registry does not know.
    let stranger = Authority::new().unwrap();
    place(&machine, &host, "client.cert", &stranger.path("client.crt"));
    place(&machine, &host, "client.key", &stranger.path("client.key"));
    is_refused(&machine, &registry, &host, "");
    place(&machine, &host, "client.cert", &authority.path("client.crt"));
    place(&machine, &host, "client.key", &authority.path("client.key"));
    pushes(&machine, &registry, &host, "");
}

#[test]
fn settings_that_lack_a_part_are_named() {
    let Some(authority) = authority() else { return };
    let registry = authority.registry(None);
    let (machine, host) = (machine(), registry.host());
    place(&machine, &host, "client.cert", &authority.path("client.crt"));
    let output = format!("type=registry,name={host}/app:1");
    let said = ["cannot use the certificates in", "client.key", "no such file"];
    machine.fails(&["export", "rootfs:tree", "-o", &output], 3, &said);
    machine.configure(&format!("settings/longshore/certs.d/{host}/client.key"), "no key");
    machine.fails(&["export", "rootfs:tree", "-o", &output], 3, &["no private key found in ", "client.key"]);
    assert!(registry.is_empty());
}

fn relay(authority: &Authority, registry: &Registry) -> Option<Relay> {
    Relay::start(registry.address(), &authority.path("server.crt"), &authority.path("server.key"))
}

/// The authority of a registry counted at the registry's own port alone.
#[test]
fn an_authority_counts_for_the_token_server_at_another_port_of_the_host() {
    let Some(authority) = Authority::new() else { return };
    for (name, is_own) in [("127.0.0.1", true), ("localhost", false)] {
        let registry = Registry::builder().tokens(TokenOptions::default()).start();
        let Some(own) = relay(&authority, &registry) else { return };
        let tokens = relay(&authority, &registry).unwrap();
        let challenge = format!("Bearer realm=\"https://{name}:{}/token\",service=\"test\"", tokens.port);
        registry.fail(Rule::on("*", "/v2/").header("WWW-Authenticate", &challenge).times(1000));
        let (machine, host) = (machine(), format!("127.0.0.1:{}", own.port));
        let logins = json!({ "auths": { &host: { "auth": "dXNlcjpwYXNzd29yZA==" } } });
        machine.configure(".docker/config.json", logins.to_string());
        let output = format!("type=registry,name={host}/app:1");
        let export = ["export", "rootfs:tree", "--no-store", "-o", &output];
        machine.fails(&export, 4, &["certificate", "hint: "]);
        assert!(!registry.requests().iter().any(|request| request.path == "/token"));
        place(&machine, &host, "ca.crt", &authority.path("ca.crt"));
        if is_own {
            machine.ok(&export);
            assert!(registry.requests().iter().any(|request| request.path == "/token"));
            machine.ok(&["verify", &format!("docker://{host}/app:1")]);
        } else {
            // Another name is another host, wherever it leads.
            machine.fails(&export, 4, &["certificate", &format!("localhost:{}", tokens.port)]);
            assert_eq!(registry.tags("app"), Vec::<String>::new());
        }
    }
}

#[test]
fn an_authority_counts_for_blobs_at_another_port_of_the_host() {
    let Some(authority) = Authority::new() else { return };
    for (name, is_own) in [("127.0.0.1", true), ("localhost", false)] {
        let [registry, storage] = [Registry::start(), Registry::start()];
        let Some(own) = relay(&authority, &registry) else { return };
        let other = relay(&authority, &storage).unwrap();
        let (machine, host) = (machine(), format!("127.0.0.1:{}", own.port));
        place(&machine, &host, "ca.crt", &authority.path("ca.crt"));
        for registry in [&registry, &storage] {
            let output = format!("type=registry,name={}/app:1", registry.host());
            machine.ok(&["export", "rootfs:tree", "--no-store", "-o", &output]);
        }
        let manifest = document(&registry, "app", "1");
        for digest in layers(&manifest) {
            let url = format!("https://{name}:{}/v2/app/blobs/{digest}", other.port);
            registry.fail(Rule::on("GET", &digest.to_string()).redirect(&url).times(1000));
        }
        storage.clear_requests();
        let verify = ["verify", &format!("docker://{host}/app:1")];
        if is_own {
            machine.ok(&verify);
            assert_eq!(storage.requests().len(), layers(&manifest).len());
        } else {
            let ran = machine.run(&verify);
            assert!(ran.code != Some(0), "{}", String::from_utf8_lossy(&ran.stdout));
            assert!(storage.requests().is_empty());
        }
    }
}

#[test]
fn a_host_in_capitals_finds_its_settings() {
    let Some(authority) = Authority::new() else { return };
    let registry = Registry::start();
    let Some(own) = relay(&authority, &registry) else { return };
    for (directory, name) in [("LocalHost", "localhost"), ("localhost", "LOCALHOST")] {
        let machine = machine();
        let host = format!("{name}:{}", own.port);
        let export = ["export", "rootfs:tree", "--no-store", "-o", &format!("type=registry,name={host}/app:1")];
        machine.fails(&export, 4, &["certificate", "hint: "]);
        place(&machine, &format!("{directory}:{}", own.port), "ca.crt", &authority.path("ca.crt"));
        machine.ok(&export);
    }
    assert_eq!(registry.tags("app"), ["1"]);
}
