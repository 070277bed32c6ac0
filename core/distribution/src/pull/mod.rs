//! Pull: a repository as a provider of blobs, which are fetched on demand.

mod blob;
mod referrers;

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use longshore_content::{Origin, Provider, Work};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, ImageName, MANIFEST_LIMIT, Result, parse_index};
use parking_lot::{Mutex, MutexGuard};
use ureq::http::Method;

use crate::auth::Scope;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload, Reason, Response, encode, run};
use crate::manifest::{ACCEPT, checked, read};
use crate::registry::{PullSource, Registry};

/// A repository that is read from. Clones share what they know.
#[derive(Debug, Clone)]
pub struct PullRepository(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    origin: Origin,
    scopes: [Scope; 1],
    work: Work,
    documents: Mutex<Documents>,
}

/// Manifests and indexes: known digests, and the bytes already read, since images are walked more than once.
#[derive(Debug, Default)]
struct Documents {
    known: HashMap<Digest, Option<Arc<[u8]>>>,
    /// Entries of indexes with an unknown type, which does not tell whether a registry has them as manifests or as
    /// blobs.
    unknown: HashSet<Digest>,
    bytes: u64,
}

impl Documents {
    fn keep(&mut self, digest: &Digest, bytes: Arc<[u8]>) {
        let size = bytes.len() as u64;
        let fits = self.bytes + size <= KEPT;
        self.bytes += if fits { size } else { 0 };
        self.known.insert(digest.clone(), fits.then_some(bytes));
    }
}

/// How many bytes of documents are kept; the rest is fetched again.
const KEPT: u64 = 4 * MANIFEST_LIMIT;

impl PullRepository {
    pub(crate) fn new(registry: Arc<Registry>, name: &ImageName, work: Work) -> Self {
        let origin = Origin::of(name);
        let scopes = [Scope::pull(name.repository())];
        Self(Arc::new(Shared { registry, origin, scopes, work, documents: Mutex::default() }))
    }

    /// Returns the descriptor of a tag or a digest. Reads and checks the manifest.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a missing manifest; a manifest that is not what it says; a registry
    /// that refuses or cannot be reached.
    pub fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let expected = reference.contains(':').then(|| reference.parse::<Digest>()).transpose()?;
        let (descriptor, bytes) = self.manifest(reference, expected.as_ref())?;
        self.keep(&descriptor, bytes.into());
        Ok(descriptor)
    }

    /// Manifests that refer to one of the repository: signatures, SBOMs.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); a repository without any is no error.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let found = referrers::list(self, subject);
        let found = found.attempt(|| format!("cannot list what refers to {subject}"))?;
        let mut documents = self.documents();
        for descriptor in &found {
            documents.known.entry(descriptor.digest.clone()).or_default();
        }
        Ok(found)
    }

    fn manifest(&self, reference: &str, expected: Option<&Digest>) -> Result<(Descriptor, Vec<u8>)> {
        let path = format!("{}/manifests/{reference}", self.0.origin.repository);
        let resolves = |source: &PullSource| expected.is_some() || source.resolves;
        self.ask(resolves, |source| {
            let response = self.get(source, &path, vec![("accept", ACCEPT.to_owned())])?;
            read(response.expect(&self.what("manifest", reference), &[200])?, expected)
        })
    }

    /// Asks one address after the other; the last, the registry itself, as often as the policy says.
    fn ask<T>(
        &self,
        may: impl Fn(&PullSource) -> bool,
        attempt: impl Fn(&PullSource) -> Result<T, Failure>,
    ) -> Result<T> {
        let sources = &self.0.registry.sources;
        let Some((own, mirrors)) = sources.split_last() else {
            return Err(Error::new(ErrorKind::Other, "a registry without an address"));
        };
        for mirror in mirrors.iter().filter(|mirror| may(mirror) && !mirror.is_dead.load(Ordering::Relaxed)) {
            match attempt(mirror) {
                Ok(done) => return Ok(done),
                Err(failure) if failure.error().kind() == ErrorKind::Cancelled => return Err(failure.into_error()),
                // A mirror without the blob is skipped.
                Err(failure) if failure.status() == Some(404) => {}
                Err(failure) => {
                    // Not asked again for every blob: each attempt might take as long.
                    let is_dead =
                        matches!(failure.reason, Reason::Broken | Reason::Late | Reason::Slow | Reason::Nowhere);
                    mirror.is_dead.fetch_or(is_dead, Ordering::Relaxed);
                    let said = failure.into_error().with_causes();
                    self.0.work.progress.warn(format!("{said}: trying elsewhere"));
                }
            }
        }
        run(own.endpoint.policy(), &self.0.work, || attempt(own))
    }

    /// Returns the address to ask after one has failed.
    fn after(&self, source: &PullSource) -> Option<PullSource> {
        let mut sources = self.0.registry.sources.iter();
        sources.find(|known| Arc::ptr_eq(&known.endpoint, &source.endpoint))?;
        sources.next().cloned()
    }

    fn get(&self, source: &PullSource, path: &str, headers: Vec<(&'static str, String)>) -> Result<Response, Failure> {
        // This tells mirrors which registry is meant, as containerd does.
        let path = match source.is_mirror {
            true => format!("{path}?ns={}", encode(&self.0.origin.registry)),
            false => path.to_owned(),
        };
        let call = Call {
            method: Method::GET,
            target: Target::Path(&path),
            headers,
            scopes: &self.0.scopes,
            payload: Payload::None,
            patience: None,
            closes: 0,
        };
        source.endpoint.follow(call, &self.0.work)
    }

    fn what(&self, kind: &str, reference: &str) -> String {
        format!("cannot get {kind} {reference} of {}", self.0.origin)
    }

    fn keep(&self, descriptor: &Descriptor, bytes: Arc<[u8]>) {
        let mut documents = self.documents();
        if descriptor.media_type.is_index()
            && let Ok(index) = parse_index(descriptor, &bytes)
        {
            for child in index.manifests {
                if child.media_type.is_manifest() || child.media_type.is_index() {
                    documents.known.entry(child.digest).or_default();
                } else {
                    documents.unknown.insert(child.digest);
                }
            }
        }
        documents.keep(&descriptor.digest, bytes);
    }

    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.0.documents.lock()
    }

    /// Opens a non-blob that an index lists: to the registry, it is a manifest.
    fn open_listed(&self, digest: &Digest, from: u64, error: Error) -> Result<Box<dyn Read + Send + '_>> {
        let path = format!("{}/manifests/{digest}", self.0.origin.repository);
        let found = self.ask(
            |_| true,
            |source| {
                let response = self.get(source, &path, vec![("accept", format!("{ACCEPT}, */*"))])?;
                checked(response.expect(&self.what("manifest", &digest.to_string()), &[200])?, Some(digest))
            },
        );
        match found {
            Ok((_, bytes)) => {
                let bytes: Arc<[u8]> = bytes.into();
                self.documents().keep(digest, bytes.clone());
                let mut reader = Cursor::new(bytes);
                reader.set_position(from);
                Ok(Box::new(reader))
            }
            // The first error says more: it may be a lost blob.
            Err(other) if other.kind() == ErrorKind::NotFound => {
                Err(error).attempt(|| format!("{digest}, which an index lists, is neither a blob nor a manifest"))
            }
            Err(other) => Err(other),
        }
    }

    /// Returns the bytes of a manifest or an index; `None` for any other blob.
    fn document(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>> {
        let known = self.documents().known.get(digest).cloned();
        match known {
            None => Ok(None),
            Some(Some(bytes)) => Ok(Some(bytes)),
            Some(None) => {
                let (descriptor, bytes) = self.manifest(&digest.to_string(), Some(digest))?;
                let bytes: Arc<[u8]> = bytes.into();
                self.keep(&descriptor, bytes.clone());
                Ok(Some(bytes))
            }
        }
    }
}

impl Provider for PullRepository {
    fn open(&self, digest: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        if let Some(bytes) = self.document(digest)? {
            let mut reader = Cursor::new(bytes);
            reader.set_position(from);
            return Ok(Box::new(reader));
        }
        match blob::open(self, digest, from) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.documents().unknown.contains(digest) => {
                self.open_listed(digest, from, error)
            }
            opened => opened,
        }
    }

    fn origins(&self, _: &Digest) -> Result<Vec<Origin>> {
        Ok(vec![self.0.origin.clone()])
    }
}
