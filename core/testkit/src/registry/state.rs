//! The contents of a registry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::oci::Digest;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::auth::Tokens;
use super::builder::Options;
use super::fault::Rule;
use super::http::{Head, find};

/// State shared by the threads of a registry.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) host: String,
    pub(super) rules: Mutex<Vec<Rule>>,
    pub(super) tokens: Mutex<Tokens>,
    state: Mutex<State>,
    /// Notified when a request has written the last of its body to an upload.
    written: Condvar,
    requests: Mutex<Requests>,
}

impl Shared {
    pub(super) fn new(options: Options, host: String) -> Self {
        Self {
            options,
            host,
            rules: Mutex::default(),
            tokens: Mutex::default(),
            state: Mutex::default(),
            written: Condvar::new(),
            requests: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Returns the state once no request writes to the upload. A client that lost its connection may ask
    /// for the offset before the thread of that connection has received the last bytes.
    pub(super) fn quiet(&self, upload: &str) -> MutexGuard<'_, State> {
        let busy = |state: &mut State| state.uploads.get(upload).is_some_and(|upload| upload.writers > 0);
        let mut state = self.state();
        self.written.wait_while_for(&mut state, busy, Duration::from_secs(2));
        state
    }

    pub(super) fn written(&self) {
        self.written.notify_all();
    }

    /// Records a request without a response, and returns its ID and the counter of its body.
    pub(super) fn record(&self, head: &Head) -> (u64, Arc<AtomicU64>) {
        let mut requests = self.requests.lock();
        requests.last += 1;
        let id = requests.last;
        let Head { method, path, query, headers, .. } = head.clone();
        let recorded = Recorded { method, path, query, headers, body_bytes: 0, status: 0 };
        let received = Arc::new(AtomicU64::new(0));
        requests.all.insert(id, (recorded, received.clone()));
        (id, received)
    }

    /// Records the response to a request.
    pub(super) fn complete(&self, id: u64, status: u16) {
        if let Some((recorded, _)) = self.requests.lock().all.get_mut(&id) {
            recorded.status = status;
        }
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        let requests = self.requests.lock();
        let now = |(recorded, received): &(Recorded, Arc<AtomicU64>)| Recorded {
            body_bytes: received.load(Ordering::Relaxed),
            ..recorded.clone()
        };
        requests.all.values().map(now).collect()
    }

    pub(super) fn clear_requests(&self) {
        self.requests.lock().all.clear();
    }
}

#[derive(Default)]
struct Requests {
    last: u64,
    all: BTreeMap<u64, (Recorded, Arc<AtomicU64>)>,
}

/// A request that a registry got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// `GET` and so on.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query as it was sent, empty if there was none.
    pub query: String,
    /// The headers, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that really arrived.
    pub body_bytes: u64,
    /// The status of the answer; 0 if there is none, or the connection was cut in it.
    pub status: u16,
}

impl Recorded {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the value of the `Authorization` header.
    pub fn authorization(&self) -> Option<String> {
        self.header("authorization").map(str::to_owned)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) uploads: HashMap<String, Upload>,
    uploads_ever: u64,
}

impl State {
    /// Returns the blob, if the repository has it.
    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Option<Arc<Vec<u8>>> {
        self.repositories.get(repository)?.blobs.get(digest).cloned()
    }

    /// Returns the manifest that a tag or a digest names.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<(Digest, Manifest)> {
        let repository = self.repositories.get(repository)?;
        let digest = match reference.parse() {
            Ok(digest) => digest,
            Err(_) => repository.tags.get(reference)?.clone(),
        };
        let manifest = repository.manifests.get(&digest)?.clone();
        Some((digest, manifest))
    }

    /// Returns the repository, creating it if it does not exist.
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Begins an upload and returns its identifier.
    pub(super) fn begin_upload(&mut self, repository: &str) -> String {
        self.uploads_ever += 1;
        let id = format!("upload-{}", self.uploads_ever);
        let upload = Upload { repository: repository.to_owned(), bytes: Vec::new(), writers: 0, short: false };
        self.uploads.insert(id.clone(), upload);
        id
    }
}

#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<String, Digest>,
}

#[derive(Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Arc<Vec<u8>>,
}

pub(super) struct Upload {
    pub(super) repository: String,
    pub(super) bytes: Vec<u8>,
    /// Requests whose body is being received.
    pub(super) writers: usize,
    /// Whether its last chunk was too short to be followed by another.
    pub(super) short: bool,
}
