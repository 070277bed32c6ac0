//! Pushing: the contract between exporters and who talks to registries.

use std::fmt;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use longshore_oci::{Descriptor, Digest, ImageName, Result};

use crate::provider::{Origin, Provider};
use crate::work::Work;

/// Who takes images to registries. The host lends one to a run, and all outputs share it: what one of
/// them sent, another one finds.
pub trait Pusher: Send + Sync + fmt::Debug {
    /// The repository of `name`. No request is made before something is pushed.
    ///
    /// # Errors
    /// Settings of the registry that cannot be read: certificates, credentials.
    fn repository(&self, name: &ImageName, options: RegistryOptions) -> Result<Arc<dyn PushSession>>;
}

/// How a registry is talked to, as an output said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Whether certificates are not checked and plain HTTP will do.
    pub insecure: bool,
}

/// A repository that is pushed to.
///
/// - Each call waits, retries and resumes until it is done, has failed for good, or is cancelled.
/// - It may be called from many threads at once. Two calls for one blob send it once.
/// - Nothing is visible under a tag before [`tag`](Self::tag).
pub trait PushSession: Send + Sync + fmt::Debug {
    /// Where it is.
    fn origin(&self) -> Origin;

    /// Blobs that the registry is sent at the same time.
    fn jobs(&self) -> NonZeroUsize;

    /// What can be read back, reporting to `work` and stopped by it.
    fn provider(&self, work: &Work) -> Arc<dyn Provider>;

    /// Asks whether there is anybody who would take a push: before layers are read, as far as that can be
    /// known then.
    ///
    /// # Errors
    /// A registry that is out of reach or refuses who asks.
    fn check(&self, work: &Work) -> Result<()>;

    /// Makes sure that the repository has a blob: found, mounted from another repository, or sent.
    ///
    /// # Errors
    /// A registry that refuses or is out of reach; a blob that is not what its descriptor says.
    fn blob(&self, blob: &PushBlob<'_>, work: &Work) -> Result<Delivery>;

    /// Makes sure that the repository has a blob that it has already, or that can be mounted from one of
    /// `origins`; answers its size in bytes. `None` if that cannot be: then nothing was sent.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn reuse(&self, digest: &Digest, origins: &[Origin], work: &Work) -> Result<Option<u64>>;

    /// Sends a blob while it is made. `make` writes it and answers what it wrote; it is called again,
    /// and writes the same, when a connection breaks.
    ///
    /// `None` if the registry takes only blobs whose size is known: then nothing was sent.
    ///
    /// # Errors
    /// Those of `make`, and as [`blob`](Self::blob).
    fn stream(&self, name: &str, make: &MakeBlob<'_>, work: &Work) -> Result<Option<Descriptor>>;

    /// Puts a manifest or an index under its digest. What it refers to comes first. In a repository that was sent nothing
    /// by this run, one that exists is left alone.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn manifest(&self, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery>;

    /// Says what a tag will point to, before anything is visible.
    ///
    /// # Errors
    /// [`InvalidOption`](longshore_oci::ErrorKind::InvalidOption) if another output of the run wants it to point
    /// elsewhere.
    fn reserve(&self, tag: &str, descriptor: &Descriptor) -> Result<()>;

    /// Points a tag at a manifest or an index; a tag that points there already is left alone.
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn tag(&self, tag: &str, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery>;

    /// Lists manifests that were put and refer to others where the registry does not do so itself: under
    /// the tag that stands for the subject (distribution-spec 1.1, "Referrers Tag Schema").
    ///
    /// # Errors
    /// As [`blob`](Self::blob).
    fn list_referrers(&self, work: &Work) -> Result<()>;
}

/// Writes a blob, and answers what it wrote.
pub type MakeBlob<'a> = dyn Fn(&mut (dyn Write + Send)) -> Result<Descriptor> + Sync + 'a;

/// A blob that is pushed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PushBlob<'a> {
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// Who has it.
    pub provider: &'a dyn Provider,
    /// Repositories that are said to have it.
    pub origins: &'a [Origin],
    /// Whether the provider verified it when it took it in. Then it is not hashed once more on its way: the
    /// registry checks it against the digest that closes the upload.
    pub is_verified: bool,
}

/// How something came into a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It was there.
    Present,
    /// It was in this repository of the same registry.
    Mounted(String),
    /// It was sent, and continued so many times after a connection broke.
    Sent {
        /// How many times it was continued.
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
    /// A blob that no repository is known to have, from a provider that did not verify it.
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
