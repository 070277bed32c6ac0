//! An in-process OCI registry that fails on request, and a proxy that breaks connections.
//!
//! It speaks HTTP/1.1 on a random local port, and keeps everything in memory. It implements the
//! distribution-spec 1.1, and common additions of registries: tokens, limits, refusals.
//!
//! ```
//! use longshore_testkit::registry::{Registry, Rule};
//!
//! let registry = Registry::builder().max_body(1 << 20).start();
//! registry.fail(Rule::on("PATCH", "/blobs/uploads/").after(1).drop_after_request_bytes(100));
//! let layer = registry.put_blob("some/name", b"a layer");
//! // A client of http://{registry.host()} goes here.
//! assert_eq!(registry.blob("some/name", &layer).as_deref(), Some(&b"a layer"[..]));
//! assert!(registry.requests().is_empty());
//! ```

mod auth;
mod blobs;
mod body;
mod builder;
mod connection;
mod fault;
mod http;
mod listings;
mod manifests;
mod proxy;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod uploads;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use longshore_core::oci::Digest;

pub use auth::TokenOptions;
pub use builder::Builder;
pub use fault::Rule;
pub use proxy::Proxy;
pub use state::Recorded;

use builder::Options;
use server::Server;
use state::{Manifest, Shared};

/// A registry, which runs until it is dropped.
pub struct Registry {
    shared: Arc<Shared>,
    server: Server,
}

impl Registry {
    /// Creates a registry that is open to everyone and can do everything.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder for a registry.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn with(options: Options) -> Self {
        let (listener, address) = server::listen();
        let shared = Arc::new(Shared::new(options, address.to_string()));
        let serving = shared.clone();
        let server = Server::start(listener, move |stream, stop| connection::serve(&serving, stream, stop));
        Self { shared, server }
    }

    /// Returns its host and port.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// Returns its host and port as a socket address.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Adds a fault.
    pub fn fail(&self, rule: Rule) {
        self.shared.rules.lock().push(rule);
    }

    /// Returns the bytes of a blob.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        self.shared.state().blob(repository, digest).map(|blob| blob.to_vec())
    }

    /// Returns the media type and the bytes of a manifest, by a tag or a digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Vec<u8>)> {
        let (_, manifest) = self.shared.state().manifest(repository, reference)?;
        Some((manifest.media_type, manifest.bytes.to_vec()))
    }

    /// Returns the repositories that anything was put into, sorted.
    pub fn repositories(&self) -> Vec<String> {
        let mut names: Vec<String> = self.shared.state().repositories.keys().cloned().collect();
        names.sort();
        names
    }

    /// Returns the tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.shared.state();
        state.repositories.get(repository).into_iter().flat_map(|repository| repository.tags.keys().cloned()).collect()
    }

    /// Puts a blob into a repository.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let blob = Arc::new(bytes.to_vec());
        self.shared.state().repository(repository).blobs.insert(digest.clone(), blob);
        digest
    }

    /// Puts a manifest into a repository, under a tag or under its digest alone, whatever it refers to.
    pub fn put_manifest(&self, repository: &str, reference: Option<&str>, media_type: &str, bytes: &[u8]) -> Digest {
        let named = reference.and_then(|reference| reference.parse::<Digest>().ok());
        let tag = reference.filter(|_| named.is_none());
        let digest = named.unwrap_or_else(|| Digest::of(bytes));
        assert!(blobs::is_digest_of(&digest, bytes), "the manifest is not {digest}");
        let manifest = Manifest { media_type: media_type.to_owned(), bytes: Arc::new(bytes.to_vec()) };
        manifests::store(self.shared.state().repository(repository), tag, &digest, manifest);
        digest
    }

    /// Removes a blob from a repository, and says whether it was there.
    pub fn remove_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.shared.state().repository(repository).blobs.remove(digest).is_some()
    }

    /// Returns the number of uploads that were started but neither finished nor abandoned.
    pub fn open_uploads(&self) -> usize {
        self.shared.state().uploads.len()
    }

    /// Returns the requests so far, in the order in which they came. Those to `/token` are among them.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.clear_requests();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("host", &self.host()).finish_non_exhaustive()
    }
}
