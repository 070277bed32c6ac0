//! The client: what all runs of a program share.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use longshore_content::Work;
use longshore_oci::{ImageName, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::http::{RetryPolicy, Timeouts};
use crate::pull::PullRepository;
use crate::push::RunPusher;

/// Talks to registries with the settings of this machine: credentials, certificates, mirrors, proxies.
///
/// Clones share connections and tokens, so a program needs one.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hosts: Arc<Hosts>,
    options: ClientOptions,
    registries: Mutex<HashMap<(String, bool), Arc<Registry>>>,
}

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// Blobs that a run sends to one host at the same time.
    pub push_jobs: NonZeroUsize,
    /// How often, and after what wait, a request is tried again.
    pub retry: RetryPolicy,
    /// How long a registry may be silent.
    pub timeouts: Timeouts,
}

impl Default for ClientOptions {
    /// Four blobs at a time, as registries are used to from others.
    fn default() -> Self {
        const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        Self { push_jobs: FOUR, retry: RetryPolicy::default(), timeouts: Timeouts::default() }
    }
}

/// A registry, with the addresses that serve its content.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Its own address, which is pushed to.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Addresses that are asked for content, in order; its own is the last.
    pub(crate) sources: Vec<PullSource>,
}

/// An address that is asked for content.
#[derive(Debug, Clone)]
pub(crate) struct PullSource {
    pub(crate) endpoint: Arc<Endpoint>,
    /// Whether it may say what a tag is.
    pub(crate) resolves: bool,
    /// Whether it serves the content of several registries, and is told which is meant.
    pub(crate) is_mirror: bool,
    /// Whether it did not answer, and is not asked any more.
    pub(crate) is_dead: Arc<AtomicBool>,
}

impl PullSource {
    /// The registry itself.
    fn own(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, resolves: true, is_mirror: false, is_dead: Arc::default() }
    }
}

impl Registry {
    /// A registry that is asked at its own address alone.
    pub(crate) fn without_mirrors(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint: endpoint.clone(), sources: vec![PullSource::own(endpoint)] }
    }
}

impl Client {
    /// A client with the settings of this machine and user. Nothing is read before it is needed.
    pub fn new(options: ClientOptions) -> Self {
        let hosts = Arc::new(Hosts::from_environment(options.timeouts));
        Self(Arc::new(Shared { hosts, options, registries: Mutex::default() }))
    }

    /// The repository of `name`, to read from. No request is made yet.
    ///
    /// # Errors
    /// Settings of the registry that cannot be read.
    pub fn repository(&self, name: &ImageName, work: Work) -> Result<PullRepository> {
        Ok(PullRepository::new(self.registry(name.registry(), false)?, name, work))
    }

    /// A pusher for one run. What it learns (which repository has which blob) ends with it.
    pub fn pusher(&self) -> RunPusher {
        RunPusher::new(self.clone(), self.0.options.push_jobs)
    }

    pub(crate) fn registry(&self, name: &str, is_insecure: bool) -> Result<Arc<Registry>> {
        let key = (name.to_owned(), is_insecure);
        if let Some(known) = self.registries().get(&key) {
            return Ok(known.clone());
        }
        let opened = Arc::new(self.open(name, is_insecure)?);
        Ok(self.registries().entry(key).or_insert(opened).clone())
    }

    fn registries(&self) -> MutexGuard<'_, HashMap<(String, bool), Arc<Registry>>> {
        self.0.registries.lock()
    }

    fn open(&self, name: &str, is_insecure: bool) -> Result<Registry> {
        let retry = self.0.options.retry;
        let hosts = &self.0.hosts;
        let endpoint = Arc::new(Endpoint::new(hosts, name, retry, is_insecure));
        let mut sources = Vec::new();
        for mirror in hosts.mirrors(name)? {
            let endpoint = Arc::new(Endpoint::mirror(hosts, name, &mirror, retry)?);
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
