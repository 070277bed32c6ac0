//! The client that all runs of a program share.

use std::num::NonZeroUsize;

use longshore_content::Work;
use longshore_oci::{ImageName, Result};

use crate::http::{RetryPolicy, Timeouts};
use crate::pull::PullRepository;
use crate::push::RunPusher;
use crate::registry::Registries;

/// A registry client with the settings of this machine: credentials, certificates, mirrors, proxies.
///
/// Clones share connections and tokens, so a program needs one.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) registries: Registries,
    options: ClientOptions,
    pub(crate) is_insecure: bool,
}

/// Client options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Concurrent uploads of a run per host.
    pub push_jobs: NonZeroUsize,
    /// The retry policy: attempts and waits.
    pub retry: RetryPolicy,
    /// How long a registry may be silent, and how slow it may be.
    pub timeouts: Timeouts,
    /// Whether registries may lead to internal addresses with redirects, upload locations and token servers: to
    /// link-local ones, from elsewhere to this machine, and from a public to a private address. For one registry,
    /// `internal_addresses = true` in its `hosts.toml` says the same.
    pub internal_addresses: bool,
}

impl ClientOptions {
    /// Sets the concurrent uploads of a run per host.
    #[must_use]
    pub fn with_push_jobs(mut self, push_jobs: NonZeroUsize) -> Self {
        self.push_jobs = push_jobs;
        self
    }

    /// Sets the retry policy.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how long a registry may be silent, and how slow it may be.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets whether registries may lead to internal addresses.
    #[must_use]
    pub fn with_internal_addresses(mut self, internal_addresses: bool) -> Self {
        self.internal_addresses = internal_addresses;
        self
    }
}

impl Default for ClientOptions {
    /// Returns the defaults: four blobs at a time, as other clients send them.
    fn default() -> Self {
        const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        let (retry, timeouts) = (RetryPolicy::default(), Timeouts::default());
        Self { push_jobs: FOUR, retry, timeouts, internal_addresses: false }
    }
}

impl Client {
    /// Creates a client with the settings of this machine and user. Settings are read when they are first needed.
    pub fn new(options: ClientOptions) -> Self {
        Self {
            registries: Registries::from_environment(options.timeouts, options.retry, options.internal_addresses),
            options,
            is_insecure: false,
        }
    }

    /// Returns the same client, which also reads from registries with plain HTTP or a certificate that is not trusted. Pushes
    /// are told so by their [options](longshore_content::RegistryOptions).
    #[must_use]
    pub fn with_insecure(self, is_insecure: bool) -> Self {
        Self { is_insecure, ..self }
    }

    /// Returns the repository of `name`, to read from. Makes no request.
    ///
    /// # Errors
    /// Fails if the settings of the registry cannot be read.
    pub fn repository(&self, name: &ImageName, work: Work) -> Result<PullRepository> {
        Ok(PullRepository::new(self.registries.registry(name.registry(), self.is_insecure)?, name, work))
    }

    /// Returns a pusher for one run. What it learns (which repository has which blob) is dropped with it.
    pub fn pusher(&self) -> RunPusher {
        RunPusher::new(self.registries.clone(), self.options.push_jobs)
    }
}
