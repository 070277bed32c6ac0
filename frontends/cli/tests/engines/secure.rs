//! An engine over the network, with TLS on both sides.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use longshore_core::oci::Digest;
use serde_json::json;

use crate::interop::command::{attempt, longshore, run};
use crate::today::docker::{Docker, ImageStore};
use crate::today::root;

/// Makes an authority, and certificates of it for an engine and for a client.
fn certify(directory: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        run(command.args(arguments.split(' ')).current_dir(directory));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -subj /CN=authority -days 2");
    for (name, extension) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
        fs::create_dir(directory.join(name)).unwrap();
        fs::copy(directory.join("ca.pem"), directory.join(name).join("ca.pem")).unwrap();
        let text = format!("{extension}\nbasicConstraints=CA:FALSE\n");
        fs::write(directory.join("extensions"), text).unwrap();
        openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}/key.pem -out request.pem -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out {name}/cert.pem -days 2 \
             -extfile extensions"
        ));
    }
}

/// Settings of docker with a context `secure`.
fn settings(directory: &Path, host: &str) {
    let name = Digest::of(b"secure");
    let contexts = directory.join("settings/contexts");
    let meta = contexts.join("meta").join(name.hex());
    fs::create_dir_all(&meta).unwrap();
    let text =
        json!({"Name": "secure", "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": false}}});
    fs::write(meta.join("meta.json"), text.to_string()).unwrap();
    fs::write(directory.join("settings/config.json"), r#"{"currentContext":"secure"}"#).unwrap();
    let tls = contexts.join("tls").join(name.hex()).join("docker");
    fs::create_dir_all(&tls).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(directory.join("client").join(file), tls.join(file)).unwrap();
    }
}

pub(crate) fn wants_its_certificates() {
    let Some(root) = root() else { return };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path();
    certify(path);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = format!("tcp://127.0.0.1:{port}");
    let file = |name: &str| path.join("server").join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let options = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key, "--host", &host];
    let _engine = Docker::start_with(root, ImageStore::Overlay2, &options.map(ToOwned::to_owned));
    settings(path, &host);
    fs::create_dir_all(path.join("tree")).unwrap();
    fs::write(path.join("tree/file"), "content").unwrap();

    let command = |arguments: &[&str]| {
        let mut command = longshore(path);
        command.args(arguments).env("LONGSHORE_ROOT", path.join("store")).env("DOCKER_CONFIG", path.join("settings"));
        for variable in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            command.env_remove(variable);
        }
        command
    };
    // The current context, one by name, and the environment.
    run(&mut command(&["export", "--progress=quiet", "rootfs:tree", "-o", "type=docker,name=app:1"]));
    run(command(&["inspect", "docker-daemon:app:1,context=secure"]).env("DOCKER_HOST", "unix:///missing"));
    let mut verified = command(&["verify", "docker-daemon:app:1"]);
    verified.env("DOCKER_HOST", &host).env("DOCKER_TLS_VERIFY", "1");
    run(verified.env("DOCKER_CERT_PATH", path.join("client")));

    let without = |variables: &[(&str, &str)]| {
        let mut command = command(&["inspect", "docker-daemon:app:1"]);
        attempt(command.envs(variables.iter().copied()).env("DOCKER_HOST", &host)).unwrap_err()
    };
    let plain = without(&[]);
    assert!(plain.contains("(400)") && plain.contains("HTTPS"), "{plain}");
    // An authority alone: the engine wants to know who we are, too.
    fs::create_dir(path.join("nobody")).unwrap();
    fs::copy(path.join("ca.pem"), path.join("nobody/ca.pem")).unwrap();
    let nobody = path.join("nobody").display().to_string();
    let unknown = without(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &nobody)]);
    assert!(unknown.contains("ertificate"), "{unknown}");
    let untrusted = without(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/missing")]);
    assert!(untrusted.contains("ertificate"), "{untrusted}");
}
