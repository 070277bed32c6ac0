//! The side of the program: finds plugins, runs them, and offers them as exporters and frontends.

mod blob;
mod cache;
mod declared;
mod exporter;
mod find;
mod frontend;
mod input;
mod limits;
mod output;
mod process;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use longshore_core::{Error, ErrorKind, Result, Work};

use crate::protocol::{ExporterDescription, FrontendDescription, Reply, Request};
pub use exporter::ExternalExporter;
pub use find::{Found, Plugins, Role, is_plugin_name};
pub use frontend::ExternalFrontend;
pub use limits::Limits;
use process::Process;

/// Variables that every plugin gets: where programs are, how people read, the way to the network, and the time of the
/// build. `LC_…` belongs to them.
pub const ENVIRONMENT: [&str; 15] = [
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "TERM",
    "SOURCE_DATE_EPOCH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Variables that lead to credentials, for a plugin that asks for them if the user allows it. Without them `HOME` is an
/// empty directory.
pub const CREDENTIALS: [&str; 5] =
    ["HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"];

/// A plugin: a program on this machine.
#[derive(Debug, Clone)]
pub struct Plugin {
    path: PathBuf,
    limits: Limits,
    may_have_credentials: bool,
}

impl Plugin {
    /// Returns the program at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), limits: Limits::default(), may_have_credentials: false }
    }

    /// Sets how long it may take.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Allows it the credentials of the user, if it asks for them.
    #[must_use]
    pub fn with_credentials(self, may_have_credentials: bool) -> Self {
        Self { may_have_credentials, ..self }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its file name, for messages.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn environment(&self, home: &Path, with_credentials: bool) -> Vec<(OsString, OsString)> {
        let is_locale = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with("LC_"));
        let is_given = |name: &OsStr| {
            let of = |list: &[&str]| list.iter().any(|known| name == *known);
            of(&ENVIRONMENT) || is_locale(name) || with_credentials && of(&CREDENTIALS)
        };
        let mut given: Vec<_> = std::env::vars_os().filter(|(name, _)| is_given(name)).collect();
        if !with_credentials {
            given.push(("HOME".into(), home.into()));
        }
        given
    }

    /// Asks an exporter what it is.
    ///
    /// # Errors
    /// A program that cannot be run, is no exporter, or breaks the protocol.
    pub fn describe_exporter(&self) -> Result<ExporterDescription> {
        match self.ask_once(&Request::Describe {}, &Work::default())? {
            Reply::Exporter(description) => Ok(description),
            other => Err(self.is_other(&other, "an exporter")),
        }
    }

    /// Asks a frontend what it is.
    ///
    /// # Errors
    /// As [`describe_exporter`](Self::describe_exporter).
    pub fn describe_frontend(&self) -> Result<FrontendDescription> {
        match self.ask_once(&Request::Describe {}, &Work::default())? {
            Reply::Frontend(description) => Ok(description),
            other => Err(self.is_other(&other, "a frontend")),
        }
    }

    /// Runs the plugin for one question.
    fn ask_once(&self, request: &Request, work: &Work) -> Result<Reply> {
        let mut process = Process::start(self, false, work)?;
        let answer = process.ask(request, self.limits.answer);
        let ended = process.end();
        let answer = answer?;
        ended.map(|()| answer)
    }

    fn is_other(&self, reply: &Reply, expected: &str) -> Error {
        let is = match reply {
            Reply::Exporter(_) => "an exporter",
            Reply::Frontend(_) => "a frontend",
            _ => "neither an exporter nor a frontend",
        };
        Error::new(ErrorKind::Unsupported, format!("{} says that it is {is}, not {expected}", self.path.display()))
    }
}
