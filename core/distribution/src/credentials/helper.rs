//! Credential helpers: programs that keep secrets (the protocol of docker/docker-credential-helpers).

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use longshore_content::Cancel;
use longshore_oci::{Context, Error, ErrorKind, Result};
use serde::Deserialize;

use super::Credential;
use crate::http::bounded;

/// The time limit of a helper: it may prompt the user, but a build must not hang forever.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Far more than a name and a secret.
const OUTPUT_LIMIT: u64 = 1 << 20;
/// How long reading the output may take after the helper has exited.
const DRAIN: Duration = Duration::from_secs(5);
/// How often a running helper is polled.
const TICK: Duration = Duration::from_millis(10);

/// The output of a helper without a matching credential.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Asks `docker-credential-NAME` for the credential of a server; `None` if it has none.
///
/// # Errors
/// A helper that is missing, fails, or takes too long.
pub(super) fn get(name: &str, server: &str, cancel: &Cancel) -> Result<Option<Credential>> {
    let program = program(name)?;
    ask(&program, server, TIME_LIMIT, cancel).attempt(|| format!("cannot ask {program} for {server}"))
}

/// Gives `docker-credential-NAME` the credential of a server.
///
/// # Errors
/// As [`get`].
pub(super) fn store(name: &str, server: &str, username: &str, secret: &str, cancel: &Cancel) -> Result<()> {
    let program = program(name)?;
    let input = serde_json::json!({"ServerURL": server, "Username": username, "Secret": secret}).to_string();
    let stored = talk(&program, "store", &input, TIME_LIMIT, cancel).and_then(|(is_success, said)| match is_success {
        true => Ok(()),
        // What it says might repeat the secret.
        false if said.contains(secret) => Err(Error::new(ErrorKind::Denied, "it refused")),
        false => Err(Error::new(ErrorKind::Denied, bounded(said.trim()))),
    });
    stored.attempt(|| format!("cannot store the login for {server} with {program}"))
}

/// Makes `docker-credential-NAME` forget the credential of a server; returns whether it had one.
///
/// # Errors
/// As [`get`].
pub(super) fn erase(name: &str, server: &str, cancel: &Cancel) -> Result<bool> {
    if get(name, server, cancel)?.is_none() {
        return Ok(false);
    }
    let program = program(name)?;
    let erased = talk(&program, "erase", server, TIME_LIMIT, cancel).and_then(|(is_success, said)| match is_success {
        true => Ok(true),
        false => Err(Error::new(ErrorKind::Denied, bounded(said.trim()))),
    });
    erased.attempt(|| format!("cannot erase the login for {server} with {program}"))
}

fn program(name: &str) -> Result<String> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(Error::input(format!("credential helper `{}` is not a name", bounded(name))));
    }
    Ok(format!("docker-credential-{name}"))
}

fn ask(program: &str, server: &str, limit: Duration, cancel: &Cancel) -> Result<Option<Credential>> {
    let (is_success, output) = talk(program, "get", server, limit, cancel)?;
    if !is_success {
        let said = output.trim();
        return if said == NOT_FOUND { Ok(None) } else { Err(Error::new(ErrorKind::Denied, bounded(said))) };
    }
    parse(&output)
}

/// Runs a helper with `input`. Returns whether it succeeded, and what it printed.
fn talk(program: &str, verb: &str, input: &str, limit: Duration, cancel: &Cancel) -> Result<(bool, String)> {
    let mut command = Command::new(program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "it is not in PATH"),
        _ => error.into(),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input reports its own error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Not joined: a child of the helper may keep its output open.
    thread::spawn(move || {
        let mut output = String::new();
        let read = stdout.map(|stdout| stdout.take(OUTPUT_LIMIT).read_to_string(&mut output)).transpose();
        let _ = sender.send(read.map(|_| output));
    });
    let is_success = wait(&mut child, limit, cancel)?;
    let unread = |_| Error::new(ErrorKind::Unavailable, "it does not close its output");
    let output = receiver.recv_timeout(DRAIN).map_err(unread)??;
    Ok((is_success, output))
}

fn wait(child: &mut Child, limit: Duration, cancel: &Cancel) -> Result<bool> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        let stop = cancel.check().err().or_else(|| {
            let late = || Error::new(ErrorKind::Unavailable, format!("no response within {} s", limit.as_secs()));
            (Instant::now() >= until).then(late)
        });
        if let Some(error) = stop {
            // It may have exited by itself.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        thread::sleep(TICK);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

fn parse(output: &str) -> Result<Option<Credential>> {
    // The parser's message may show secrets, so it is not repeated.
    let answer: Answer = serde_json::from_str(output).map_err(|_| Error::input("its output is not a credential"))?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == "<token>" => Some(Credential::Identity(secret)),
        Answer { username, secret } => Some(Credential::Basic { username, password: secret }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper(script: &str) -> (tempfile::TempDir, String) {
        let place = tempfile::tempdir().unwrap();
        let (text, path) = (place.path().join("text"), place.path().join("docker-credential-test"));
        std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // A process that another test forks could hold it open for writing: "text file busy".
        let installed = Command::new("install").args(["-m", "755"]).args([&text, &path]).status().unwrap();
        assert!(installed.success());
        let program = path.to_str().unwrap().to_owned();
        (place, program)
    }

    fn run(script: &str, limit: u64) -> Result<Option<Credential>> {
        let (_place, program) = helper(script);
        ask(&program, "r.example", Duration::from_millis(limit), &Cancel::default())
    }

    #[test]
    fn answers_of_helpers() {
        let found = run(r#"read host; echo "{\"ServerURL\":\"$host\",\"Username\":\"u\",\"Secret\":\"$host\"}""#, 5000);
        let expected = Credential::Basic { username: "u".to_owned(), password: "r.example".to_owned() };
        assert!(found.unwrap() == Some(expected));
        let found = run(r#"echo '{"Username":"<token>","Secret":"t"}'"#, 5000);
        assert!(found.unwrap() == Some(Credential::Identity("t".to_owned())));
        assert!(run(&format!("echo {NOT_FOUND}; exit 1"), 5000).unwrap().is_none());
        assert_eq!(run("echo locked; exit 1", 5000).unwrap_err().message(), "locked");
        assert!(run("echo secret", 5000).unwrap_err().with_causes().contains("not a credential"));
    }

    #[test]
    fn a_helper_that_hangs_is_stopped() {
        let error = run("exec sleep 60", 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let cancel = Cancel::default();
        cancel.cancel();
        let (_place, program) = helper("exec sleep 60");
        let error = ask(&program, "r", Duration::from_secs(60), &cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
