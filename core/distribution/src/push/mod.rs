//! Push: each blob once, from the nearest place, and resumed when a connection breaks.

mod blob;
mod manifest;
mod mount;
mod referrers;
mod source;
mod stream;
mod upload;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_content::{
    Capacity, Delivery, MakeBlob, Origin, Provider, PushBlob, PushSession, Pusher, RegistryOptions, Work,
};
use longshore_oci::{Descriptor, Digest, Error, ImageName, Result};
use parking_lot::{Mutex, MutexGuard};
use ureq::http::Method;

use crate::auth::Scope;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload, Response};
use crate::pull::PullRepository;
use crate::registry::{Registries, Registry};

/// Pushes for one run. Clones share what they learn of who has which blob.
#[derive(Debug, Clone)]
pub struct RunPusher {
    registries: Registries,
    jobs: NonZeroUsize,
    shipments: Arc<Shipments>,
}

/// Repositories of one registry that are known to have a blob. The holder of the lock delivers it.
type Having = Arc<Mutex<Vec<String>>>;

/// What this run has sent, so that nothing is sent twice, even by outputs that do not know of each other.
#[derive(Debug, Default)]
struct Shipments {
    blobs: Mutex<HashMap<(String, Digest), Having>>,
    sessions: Mutex<HashMap<(Origin, bool), Arc<RunSession>>>,
    slots: Mutex<HashMap<String, Capacity>>,
}

impl Shipments {
    fn of(&self, registry: &str, digest: &Digest) -> Having {
        let mut blobs = self.blobs.lock();
        blobs.entry((registry.to_owned(), digest.clone())).or_default().clone()
    }

    /// Returns the upload slots of one host, shared by all its repositories.
    fn slots(&self, registry: &str, jobs: NonZeroUsize) -> Capacity {
        let mut slots = self.slots.lock();
        slots.entry(registry.to_owned()).or_insert_with(|| Capacity::new(jobs.get() as u64)).clone()
    }
}

impl RunPusher {
    pub(crate) fn new(registries: Registries, jobs: NonZeroUsize) -> Self {
        Self { registries, jobs, shipments: Arc::default() }
    }

    /// Sends so many blobs to one host at the same time.
    #[must_use]
    pub fn with_jobs(self, jobs: NonZeroUsize) -> Self {
        Self { jobs, ..self }
    }
}

impl Pusher for RunPusher {
    fn repository(&self, name: &ImageName, options: RegistryOptions) -> Result<Arc<dyn PushSession>> {
        let origin = Origin::of(name);
        let registry = self.registries.registry(name.registry(), options.insecure)?;
        let mut sessions = self.shipments.sessions.lock();
        let session = sessions.entry((origin.clone(), options.insecure)).or_insert_with(|| {
            Arc::new(RunSession {
                scopes: [Scope::push(&origin.repository)],
                origin,
                name: name.clone(),
                jobs: self.jobs,
                slots: self.shipments.slots(name.registry(), self.jobs),
                registry,
                shipments: self.shipments.clone(),
                has_sent: AtomicBool::default(),
                takes_no_streams: AtomicBool::default(),
                reserved: Mutex::default(),
                listing: Mutex::default(),
                unlisted: Mutex::default(),
            })
        });
        Ok(session.clone())
    }
}

/// One repository in one run.
#[derive(Debug)]
struct RunSession {
    registry: Arc<Registry>,
    origin: Origin,
    name: ImageName,
    scopes: [Scope; 1],
    jobs: NonZeroUsize,
    slots: Capacity,
    shipments: Arc<Shipments>,
    /// Whether anything new was sent to the repository, so that manifests that refer to it are new, too.
    has_sent: AtomicBool,
    takes_no_streams: AtomicBool,
    /// What tags will point to.
    reserved: Mutex<HashMap<String, Digest>>,
    /// Held while lists are read and written.
    listing: Mutex<()>,
    /// Manifests with subjects, by subject, unless the registry said that it lists them.
    unlisted: Mutex<Vec<(Digest, Descriptor)>>,
}

impl RunSession {
    /// Sends a request to the registry, once.
    fn call(&self, call: Call<'_>, work: &Work) -> Result<Response, Failure> {
        self.registry.endpoint.call(call, work)
    }

    /// Returns a request for a path below the repository.
    fn at<'a>(&'a self, method: Method, path: &'a str, payload: Payload<'a>) -> Call<'a> {
        let (target, headers) = (Target::Path(path), Vec::new());
        Call { method, target, headers, scopes: &self.scopes, payload, patience: None, closes: 0 }
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.origin.repository)
    }

    fn unlisted(&self) -> MutexGuard<'_, Vec<(Digest, Descriptor)>> {
        self.unlisted.lock()
    }
}

impl PushSession for RunSession {
    fn origin(&self) -> Origin {
        self.origin.clone()
    }

    fn jobs(&self) -> NonZeroUsize {
        self.jobs
    }

    fn provider(&self, work: &Work) -> Arc<dyn Provider> {
        // Mirrors do not have what was just pushed.
        let own = Registry::without_mirrors(self.registry.endpoint.clone());
        Arc::new(PullRepository::new(Arc::new(own), &self.name, work.clone()))
    }

    fn check(&self, work: &Work) -> Result<()> {
        manifest::check(self, work)
    }

    fn blob(&self, blob: &PushBlob<'_>, work: &Work) -> Result<Delivery> {
        let delivery = blob::deliver(self, blob, work)?;
        if delivery != Delivery::Present {
            self.has_sent.store(true, Ordering::Relaxed);
        }
        Ok(delivery)
    }

    fn reuse(&self, digest: &Digest, origins: &[Origin], work: &Work) -> Result<Option<u64>> {
        let found = blob::reuse(self, digest, origins, work)?;
        self.has_sent.fetch_or(found.is_some(), Ordering::Relaxed);
        Ok(found)
    }

    fn stream(&self, name: &str, make: &MakeBlob<'_>, work: &Work) -> Result<Option<Descriptor>> {
        if self.takes_no_streams.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let slot = self.slots.acquire(1, &work.cancel)?;
        let sent = stream::send(self, name, make, work)?;
        // The holder of the blob may be waiting for the slot.
        drop(slot);
        if let Some(descriptor) = &sent {
            self.has_sent.store(true, Ordering::Relaxed);
            let shipped = self.shipments.of(&self.origin.registry, &descriptor.digest);
            shipped.lock().push(self.origin.repository.clone());
        }
        self.takes_no_streams.fetch_or(sent.is_none(), Ordering::Relaxed);
        Ok(sent)
    }

    fn manifest(&self, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery> {
        manifest::put(self, &descriptor.digest.to_string(), descriptor, bytes, work)
    }

    fn reserve(&self, tag: &str, descriptor: &Descriptor) -> Result<()> {
        let mut reserved = self.reserved.lock();
        let digest = reserved.entry(tag.to_owned()).or_insert_with(|| descriptor.digest.clone());
        if *digest == descriptor.digest {
            return Ok(());
        }
        let message = format!("two outputs push different images to {}:{tag}", self.origin);
        Err(Error::option(message).with_hint("give them different tags"))
    }

    fn tag(&self, tag: &str, descriptor: &Descriptor, bytes: &[u8], work: &Work) -> Result<Delivery> {
        manifest::put(self, tag, descriptor, bytes, work)
    }

    fn list_referrers(&self, work: &Work) -> Result<()> {
        referrers::list(self, work)
    }
}
