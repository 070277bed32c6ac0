//! Settings of this machine: where registries are, whom to trust there, and who we are.

mod certificates;
mod toml;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_oci::{Context, Result};
use parking_lot::Mutex;

use crate::credentials::CredentialFiles;
use crate::http::{Timeouts, Tls, Transport, Url};

pub(crate) use self::toml::Mirror;

/// Settings of this machine, and the connections that were made with them.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Directories with one directory a host: `certs.d` of containerd, Docker and Podman.
    directories: Vec<PathBuf>,
    credentials: CredentialFiles,
    timeouts: Timeouts,
    transports: Mutex<HashMap<(String, bool), Arc<Transport>>>,
}

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

    /// Connections to the host of `url`, shared by all who talk to it in the same way.
    pub(crate) fn transport(&self, url: &Url, is_unchecked: bool) -> Result<Arc<Transport>> {
        let key = (format!("{}{}", if url.is_secure { "https://" } else { "http://" }, url.authority), is_unchecked);
        let mut transports = self.transports.lock();
        if let Some(known) = transports.get(&key) {
            return Ok(known.clone());
        }
        let tls = Tls { is_unchecked, ..self.tls(&url.authority)? };
        let transport = Arc::new(Transport::new(tls, url, self.timeouts)?);
        transports.insert(key, transport.clone());
        Ok(transport)
    }

    /// Whom to trust at `host`: the first of the directories that has one for it.
    pub(crate) fn tls(&self, host: &str) -> Result<Tls> {
        let places = self.directories.iter().map(|directory| directory.join(host));
        for place in places.filter(|place| place.is_dir()) {
            let found = certificates::read(&place);
            let found = found.attempt(|| format!("cannot use the certificates in {}", place.display()))?;
            // A directory may be there for other settings.
            if !found.roots.is_empty() || found.client.is_some() {
                return Ok(found);
            }
        }
        Ok(Tls::default())
    }

    /// Where else a registry can be pulled from, in order, before itself.
    pub(crate) fn mirrors(&self, registry: &str) -> Result<Vec<Mirror>> {
        for name in [registry, "_default"] {
            for directory in &self.directories {
                let path = directory.join(name).join("hosts.toml");
                if path.is_file() {
                    return self::toml::read(&path).attempt(|| format!("cannot use {}", path.display()));
                }
            }
        }
        Ok(Vec::new())
    }
}
