//! Settings of this machine: where registries are, whom to trust there, and who we are.

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

/// Settings of this machine, and the connections that were made with them.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Directories with one directory a host: `certs.d` of containerd, Docker and Podman.
    directories: Vec<PathBuf>,
    credentials: CredentialFiles,
    timeouts: Timeouts,
    transports: Mutex<HashMap<Route, Arc<Transport>>>,
}

/// How a host is reached: its scheme and authority, whether its certificate is not checked, and which registry, in
/// which zone, leads there.
type Route = (String, bool, Option<(String, Option<Zone>)>);

impl Hosts {
    /// The settings of this user first, then those of the machine.
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
    /// registry that leads there; `None` if the user named the host.
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
        let mut tls = Tls { is_unchecked, ..self.tls(&url.authority)? };
        if let Some(lead) = lead.filter(|lead| lead.is_own_host(url)) {
            tls.roots.extend(lead.roots.iter().cloned().chain(self.tls(&lead.registry)?.roots));
        }
        let transport = Arc::new(Transport::new(tls, url, lead.cloned(), self.timeouts)?);
        transports.insert(route, transport.clone());
        Ok(transport)
    }

    /// Returns the certificates for `host`: those of the first directory that has any for it.
    pub(crate) fn tls(&self, host: &str) -> Result<Tls> {
        for place in self.directories.iter().filter_map(|directory| place(directory, host)) {
            let found = certificates::read(&place);
            let found = found.attempt(|| format!("cannot use the certificates in {}", place.display()))?;
            // A directory may exist for other settings.
            if !found.roots.is_empty() || found.client.is_some() {
                return Ok(found);
            }
        }
        Ok(Tls::default())
    }

    /// Returns the settings of a registry: those of its own `hosts.toml`, else those of all registries.
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

/// Returns the directory for a host. Names of hosts are the same in capitals.
fn place(directory: &Path, host: &str) -> Option<PathBuf> {
    let exact = directory.join(host);
    if exact.is_dir() {
        return Some(exact);
    }
    let names = std::fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_same = |path: &PathBuf| path.file_name().is_some_and(|name| name.eq_ignore_ascii_case(host));
    // The order of a directory is not one to depend on.
    names.filter(is_same).filter(|path| path.is_dir()).min()
}
