//! Settings of this machine: where registries are, which certificates to trust, and our own.

mod certificates;
mod toml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_oci::{Context, Result};
use parking_lot::Mutex;

use crate::credentials::CredentialFiles;
use crate::http::{Lead, Timeouts, Tls, Transport, Url, Zone};

pub(crate) use self::toml::{Mirror, Settings};

/// Settings of this machine, and the connections made with them.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Directories with one subdirectory per host: `certs.d` of containerd, Docker and Podman.
    directories: Vec<PathBuf>,
    credentials: CredentialFiles,
    timeouts: Timeouts,
    transports: Mutex<HashMap<Route, Arc<Transport>>>,
}

/// How a host is reached: its scheme and authority, whether its certificate is not checked, and the registry (and its
/// zone) that led there.
type Route = (String, bool, Option<(String, Option<Zone>)>);

impl Hosts {
    /// Returns the user's settings first, then the machine's.
    pub(crate) fn from_environment(timeouts: Timeouts) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        let own = config.into_iter().flat_map(|config| {
            ["longshore/certs.d", "containers/certs.d", "docker/certs.d"].map(|place| config.join(place))
        });
        let system = ["/etc/containerd/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"];
        Self {
            directories: own.chain(system.map(PathBuf::from)).collect(),
            credentials: CredentialFiles::from_environment(),
            timeouts,
            transports: Mutex::default(),
        }
    }

    pub(crate) fn credentials(&self) -> &CredentialFiles {
        &self.credentials
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Returns connections to the host of `url`, shared by all requests that reach it in the same way. `lead` is the
    /// registry that led there; `None` if the user named the host.
    ///
    /// # Errors
    /// Fails if settings of the host cannot be read, or if the registry may not lead there.
    pub(crate) fn transport(&self, url: &Url, is_unchecked: bool, lead: Option<&Lead>) -> Result<Arc<Transport>> {
        let origin = format!("{}{}", if url.is_secure { "https://" } else { "http://" }, url.authority);
        let route = (origin, is_unchecked, lead.map(|lead| (lead.registry.clone(), lead.zone)));
        let mut transports = self.transports.lock();
        if let Some(known) = transports.get(&route) {
            return Ok(known.clone());
        }
        let tls = Tls { is_unchecked, ..self.tls_from(url, lead)? };
        let transport = Arc::new(Transport::new(tls, url, lead.cloned(), self.timeouts)?);
        transports.insert(route, transport.clone());
        Ok(transport)
    }

    /// Returns the certificates for the host of `url`. An authority trusted for a registry is trusted on all ports of
    /// the registry's host, where its token server and storage may be. Client certificates are not shared.
    fn tls_from(&self, url: &Url, lead: Option<&Lead>) -> Result<Tls> {
        let mut tls = self.tls(&url.authority)?;
        if let Some(lead) = lead.filter(|lead| lead.is_own_host(url)) {
            tls.roots.extend(lead.roots.iter().cloned().chain(self.tls(&lead.registry)?.roots));
        }
        Ok(tls)
    }

    /// Returns the certificates for `host`: those of the first directory that has any for it.
    pub(crate) fn tls(&self, host: &str) -> Result<Tls> {
        for place in self.directories.iter().filter_map(|directory| place(directory, host)) {
            let found = certificates::read(&place);
            let found = found.attempt(|| format!("cannot use the certificates in {}", place.display()))?;
            // A directory may exist for other settings alone.
            if !found.roots.is_empty() || found.client.is_some() {
                return Ok(found);
            }
        }
        Ok(Tls::default())
    }

    /// Returns the settings of a registry: its own `hosts.toml`, or the default one for all registries.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub(crate) fn settings(&self, registry: &str) -> Result<Settings> {
        for name in [registry, "_default"] {
            for path in self.directories.iter().filter_map(|directory| place(directory, name)) {
                let path = path.join("hosts.toml");
                if path.is_file() {
                    return self::toml::read(&path).attempt(|| format!("cannot use {}", path.display()));
                }
            }
        }
        Ok(Settings::default())
    }
}

/// Returns the directory for a host. Host names are case-insensitive.
fn place(directory: &Path, host: &str) -> Option<PathBuf> {
    let exact = directory.join(host);
    if exact.is_dir() {
        return Some(exact);
    }
    let names = std::fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_same = |path: &PathBuf| path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(host));
    // The order of directory entries is unspecified.
    names.filter(is_same).filter(|path| path.is_dir()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

    /// Settings with these files in `certs.d`.
    fn hosts(files: &[(&str, &str)]) -> (tempfile::TempDir, Hosts) {
        let place = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let directories = vec![place.path().join("missing"), place.path().to_owned()];
        let (credentials, timeouts, transports) = (CredentialFiles::default(), Timeouts::DEFAULT, Mutex::default());
        (place, Hosts { directories, credentials, timeouts, transports })
    }

    #[test]
    fn an_authority_of_a_registry_counts_at_all_ports_of_its_host() {
        let dir = "registry.example:5000";
        let files = [("ca.crt", PEM), ("client.cert", PEM), ("client.key", KEY)];
        let paths = files.map(|(name, text)| (format!("{dir}/{name}"), text));
        let (_place, hosts) = hosts(&paths.each_ref().map(|(path, text)| (path.as_str(), *text)));
        let lead = Lead { registry: dir.to_owned(), zone: Some(Zone::Public), roots: Arc::new([]) };
        for (url, expected) in [
            ("https://registry.example:5001/token", 1),
            ("https://Registry.Example/token", 1),
            ("https://other.example:5000/token", 0),
            ("https://registry.example.org:5001/token", 0),
        ] {
            let url = Url::parse(url).unwrap();
            let tls = hosts.tls_from(&url, Some(&lead)).unwrap();
            assert_eq!(tls.roots.len(), expected, "{url}");
            assert!(tls.client.is_none(), "{url}");
            assert!(hosts.tls_from(&url, None).unwrap().roots.is_empty(), "{url}");
        }
        let own = hosts.tls(dir).unwrap();
        assert!(own.client.is_some() && own.roots.len() == 1);
    }

    #[test]
    fn names_of_hosts_are_the_same_in_capitals() {
        let (_place, hosts) = hosts(&[
            ("Mixed.Example:5000/ca.crt", PEM),
            ("small.example/ca.crt", PEM),
            ("small.example/hosts.toml", "internal_addresses = true"),
        ]);
        for host in ["mixed.example:5000", "MIXED.EXAMPLE:5000", "Mixed.Example:5000", "Small.example", "small.example"]
        {
            assert_eq!(hosts.tls(host).unwrap().roots.len(), 1, "{host}");
        }
        assert!(hosts.settings("SMALL.example").unwrap().internal_addresses);
        assert!(hosts.tls("mixed.example").unwrap().roots.is_empty());
    }
}
