//! `longshore login` and `longshore logout`.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::Result;
use longshore_core::{Context, Error};
use longshore_distribution::Client;
use rustix::termios::{self, LocalModes, OptionalActions};

use super::work;
use crate::args::{LoginArgs, LogoutArgs, ProgressStyle};
use crate::stderr::say;
use crate::stdout;

/// Far more than a password or a token.
const SECRET_LIMIT: u64 = 64 << 10;

pub(crate) fn login(args: &LoginArgs, client: &Client) -> Result<()> {
    let registry = registry(&args.registry)?;
    let user = match &args.username {
        Some(user) => user.clone(),
        None => asked(&registry, "Name")?,
    };
    let secret = match args.password_stdin {
        true => from_stdin()?,
        false => unseen(&registry)?,
    };
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let kept = client.clone().with_insecure(args.insecure).login(&registry, &user, &secret, &work)?;
    Ok(stdout::print(format!("logged in to {registry} as {user}; kept in {kept}\n"))?)
}

pub(crate) fn logout(args: &LogoutArgs, client: &Client) -> Result<()> {
    let registry = registry(&args.registry)?;
    let (_, work) = work::begin(ProgressStyle::Plain, None)?;
    let removed = client.logout(&registry, &work)?;
    let places: Vec<_> = removed.iter().map(|file| file.path().display().to_string()).collect();
    let line = match places.is_empty() {
        true => format!("not logged in to {registry}\n"),
        false => format!("logged out of {registry}; removed from {}\n", places.join(", ")),
    };
    Ok(stdout::print(line)?)
}

/// Returns the name of a registry, however it is written.
fn registry(text: &str) -> Result<String, Error> {
    let host = ["https://", "http://", "docker://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let host = host.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" | "registry-1.docker.io" => Ok("docker.io".to_owned()),
        "" => Err(Error::option(format!("`{}` is not a registry", text.escape_debug()))),
        _ if host.contains(char::is_whitespace) || host.contains('@') => {
            Err(Error::option(format!("`{}` is not a registry", host.escape_debug()))
                .with_hint("write its host, such as ghcr.io"))
        }
        _ => Ok(host.to_owned()),
    }
}

fn from_stdin() -> Result<String, Error> {
    let mut secret = String::new();
    let read = io::stdin().take(SECRET_LIMIT).read_to_string(&mut secret);
    read.attempt(|| "cannot read the password from standard input".to_owned())?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Error::option("standard input has no password").with_hint("pipe it into the command"));
    }
    Ok(secret.to_owned())
}

fn asked(registry: &str, what: &str) -> Result<String, Error> {
    if !io::stdin().is_terminal() {
        let error = Error::option(format!("nobody is here to be asked for the name and the password for {registry}"));
        return Err(error.with_hint("add --username NAME --password-stdin, and pipe the password into the command"));
    }
    say(&format!("{what} for {registry}: "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for the password, which the terminal does not show.
fn unseen(registry: &str) -> Result<String, Error> {
    let stdin = io::stdin();
    let Ok(before) = termios::tcgetattr(&stdin) else { return asked(registry, "Password") };
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(io::Error::from)?;
    let answer = asked(registry, "Password");
    // What was typed counts, even if the terminal stays silent.
    let _ = termios::tcsetattr(&stdin, OptionalActions::Flush, &before);
    say("\n");
    answer
}
