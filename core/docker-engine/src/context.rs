//! Contexts of Docker: `docker context use`, and the environment that overrides it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use longshore_oci::{Context, Digest, Error, ErrorKind, Result};
use serde::Deserialize;
use ureq::tls::{Certificate, ClientCert, PemItem, parse_pem};

use crate::Endpoint;
use crate::endpoint::Tls;

/// The context that no file describes.
const DEFAULT: &str = "default";
/// More than a file of settings or certificates has.
const LIMIT: u64 = 4 << 20;

/// The environment, and the directory of Docker's settings.
struct Settings<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    directory: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: HashMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
struct MetaEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    is_unchecked: bool,
}

impl Endpoint {
    /// Finds the engine that the command `docker` would talk to: that of the context named `context`, else that of
    /// `DOCKER_HOST`, of the context named by `DOCKER_CONTEXT` or chosen by `docker context use`, else the one on this
    /// machine. The context `default` is `DOCKER_HOST`, or this machine.
    ///
    /// # Errors
    /// An unknown context, a malformed file of contexts, certificates that cannot be read, and an address that is
    /// [not supported](ErrorKind::Unsupported) or none.
    pub fn find(context: Option<&str>) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = || Some(std::env::home_dir()?.join(".docker"));
        let directory = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        Settings { variable: &variable, directory }.find(context)
    }
}

impl Settings<'_> {
    fn find(&self, context: Option<&str>) -> Result<Endpoint> {
        let name = match context {
            Some(name) => name.to_owned(),
            None if (self.variable)("DOCKER_HOST").is_some() => DEFAULT.to_owned(),
            None => match (self.variable)("DOCKER_CONTEXT") {
                Some(name) => name,
                None => self.current()?,
            },
        };
        if name != DEFAULT {
            return self
                .described(&name)
                .attempt(|| format!("cannot use the Docker context `{}`", name.escape_debug()));
        }
        let host = (self.variable)("DOCKER_HOST");
        let endpoint = Endpoint::at(host.as_deref()).attempt(|| "cannot use DOCKER_HOST".to_owned())?;
        let directory = || (self.variable)("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| self.directory.clone());
        let is_checked = (self.variable)("DOCKER_TLS_VERIFY").is_some();
        let has_tls = is_checked || (self.variable)("DOCKER_TLS").is_some();
        let tls = directory().filter(|_| has_tls).map(|directory| tls(&directory, !is_checked)).transpose();
        Ok(endpoint.with_tls(tls.attempt(|| "cannot read the certificates of DOCKER_CERT_PATH".to_owned())?))
    }

    /// Returns the name of the context chosen by `docker context use`.
    fn current(&self) -> Result<String> {
        let Some(directory) = &self.directory else { return Ok(DEFAULT.to_owned()) };
        let path = directory.join("config.json");
        let Some(bytes) = read(&path)? else { return Ok(DEFAULT.to_owned()) };
        let config: Config = serde_json::from_slice(&bytes)
            .map_err(|error| Error::input(format!("{} is malformed", path.display())).with_source(error))?;
        Ok(if config.current.is_empty() { DEFAULT.to_owned() } else { config.current })
    }

    fn described(&self, name: &str) -> Result<Endpoint> {
        let unknown = || Error::new(ErrorKind::NotFound, "there is no such context").with_hint(self.known());
        let contexts = self.directory.as_ref().ok_or_else(unknown)?.join("contexts");
        // The directories of contexts are the digests of their names.
        let digest = Digest::of(name.as_bytes());
        let path = contexts.join("meta").join(digest.hex()).join("meta.json");
        let bytes = read(&path)?.ok_or_else(unknown)?;
        let meta: Meta = serde_json::from_slice(&bytes)
            .map_err(|error| Error::input(format!("{} is malformed", path.display())).with_source(error))?;
        let found = meta.endpoints.get("docker").filter(|endpoint| !endpoint.host.is_empty());
        let found = found.ok_or_else(|| Error::input("it names no Docker Engine"))?;
        let tls = tls(&contexts.join("tls").join(digest.hex()).join("docker"), found.is_unchecked)?;
        let is_empty = tls.roots.is_empty() && tls.client.is_none() && !tls.is_unchecked;
        Ok(found.host.parse::<Endpoint>()?.with_tls((!is_empty).then_some(tls)))
    }

    fn known(&self) -> String {
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "Name")]
            name: String,
        }
        let meta = self.directory.as_ref().map(|directory| directory.join("contexts/meta"));
        let entries = meta.and_then(|meta| fs::read_dir(meta).ok()).into_iter().flatten().flatten();
        let documents = entries.filter_map(|entry| read(&entry.path().join("meta.json")).ok().flatten());
        let named = documents.filter_map(|bytes| serde_json::from_slice::<Named>(&bytes).ok());
        let mut names: Vec<String> = named.map(|named| named.name).chain([DEFAULT.to_owned()]).collect();
        names.sort_unstable();
        format!("contexts of this user: {}", names.join(", "))
    }
}

/// Returns the certificates in a directory, any of which may be missing.
fn tls(directory: &Path, is_unchecked: bool) -> Result<Tls> {
    let pem = |name: &str| {
        let path = directory.join(name);
        let Some(bytes) = read(&path)? else { return Ok(Vec::new()) };
        let items: Result<Vec<PemItem<'static>>, _> = parse_pem(&bytes).collect();
        items.map_err(|error| Error::input(format!("{} is not PEM", path.display())).with_source(error))
    };
    let certificates = |items: Vec<PemItem<'static>>| {
        let certificate = |item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None };
        items.into_iter().filter_map(certificate).collect::<Vec<Certificate<'static>>>()
    };
    let roots = certificates(pem("ca.pem")?);
    let chain = certificates(pem("cert.pem")?);
    let key = pem("key.pem")?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let client = match (chain.is_empty(), key) {
        (false, Some(key)) => Some(ClientCert::new_with_certs(&chain, key)),
        (true, None) => None,
        _ => {
            return Err(Error::input(format!("{} has one of cert.pem and key.pem", directory.display()))
                .with_hint("a certificate needs its key"));
        }
    };
    Ok(Tls { roots, client, is_unchecked })
}

/// Reads a small file; `None` if it is missing.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let cannot = || format!("cannot read {}", path.display());
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Ok(found) if found.len() > LIMIT => {
            return Err(Error::input(format!("{} has more than {LIMIT} bytes", path.display())));
        }
        Ok(_) => {}
        Err(error) => return Err(error).attempt(cannot),
    }
    fs::read(path).attempt(cannot).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of settings with a context `far`.
    fn settings() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let meta = directory.path().join("contexts/meta").join(Digest::of(b"far").hex());
        fs::create_dir_all(&meta).unwrap();
        let text =
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:1","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        directory
    }

    fn find(directory: &Path, variables: &[(&str, &str)], context: Option<&str>) -> Result<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings { variable: &variable, directory: Some(directory.to_owned()) };
        settings.find(context).map(|endpoint| endpoint.to_string())
    }

    /// The order of the command `docker`.
    #[test]
    fn what_is_said_more_explicitly_wins() {
        let directory = settings();
        let path = directory.path();
        let local = "unix:///var/run/docker.sock";
        assert_eq!(find(path, &[], None).unwrap(), local);
        fs::write(path.join("config.json"), r#"{"auths":{},"currentContext":"far"}"#).unwrap();
        let host = ("DOCKER_HOST", "unix:///h");
        for (variables, context, expected) in [
            (&[][..], None, "tcp://far:1"),
            (&[], Some("default"), local),
            (&[("DOCKER_CONTEXT", "default")], None, local),
            (&[host], None, "unix:///h"),
            (&[host, ("DOCKER_CONTEXT", "far")], None, "unix:///h"),
            (&[host], Some("far"), "tcp://far:1"),
            (&[host], Some("default"), "unix:///h"),
        ] {
            assert_eq!(find(path, variables, context).unwrap(), expected, "{variables:?} {context:?}");
        }
    }

    #[test]
    fn contexts_that_cannot_be_used_say_why() {
        let directory = settings();
        let path = directory.path();
        let error = find(path, &[], Some("near")).unwrap_err();
        let expected = "cannot use the Docker context `near`: there is no such context";
        assert_eq!((error.kind(), &*error.with_causes()), (ErrorKind::NotFound, expected));
        assert_eq!(error.hint(), Some("contexts of this user: default, far"));
        let meta = path.join("contexts/meta").join(Digest::of(b"far").hex()).join("meta.json");
        for (text, expected) in [
            ("{", "is malformed"),
            (r#"{"Endpoints":{"kubernetes":{"Host":"x"}}}"#, "it names no Docker Engine"),
            (r#"{"Endpoints":{"docker":{"Host":"ssh://me@far"}}}"#, "ssh:// is not supported"),
        ] {
            fs::write(&meta, text).unwrap();
            let error = find(path, &[], Some("far")).unwrap_err();
            assert!(error.with_causes().contains(expected), "{}", error.with_causes());
        }
        fs::write(path.join("config.json"), "{").unwrap();
        assert!(find(path, &[], None).unwrap_err().message().contains("config.json is malformed"));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let variables = [("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/missing")];
        assert_eq!(find(path, &variables, None).unwrap(), "tcp://h:2376");
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        fs::write(path.join("key.pem"), key).unwrap();
        assert!(tls(path, false).unwrap_err().message().ends_with("has one of cert.pem and key.pem"));
        fs::write(path.join("ca.pem"), "-----BEGIN CERTIFICATE-----\n?\n").unwrap();
        assert!(tls(path, false).unwrap_err().message().ends_with("ca.pem is not PEM"));
    }
}
