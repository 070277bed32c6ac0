//! Debian's docker-registry: one of the test's own, on a port of this machine.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use longshore_core::oci::Digest;
use tempfile::TempDir;

use crate::interop::peers::missing;

/// Ports that are tried: another program may be quicker.
const ATTEMPTS: usize = 5;

/// How a registry is to be.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) has_passwords: bool,
    pub(crate) tls: Option<Certificates>,
}

/// Its certificate and key, and who may come if not everyone.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) clients: Option<PathBuf>,
}

/// A registry that ends, and whose files go, when this is dropped.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    process: Child,
    address: SocketAddr,
    root: TempDir,
}

/// Whether it is installed; where not, that is said.
pub(crate) fn is_ready() -> bool {
    let is_there = Command::new("docker-registry").arg("--version").output().is_ok();
    is_there || missing("docker-registry is not installed")
}

impl DockerRegistry {
    /// One that is open to everyone; `None` where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&Options::default())
    }

    pub(crate) fn with(options: &Options) -> Option<Self> {
        if !is_ready() {
            return None;
        }
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(options) {
                Ok(registry) => return Some(registry),
                Err(log) => last = log,
            }
        }
        panic!("docker-registry does not start:\n{last}");
    }

    fn attempt(options: &Options) -> Result<Self, String> {
        let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let configuration = root.path().join("config.yml");
        fs::write(&configuration, text(options, root.path(), address)).unwrap();
        let log = File::create(root.path().join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(configuration).stdout(log.try_clone().unwrap()).stderr(log);
        // It takes settings from there, too.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRY_")) {
            command.env_remove(name);
        }
        let mut registry = Self { process: command.spawn().unwrap(), address, root };
        registry.wait()?;
        Ok(registry)
    }

    /// Waits until it answers, or fails with its log.
    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let has_ended = self.process.try_wait().unwrap().is_some();
            if has_ended || Instant::now() > until {
                return Err(fs::read_to_string(self.root.path().join("log")).unwrap());
            }
            if answers(self.address) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join("data/docker/registry/v2").join(relative)
    }

    /// What a tag stands for.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        let link = self.path(&format!("repositories/{repository}/_manifests/tags/{tag}/current/link"));
        Some(fs::read_to_string(link).ok()?.parse().unwrap())
    }

    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        let tags = names(&self.path(&format!("repositories/{repository}/_manifests/tags")));
        // A tag that was being put and failed has a directory, but stands for nothing.
        tags.into_iter().filter(|tag| self.tag(repository, tag).is_some()).collect()
    }

    /// The bytes of a blob or a manifest.
    pub(crate) fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        fs::read(self.blob_path(digest)).ok()
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.path(&format!("blobs/{}/{}/{hex}/data", digest.algorithm(), &hex[..2]))
    }

    /// Whether the repository has this manifest.
    pub(crate) fn has_manifest(&self, repository: &str, digest: &Digest) -> bool {
        let (algorithm, hex) = (digest.algorithm(), digest.hex());
        self.path(&format!("repositories/{repository}/_manifests/revisions/{algorithm}/{hex}/link")).exists()
    }

    /// Whether nothing was ever put into it.
    pub(crate) fn is_empty(&self) -> bool {
        names(&self.path("blobs")).is_empty() && names(&self.path("repositories")).is_empty()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether an HTTP server is there: one with TLS says in plain HTTP that it has it.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut start = [0; 7];
    let asked = stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n");
    asked.and_then(|()| stream.read_exact(&mut start)).is_ok_and(|()| start == *b"HTTP/1.")
}

fn text(options: &Options, root: &Path, address: SocketAddr) -> String {
    let mut text = format!(
        r#"version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}/data}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: {address}
  secret: test
"#,
        root = root.display(),
    );
    if let Some(Certificates { certificate, key, clients }) = &options.tls {
        writeln!(text, "  tls:\n    certificate: {}\n    key: {}", certificate.display(), key.display()).unwrap();
        if let Some(clients) = clients {
            writeln!(text, "    clientcas: [{}]", clients.display()).unwrap();
        }
    }
    if options.has_passwords {
        let passwords = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/registry/htpasswd");
        writeln!(text, "auth:\n  htpasswd: {{realm: test, path: {passwords}}}").unwrap();
    }
    text
}
