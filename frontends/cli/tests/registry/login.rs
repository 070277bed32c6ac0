//! Passwords: where they are found, and that they are seen nowhere.

use std::process::Command;

use serde_json::json;

use super::docker_registry::{DockerRegistry, Options};
use super::machine::Machine;

/// Whom the registry knows: see `testdata/registry/README.md`.
const PASSWORD: &str = "s3cr3t-password";
/// `user:` and the password in base64.
const AUTH: &str = "dXNlcjpzM2NyM3QtcGFzc3dvcmQ=";
const WRONG_PASSWORD: &str = "wr0ng-password";
const WRONG_AUTH: &str = "dXNlcjp3cjBuZy1wYXNzd29yZA==";

fn start() -> Option<DockerRegistry> {
    DockerRegistry::with(&Options { has_passwords: true, ..Options::default() })
}

/// Settings with an entry for one registry.
fn auths(host: &str, auth: &str) -> String {
    json!({ "auths": { host: { "auth": auth } } }).to_string()
}

fn assert_secret(stderr: &str) {
    for secret in [PASSWORD, AUTH, WRONG_PASSWORD, WRONG_AUTH] {
        assert!(!stderr.contains(secret), "a secret is shown: {stderr}");
    }
}

/// Pushes and reads back.
fn works(machine: &Machine, registry: &DockerRegistry) {
    let name = format!("{}/team/app:1", registry.host());
    let (ran, digest) = machine.export_one(&["rootfs:tree", "-o", &format!("type=registry,name={name}")]);
    assert_secret(&ran.stderr);
    assert_eq!(registry.tag("team/app", "1"), Some(digest.clone()));
    let verified = machine.ok(&["verify", &format!("docker://{name}")]);
    assert_eq!(String::from_utf8(verified.stdout).unwrap(), format!("ok {digest} {name}\n"));
}

/// Pushes and reads, which must both be refused.
fn is_refused(machine: &Machine, registry: &DockerRegistry) {
    let name = format!("{}/team/app:1", registry.host());
    let said = ["401", "log in with `longshore login "];
    let output = format!("type=registry,name={name}");
    let ran = machine.fails(&["export", "rootfs:tree", "--progress=plain", "-o", &output], 4, &said);
    assert!(ran.stderr.contains(&format!("cannot push to {}/team/app", registry.host())), "{}", ran.stderr);
    assert_secret(&ran.stderr);
    let ran = machine.fails(&["inspect", &format!("docker://{name}")], 4, &said);
    assert_secret(&ran.stderr);
    assert!(registry.is_empty());
}

#[test]
fn the_password_in_the_configuration_of_docker() {
    let Some(registry) = start() else { return };
    let mut machine = Machine::new();
    let directory = machine.configure("elsewhere/config.json", auths(&registry.host(), AUTH));
    machine.set("DOCKER_CONFIG", directory);
    works(&machine, &registry);
}

#[test]
fn the_password_in_the_home() {
    let Some(registry) = start() else { return };
    let machine = Machine::new();
    machine.configure(".docker/config.json", auths(&format!("http://{}/v2/", registry.host()), AUTH));
    works(&machine, &registry);
}

#[test]
fn the_password_in_the_file_of_podman() {
    let Some(registry) = start() else { return };
    let mut machine = Machine::new();
    // It alone counts where it is named, and the longest path of it.
    machine.configure(".docker/config.json", auths(&registry.host(), WRONG_AUTH));
    let (host, team) = (registry.host(), format!("{}/team", registry.host()));
    let entries = json!({ "auths": { host: { "auth": WRONG_AUTH }, team: { "auth": AUTH } } });
    let directory = machine.configure("podman/auth.json", entries.to_string());
    machine.set("REGISTRY_AUTH_FILE", format!("{directory}/auth.json"));
    works(&machine, &registry);
}

/// `docker-credential-test`, which knows this password for every registry, and notes who was asked about.
fn helper(machine: &mut Machine, password: &str) {
    let answer = json!({ "ServerURL": "", "Username": "user", "Secret": password });
    let script = format!(
        "#!/bin/sh\nread -r server || :\necho \"$1 $server\" >>\"$HOME/asked\"\necho '{answer}'\necho secret >&2\n"
    );
    let directory = machine.configure("bin/text", script);
    let bin = machine.home().join("bin");
    // A process that another test forks could hold it open for writing: "text file busy".
    let install =
        Command::new("install").args(["-m", "755", "text", "docker-credential-test"]).current_dir(bin).status();
    assert!(install.unwrap().success());
    machine.set("PATH", format!("{directory}:{}", std::env::var("PATH").unwrap()));
}

#[test]
fn the_password_of_a_credential_helper() {
    let Some(registry) = start() else { return };
    let mut machine = Machine::new();
    helper(&mut machine, PASSWORD);
    let host = registry.host();
    let settings = json!({ "auths": { &host: {} }, "credHelpers": { &host: "test" } });
    machine.configure(".docker/config.json", settings.to_string());
    works(&machine, &registry);
    let asked = std::fs::read_to_string(machine.home().join("asked")).unwrap();
    assert_eq!(asked, format!("get {host}\n").repeat(2), "once a run");
}

#[test]
fn the_password_of_the_store_for_all_registries() {
    let Some(registry) = start() else { return };
    let mut machine = Machine::new();
    helper(&mut machine, PASSWORD);
    machine.configure(".docker/config.json", json!({ "credsStore": "test" }).to_string());
    works(&machine, &registry);
}

#[test]
fn a_wrong_password_is_refused() {
    let Some(registry) = start() else { return };
    let machine = Machine::new();
    machine.configure(".docker/config.json", auths(&registry.host(), WRONG_AUTH));
    is_refused(&machine, &registry);
    let mut machine = Machine::new();
    helper(&mut machine, WRONG_PASSWORD);
    machine.configure(".docker/config.json", json!({ "credsStore": "test" }).to_string());
    is_refused(&machine, &registry);
}

#[test]
fn a_missing_password_is_refused() {
    let Some(registry) = start() else { return };
    let mut machine = Machine::new();
    is_refused(&machine, &registry);
    machine.configure(".docker/config.json", auths("registry.example", AUTH));
    is_refused(&machine, &registry);
    let directory = machine.configure("podman/auth.json", auths(&registry.host(), WRONG_AUTH));
    machine.set("REGISTRY_AUTH_FILE", format!("{directory}/auth.json"));
    is_refused(&machine, &registry);
}

#[test]
fn settings_that_cannot_be_used_are_named_and_not_shown() {
    let Some(registry) = start() else { return };
    let output = format!("type=registry,name={}/app:1", registry.host());
    let mut machine = Machine::new();
    machine.configure(".docker/config.json", format!("{{\"auths\": \"{PASSWORD}\""));
    let said = ["cannot use credentials of", ".docker/config.json", "line 1"];
    assert_secret(&machine.fails(&["export", "rootfs:tree", "-o", &output], 3, &said).stderr);
    machine.configure(".docker/config.json", json!({ "credsStore": "missing" }).to_string());
    let said = ["cannot ask docker-credential-missing", "it is not in PATH"];
    machine.fails(&["export", "rootfs:tree", "-o", &output], 3, &said);
    helper(&mut machine, PASSWORD);
    machine.configure("bin/docker-credential-test", format!("#!/bin/sh\necho '{{\"Secret\": {PASSWORD}'\n"));
    machine.configure(".docker/config.json", json!({ "credsStore": "test" }).to_string());
    assert_secret(&machine.fails(&["export", "rootfs:tree", "-o", &output], 3, &["not a credential"]).stderr);
    assert!(registry.is_empty());
}
