//! containerd's `hosts.toml`: where else a registry can be pulled from (containerd, docs/hosts.md).

use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use longshore_oci::{Error, Result};
use serde::Deserialize;

use super::certificates;
use crate::http::{Tls, Url};

/// A host that serves the content of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    /// Where its API begins: `https://mirror.example/v2`.
    pub(crate) base: Url,
    /// Whether it may resolve tags.
    pub(crate) resolves: bool,
    /// Whether it is the registry itself, at the address given in the file.
    pub(crate) is_server: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) headers: Vec<(String, String)>,
}

/// The settings that a file has for a registry.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Hosts that serve the content of the registry, in order.
    pub(crate) mirrors: Vec<Mirror>,
    /// Whether the registry may lead to internal addresses. This key is not in containerd.
    pub(crate) internal_addresses: bool,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    internal_addresses: bool,
    server: Option<String>,
    #[serde(default)]
    host: IndexMap<String, Host>,
    /// Settings of the server itself.
    #[serde(flatten)]
    own: Host,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Host {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Clients>,
    skip_verify: bool,
    override_path: bool,
    header: IndexMap<String, OneOrMany>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn list(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        }
    }
}

/// A file with certificate and key, several such files, or pairs of files.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Clients {
    Files(OneOrMany),
    Pairs(Vec<Vec<String>>),
}

pub(super) fn read(path: &Path) -> Result<Settings> {
    let text = fs::read_to_string(path)?;
    let file: File = ::toml::from_str(&text).map_err(|error| Error::input(error.to_string().trim().to_owned()))?;
    let place = path.parent().unwrap_or(Path::new("."));
    let mut mirrors = Vec::new();
    for (url, host) in &file.host {
        if host.can("pull") {
            mirrors.push(host.mirror(url, place)?);
        }
    }
    if let Some(server) = &file.server {
        let mut mirror = file.own.mirror(server, place)?;
        mirror.is_server = true;
        mirrors.push(mirror);
    }
    Ok(Settings { mirrors, internal_addresses: file.internal_addresses })
}

impl Host {
    fn can(&self, what: &str) -> bool {
        self.capabilities.as_ref().is_none_or(|list| list.iter().any(|capability| capability == what))
    }

    fn mirror(&self, url: &str, place: &Path) -> Result<Mirror> {
        // A host without a scheme uses TLS.
        let url = Url::parse(&if url.contains("://") { url.to_owned() } else { format!("https://{url}") })?;
        let path = url.path.trim_end_matches('/');
        let path = if self.override_path || path.ends_with("/v2") { path.to_owned() } else { format!("{path}/v2") };
        let headers = self.header.iter().flat_map(|(name, values)| {
            values.list().into_iter().map(|value| (name.to_ascii_lowercase(), value.to_owned())).collect::<Vec<_>>()
        });
        Ok(Mirror {
            resolves: self.can("resolve"),
            is_server: false,
            tls: self.tls(place)?,
            headers: headers.collect(),
            base: Url { path, ..url },
        })
    }

    /// Returns the TLS settings; `None` if the file has none.
    fn tls(&self, place: &Path) -> Result<Option<Tls>> {
        let file = |name: &str| -> PathBuf { place.join(name) };
        let mut tls = Tls { is_unchecked: self.skip_verify, ..Tls::default() };
        for name in self.ca.iter().flat_map(OneOrMany::list) {
            tls.roots.extend(certificates::authorities(&file(name))?);
        }
        tls.client = match &self.client {
            Some(Clients::Files(names)) => {
                names.list().first().map(|name| certificates::pair(&file(name), &file(name))).transpose()?
            }
            Some(Clients::Pairs(pairs)) => match pairs.first().map(Vec::as_slice) {
                Some([both]) => Some(certificates::pair(&file(both), &file(both))?),
                Some([certificate, key, ..]) => Some(certificates::pair(&file(certificate), &file(key))?),
                Some([]) | None => None,
            },
            None => None,
        };
        let is_silent = self.ca.is_none() && self.client.is_none() && !self.skip_verify;
        Ok((!is_silent).then_some(tls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stand_in_the_order_of_the_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hosts.toml");
        fs::write(
            &path,
            r#"
            server = "https://registry.example"
            [host."https://z.example"]
            capabilities = ["pull"]
            [host."http://a.example:5000/proxy"]
            skip_verify = true
            [host."http://a.example:5000/proxy".header]
            X-Team = ["one", "two"]
            [host."https://push.example"]
            capabilities = ["push"]
            [host."b.example/exact"]
            override_path = true
            "#,
        )
        .unwrap();
        let Settings { mirrors, internal_addresses } = read(&path).unwrap();
        assert!(!internal_addresses);
        let bases: Vec<_> = mirrors.iter().map(|mirror| mirror.base.to_string()).collect();
        assert_eq!(
            bases,
            [
                "https://z.example/v2",
                "http://a.example:5000/proxy/v2",
                "https://b.example/exact",
                "https://registry.example/v2"
            ]
        );
        assert!(!mirrors[0].resolves && mirrors[1].resolves && mirrors[3].is_server);
        assert!(mirrors[1].tls.as_ref().is_some_and(|tls| tls.is_unchecked) && mirrors[0].tls.is_none());
        assert_eq!(mirrors[1].headers.len(), 2);
        fs::write(&path, "internal_addresses = true").unwrap();
        assert!(read(&path).is_ok_and(|settings| settings.internal_addresses && settings.mirrors.is_empty()));
        fs::write(&path, "server = [").unwrap();
        assert!(read(&path).is_err());
    }
}
