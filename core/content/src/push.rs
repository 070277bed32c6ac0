//! Pushing: the contract between exporters and registry clients.

use std::fmt;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, ImageName, Result};

use crate::provider::{Origin, Provider};
use crate::work::Work;

/// A registry client for pushes. The host lends one to a run, and all outputs share it, including what was
/// already sent.
pub trait Pusher: Send + Sync + fmt::Debug {
    /// Returns a session for the repository of `name`. No request is made before something is pushed.
    ///
    /// # Errors
    /// Unreadable settings of the registry: certificates, credentials.
    fn repository(&self, name: &ImageName, options: RegistryOptions) -> Result<Arc<dyn PushSession>>;
}

/// Connection options of a registry, set by an output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Whether to skip certificate checks and to accept plain HTTP.
    pub insecure: bool,
}

/// A repository to push to.
///
/// - Each call waits, retries and resumes until it is done, has failed for good, or is cancelled.
/// - It may be called from many threads concurrently. Two calls for one blob upload it once.
/// - Nothing is visible under a tag before [`tag`](Self::tag).
pub trait PushSession: Send + Sync + fmt::Debug {
    /// Returns its path.
    fn origin(&self) -> Origin;

    /// Returns the number of concurrent uploads to the registry.
    fn jobs(&self) -> NonZeroUsize;

    /// Returns a provider for reading back blobs, reporting to `work` and cancelled by it.
    fn provider(&self, work: &Work) -> Arc<dyn Provider>;

    /// Checks whether the registry would accept a push, as far as that can be known before layers are read.
    ///
    /// # Errors
    /// A registry that is unreachable or denies access.
    fn check(&self, work: &Work) -> Result<()>;

    /// Makes sure that the repository has a blob: found, mounted from another repository, or sent.
    ///
    /// # Errors
    /// A registry that refuses or is unreachable; a blob that does not match its descriptor.
    fn blob(&self, blob: &PushBlob<'_>, work: &Work) -> Result<Delivery>;

    /// Makes sure that the repository has a blob that already exists there, or can be mounted from one of
    /// `origins`; returns its size in bytes. `None` if neither is possible: then nothing was sent.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn reuse(&self, digest: &Digest, origins: &[Origin], work: &Work) -> Result<Option<u64>>;

    /// Uploads a blob while it is built. `make` writes it and returns its descriptor; it is called again, and
    /// must write the same bytes, when a connection breaks.
    ///
    /// Returns `None` if the registry accepts only blobs of known size: then nothing was sent.
    ///
    /// # Errors
    /// Errors of `make`, and as [`blob`](Self::blob).
    fn stream(&self, name: &str, make: &MakeBlob<'_>, work: &Work) -> Result<Option<Descriptor>>;

    /// Pushes a manifest or an index by digest, after everything it refers to. In a repository to which this
    /// run sent nothing, an existing one is left alone.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn manifest(&self, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery>;

    /// Reserves a tag for a manifest or an index, before anything is visible.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) if another output of the run reserved it for
    /// something else.
    fn reserve(&self, tag: &str, descriptor: &Descriptor) -> Result<()>;

    /// Points a tag at a manifest or an index; a tag that is up to date is left alone.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn tag(&self, tag: &str, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery>;

    /// Lists pushed referrers for a registry without the referrers API: under the fallback tag of the subject
    /// (distribution-spec 1.1, "Referrers Tag Schema").
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn list_referrers(&self, work: &Work) -> Result<()>;
}

/// Writes a blob, and returns its descriptor.
pub type MakeBlob<'a> = dyn Fn(&mut (dyn Write + Send)) -> Result<Descriptor> + Sync + 'a;

/// A blob to push.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PushBlob<'a> {
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// Its provider.
    pub provider: &'a dyn Provider,
    /// Repositories reported to have it.
    pub origins: &'a [Origin],
    /// Whether the provider verified the blob when it was stored. Then it is not hashed again during the
    /// upload: the registry checks it against the digest that closes the upload.
    pub is_verified: bool,
}

/// How a blob or manifest got into a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It already existed.
    Present,
    /// It was mounted from this repository of the same registry.
    Mounted(String),
    /// It was uploaded.
    Sent {
        /// How many times the upload was resumed.
        resumed: u32,
    },
}

impl RegistryOptions {
    /// Sets whether certificates are not checked and plain HTTP will do.
    #[must_use]
    pub fn with_insecure(self, insecure: bool) -> Self {
        Self { insecure, ..self }
    }
}

impl<'a> PushBlob<'a> {
    /// Creates a blob that no repository is known to have, from a provider that did not verify it.
    pub fn new(descriptor: &'a Descriptor, provider: &'a dyn Provider) -> Self {
        Self { descriptor, provider, origins: &[], is_verified: false }
    }

    /// Sets the repositories that are said to have it.
    #[must_use]
    pub fn with_origins(self, origins: &'a [Origin]) -> Self {
        Self { origins, ..self }
    }

    /// Sets whether the provider verified it when it took it in.
    #[must_use]
    pub fn with_verified(self, is_verified: bool) -> Self {
        Self { is_verified, ..self }
    }
}
