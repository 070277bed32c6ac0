//! Endpoints: where an engine listens, as `DOCKER_HOST` and contexts name it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use longshore_oci::{Error, ErrorKind, Result};
use ureq::tls::{Certificate, ClientCert};

/// Where the engine of this machine listens.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The registered ports of the engine, without TLS and with it.
const PORTS: [u16; 2] = [2375, 2376];

/// Where an engine listens.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(crate) place: Place,
    pub(crate) tls: Option<Tls>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

/// Whom TLS trusts, and as whom we identify.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// The certificate authorities; those of this machine, if there are none.
    pub(crate) roots: Vec<Certificate<'static>>,
    pub(crate) client: Option<ClientCert>,
    pub(crate) is_unchecked: bool,
}

impl Endpoint {
    /// Returns the engine at `host`, or on this machine.
    pub(crate) fn at(host: Option<&str>) -> Result<Self> {
        host.unwrap_or(DEFAULT).parse()
    }

    /// Uses TLS, if the engine is reached over the network.
    #[must_use]
    pub(crate) fn with_tls(mut self, tls: Option<Tls>) -> Self {
        if matches!(self.place, Place::Tcp(_)) && tls.is_some() {
            self.tls = tls;
        }
        self
    }

    /// Returns host and port, with the registered port if none is given.
    pub(crate) fn authority(&self) -> String {
        match &self.place {
            // What the command `docker` says; engines refuse some others.
            Place::Unix(_) => "api.moby.localhost".to_owned(),
            Place::Tcp(host) if has_port(host) => host.clone(),
            Place::Tcp(host) => format!("{host}:{}", PORTS[usize::from(self.tls.is_some())]),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// Reads a value of `DOCKER_HOST`: `unix://PATH` or `tcp://HOST[:PORT]`.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for `ssh://` and other schemes of Docker,
    /// [`InvalidOption`](ErrorKind::InvalidOption) for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let shown = text.escape_debug();
        let invalid = || {
            Error::option(format!("`{shown}` is not the address of a Docker Engine"))
                .with_hint("write unix:///PATH or tcp://HOST:PORT")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
        let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
        let tcp = |tls| Ok(Self { place: Place::Tcp(rest.trim_end_matches('/').to_owned()), tls });
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self { place: Place::Unix(rest.into()), tls: None }),
            "tcp" | "http" if is_host(rest.trim_end_matches('/')) => tcp(None),
            "https" if is_host(rest.trim_end_matches('/')) => tcp(Some(Tls::default())),
            "ssh" | "npipe" | "fd" => Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot reach the Docker Engine at {shown}: {scheme}:// is not supported"),
            )
            .with_hint(match scheme {
                "ssh" => "forward its socket, ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST, and use unix:///tmp/docker.sock",
                _ => "use unix:///PATH or tcp://HOST:PORT",
            })),
            _ => Err(invalid()),
        }
    }
}

/// Returns whether the text ends in a port; an IPv6 address is in brackets.
fn has_port(host: &str) -> bool {
    let port = host.rsplit_once(':').map(|(before, port)| (before.ends_with(']') || !before.contains(':'), port));
    port.is_some_and(|(is_port, port)| is_port && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Endpoint {
    /// Formats the endpoint as in `DOCKER_HOST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "unix://{}", path.display()),
            Place::Tcp(_) => write!(f, "tcp://{}", self.authority()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_docker() {
        for (text, shown) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"),
            ("tcp://engine", "tcp://engine:2375"),
            ("http://engine:80/", "tcp://engine:80"),
            ("https://engine", "tcp://engine:2376"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("tcp://[::1]:99", "tcp://[::1]:99"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "/var/run/docker.sock", "unix://", "unix://a", "tcp://", "tcp://a/b", "tcp://u@h", "ftp://a"] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().kind(), ErrorKind::InvalidOption, "{text}");
        }
    }

    #[test]
    fn schemes_of_docker_that_are_not_supported_say_so() {
        let error = "ssh://me@host".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.message(), "cannot reach the Docker Engine at ssh://me@host: ssh:// is not supported");
        assert!(error.hint().unwrap().contains("ssh -nNT -L"));
        assert_eq!("npipe:////./pipe/docker".parse::<Endpoint>().unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
