//! A client with short waits, what it is given, and what came of it.

use std::any::type_name;
use std::fmt;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_content::{
    Cancel, Delivery, Event, MemoryStore, Origin, Outcome, Progress, ProgressSink, Provider, PushBlob, PushSession,
    Pusher, RegistryOptions, Work, copy,
};
use longshore_distribution::{Client, ClientOptions, PullRepository, RetryPolicy, RunPusher, Timeouts};
use longshore_oci::{Descriptor, Digest, Error, ErrorKind, ImageName, MediaType, Result};
use longshore_testkit::registry::{Recorded, Registry};
use serde_json::{Value, json};

/// Where uploads are.
pub const UPLOADS: &str = "/blobs/uploads/";
/// The repository of most tests.
pub const REPOSITORY: &str = "team/app";
/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client and all that a push or a pull needs.
pub struct Kit {
    pub client: Client,
    pub pusher: RunPusher,
    pub notes: Arc<Notes>,
    pub progress: Progress,
    pub cancel: Cancel,
    pub store: MemoryStore,
}

/// Timeouts that no test should reach.
pub const LONG: Timeouts = Timeouts::DEFAULT.with_connect(Duration::from_secs(60)).with_idle(Duration::from_secs(60));

pub fn options(timeouts: Timeouts, push_jobs: usize) -> ClientOptions {
    let retry = RetryPolicy::default().with_first(Duration::from_millis(5)).with_longest(Duration::from_millis(50));
    let push_jobs = NonZeroUsize::new(push_jobs).unwrap();
    ClientOptions::default().with_push_jobs(push_jobs).with_retry(retry).with_timeouts(timeouts)
}

impl Kit {
    pub fn new() -> Self {
        Self::with(options(LONG, 4))
    }

    /// A client for which a second without a byte is too long.
    pub fn impatient() -> Self {
        let second = Duration::from_secs(1);
        let timeouts = LONG.with_idle(second).with_answer(second).with_commit(3 * second);
        Self::with(options(timeouts, 4))
    }

    pub fn with(options: ClientOptions) -> Self {
        let client = Client::new(options);
        let notes = Arc::new(Notes::default());
        let (pusher, progress) = (client.pusher(), Progress::new(notes.clone()));
        Self { client, pusher, notes, progress, cancel: Cancel::default(), store: MemoryStore::default() }
    }

    pub fn work(&self) -> Work {
        Work::default().with_progress(self.progress.clone()).with_cancel(self.cancel.clone())
    }

    pub fn session(&self, host: &str, repository: &str) -> Arc<dyn PushSession> {
        self.pusher.repository(&name(host, repository), RegistryOptions::default()).unwrap()
    }

    /// Pushes a blob into the repository of most tests.
    pub fn push(&self, host: &str, bytes: &[u8]) -> Result<Delivery> {
        self.push_to(&self.session(host, REPOSITORY), bytes, &[])
    }

    /// Pushes a blob that these repositories are said to have.
    pub fn push_to(&self, session: &Arc<dyn PushSession>, bytes: &[u8], origins: &[Origin]) -> Result<Delivery> {
        let descriptor = &self.store.put(layer(), bytes);
        session.blob(&PushBlob::new(descriptor, &self.store).with_origins(origins).with_verified(true), &self.work())
    }

    /// Pushes a blob from anywhere into the repository of most tests.
    pub fn push_from(
        &self,
        host: &str,
        descriptor: &Descriptor,
        provider: &dyn Provider,
        is_verified: bool,
    ) -> Result<Delivery> {
        let blob = PushBlob::new(descriptor, provider).with_verified(is_verified);
        self.session(host, REPOSITORY).blob(&blob, &self.work())
    }

    /// Streams bytes into the repository of most tests.
    pub fn stream(&self, host: &str, bytes: &[u8]) -> Result<Option<Descriptor>> {
        let make = |out: &mut (dyn Write + Send)| {
            out.write_all(bytes)?;
            Ok(Descriptor::of(layer(), bytes))
        };
        self.session(host, REPOSITORY).stream("layer", &make, &self.work())
    }

    pub fn pull(&self, host: &str) -> PullRepository {
        self.client.repository(&name(host, REPOSITORY), self.work()).unwrap()
    }

    /// Reads a blob, checked.
    pub fn read(&self, from: &PullRepository, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        copy(from, descriptor, &mut bytes, &self.cancel, None)?;
        Ok(bytes)
    }

    /// Cancels `work` once `is_time`, and gives the error with which it ends soon after.
    pub fn cancelled<T: Send>(&self, is_time: impl Fn() -> bool, work: impl FnOnce() -> Result<T> + Send) -> Error {
        thread::scope(|scope| {
            let working = scope.spawn(work);
            until(is_time);
            let since = Instant::now();
            self.cancel.cancel();
            let error = working.join().unwrap().err().unwrap();
            assert!(since.elapsed() < Duration::from_secs(2), "it took {:?} to stop", since.elapsed());
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{}", error.with_causes());
            error
        })
    }
}

/// Waits for something that another thread does.
pub fn until(is_true: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_true() {
        assert!(since.elapsed() < PATIENCE, "it never happens");
        thread::sleep(Duration::from_millis(2));
    }
}

pub fn layer() -> MediaType {
    MediaType::from("application/vnd.oci.image.layer.v1.tar+gzip".to_owned())
}

pub fn name(host: &str, repository: &str) -> ImageName {
    format!("{host}/{repository}").parse().unwrap()
}

pub fn origin(registry: &Registry, repository: &str) -> Origin {
    Origin { registry: registry.host().to_owned(), repository: repository.to_owned() }
}

/// Bytes without any pattern.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ count as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(count);
    bytes
}

/// A manifest of an image without layers, whose configuration is `{}`.
pub fn manifest(about: &str) -> (Descriptor, Vec<u8>) {
    document(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::MANIFEST,
        "config": Descriptor::of(MediaType::CONFIG, b"{}"),
        "layers": [],
        "annotations": { "about": about },
    }))
}

pub fn document(document: &Value) -> (Descriptor, Vec<u8>) {
    let bytes = document.to_string().into_bytes();
    (Descriptor::of(MediaType::MANIFEST, &bytes), bytes)
}

/// Puts a manifest, and what it needs, into the repository of most tests.
pub fn put_manifest(registry: &Registry, tag: &str) -> (Descriptor, Vec<u8>) {
    let (descriptor, bytes) = manifest(tag);
    registry.put_blob(REPOSITORY, b"{}");
    registry.put_manifest(REPOSITORY, Some(tag), MediaType::MANIFEST.as_str(), &bytes);
    (descriptor, bytes)
}

pub fn matching(registry: &Registry, method: &str, target: &str) -> Vec<Recorded> {
    let is_meant =
        |request: &Recorded| request.method == method && format!("{}?{}", request.path, request.query).contains(target);
    registry.requests().into_iter().filter(is_meant).collect()
}

pub fn count(registry: &Registry, method: &str, target: &str) -> usize {
    matching(registry, method, target).len()
}

/// Bytes of blobs that the registry was sent.
pub fn sent(registry: &Registry) -> u64 {
    let uploads = matching(registry, "PUT", UPLOADS).into_iter().chain(matching(registry, "PATCH", UPLOADS));
    uploads.map(|request| request.body_bytes).sum()
}

#[track_caller]
pub fn assert_blob(registry: &Registry, bytes: &[u8]) {
    let found = registry.blob(REPOSITORY, &Digest::of(bytes));
    assert!(found.is_some_and(|found| found == bytes), "the registry lacks the blob");
}

/// What was reported.
#[derive(Default)]
pub struct Notes {
    events: Mutex<Vec<Event>>,
    stop: Mutex<Option<Cancel>>,
}

impl Notes {
    /// Cancels with the first warning.
    pub fn cancel_with_warning(&self, cancel: &Cancel) {
        *self.stop.lock().unwrap() = Some(cancel.clone());
    }

    pub fn warnings(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let warnings = events.iter().filter_map(|event| match event {
            Event::Warning { message } => Some(message.clone()),
            _ => None,
        });
        warnings.collect()
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        let events = self.events.lock().unwrap();
        let outcomes = events.iter().filter_map(|event| match event {
            Event::Finished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        });
        outcomes.collect()
    }

    /// The bytes that tasks worked through.
    pub fn advanced(&self) -> u64 {
        let events = self.events.lock().unwrap();
        events.iter().map(|event| if let Event::Advanced { bytes, .. } = event { *bytes } else { 0 }).sum()
    }
}

impl ProgressSink for Notes {
    fn send(&self, event: Event) {
        let stop = self.stop.lock().unwrap().take_if(|_| matches!(event, Event::Warning { .. }));
        self.events.lock().unwrap().push(event);
        if let Some(cancel) = stop {
            cancel.cancel();
        }
    }
}

/// A provider whose blobs are what a function gives for an offset.
pub struct Made<F>(pub F);

impl<F> fmt::Debug for Made<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

impl<F: Fn(u64) -> Box<dyn Read + Send> + Send + Sync> Provider for Made<F> {
    fn open(&self, _: &Digest, from: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok((self.0)(from))
    }
}

/// The bytes of a blob from an offset on.
pub fn from(bytes: &[u8], offset: u64) -> Cursor<Vec<u8>> {
    Cursor::new(bytes[usize::try_from(offset).unwrap()..].to_vec())
}

/// The settings of a user, in a process of its own.
pub struct Home(PathBuf);

impl Home {
    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn login(&self, host: &str, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        self.write("docker/config.json", &json!({ "auths": { host: { "auth": auth } } }).to_string());
    }

    pub fn identity(&self, host: &str, token: &str) {
        self.write("docker/config.json", &json!({ "auths": { host: { "identitytoken": token } } }).to_string());
    }

    pub fn hosts_toml(&self, host: &str, text: &str) {
        self.write(&format!("config/longshore/certs.d/{host}/hosts.toml"), text);
    }
}

/// Runs a test in a process of its own: settings are found by environment variables, which are those of all
/// threads.
pub fn isolated<F: FnOnce(&Home)>(test: F) {
    isolated_with(&[], test);
}

/// The same, with more variables.
pub fn isolated_with<F: FnOnce(&Home)>(variables: &[(&str, &str)], test: F) {
    const PLACE: &str = "LONGSHORE_TEST_HOME";
    if let Some(place) = std::env::var_os(PLACE) {
        return test(&Home(place.into()));
    }
    let name = type_name::<F>().split_once("::").unwrap().1.trim_end_matches("::{{closure}}");
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name]).env(PLACE, place.path()).env("HOME", place.path());
    command.env("DOCKER_CONFIG", place.path().join("docker")).env("XDG_CONFIG_HOME", place.path().join("config"));
    command.env("XDG_RUNTIME_DIR", place.path().join("run")).env_remove("REGISTRY_AUTH_FILE");
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {said}{errors}");
}
