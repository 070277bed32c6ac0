//! The registries that a program talks to, shared by all its runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use longshore_oci::Result;
use parking_lot::{Mutex, MutexGuard};

use crate::credentials::{Credential, CredentialFiles};
use crate::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::http::{RetryPolicy, Timeouts};

/// The open registries, with the settings of this machine. Clones share connections and tokens.
#[derive(Debug, Clone)]
pub(crate) struct Registries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hosts: Arc<Hosts>,
    retry: RetryPolicy,
    internal_addresses: bool,
    opened: Mutex<HashMap<(String, bool), Arc<Registry>>>,
}

/// A registry, with the addresses that serve its content.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The registry's own address, which receives pushes.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Addresses to ask for content, in order; the registry's own is the last.
    pub(crate) sources: Vec<PullSource>,
}

/// An address to ask for content.
#[derive(Debug, Clone)]
pub(crate) struct PullSource {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Whether it may resolve tags.
    pub(crate) resolves: bool,
    /// Whether it serves several registries, and must be told which one is meant.
    pub(crate) is_mirror: bool,
    /// Whether it failed to respond, and is no longer asked.
    pub(crate) is_dead: Arc<AtomicBool>,
}

impl PullSource {
    /// Returns the registry itself as a source.
    fn own(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, resolves: true, is_mirror: false, is_dead: Arc::default() }
    }
}

impl Registry {
    /// Returns a registry without mirrors, with only its own address.
    pub(crate) fn without_mirrors(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint: endpoint.clone(), sources: vec![PullSource::own(endpoint)] }
    }
}

impl Registries {
    /// Creates an empty list, with the settings of this machine and user, which are read when first needed. With
    /// `internal_addresses`, each registry may lead to internal addresses.
    pub(crate) fn from_environment(timeouts: Timeouts, retry: RetryPolicy, internal_addresses: bool) -> Self {
        let hosts = Arc::new(Hosts::from_environment(timeouts));
        Self(Arc::new(Shared { hosts, retry, internal_addresses, opened: Mutex::default() }))
    }

    /// Returns the registry `name`. Makes no request.
    ///
    /// # Errors
    /// Fails if the settings of the registry cannot be read.
    pub(crate) fn registry(&self, name: &str, is_insecure: bool) -> Result<Arc<Registry>> {
        let key = (name.to_owned(), is_insecure);
        if let Some(known) = self.opened().get(&key) {
            return Ok(known.clone());
        }
        let opened = Arc::new(self.open(name, is_insecure)?);
        Ok(self.opened().entry(key).or_insert(opened).clone())
    }

    /// Returns the address of the registry `name`, for a request with `credential`.
    pub(crate) fn with_credential(&self, name: &str, is_insecure: bool, credential: Credential) -> Result<Endpoint> {
        let Shared { hosts, retry, internal_addresses, .. } = &*self.0;
        let leads_inside = *internal_addresses || hosts.settings(name)?.internal_addresses;
        Ok(Endpoint::new(hosts, name, *retry, is_insecure, leads_inside).with_credential(credential))
    }

    /// Returns where credentials are kept.
    pub(crate) fn credentials(&self) -> &CredentialFiles {
        self.0.hosts.credentials()
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<(String, bool), Arc<Registry>>> {
        self.0.opened.lock()
    }

    fn open(&self, name: &str, is_insecure: bool) -> Result<Registry> {
        let retry = self.0.retry;
        let hosts = &self.0.hosts;
        let settings = hosts.settings(name)?;
        let leads_inside = self.0.internal_addresses || settings.internal_addresses;
        let endpoint = Arc::new(Endpoint::new(hosts, name, retry, is_insecure, leads_inside));
        let mut sources = Vec::new();
        for mirror in settings.mirrors {
            let endpoint = Arc::new(Endpoint::mirror(hosts, name, &mirror, retry, leads_inside)?);
            sources.push(PullSource {
                endpoint,
                resolves: mirror.resolves,
                is_mirror: !mirror.is_server,
                is_dead: Arc::default(),
            });
        }
        if sources.last().is_none_or(|last| last.is_mirror) {
            sources.push(PullSource::own(endpoint.clone()));
        }
        Ok(Registry { endpoint, sources })
    }
}
