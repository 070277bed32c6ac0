//! Requests and responses: the one place that knows the HTTP library.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore_content::{Cancel, Guard};
use longshore_oci::{Error, Result};
use serde::de::DeserializeOwned;
use ureq::http::{self, Method, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body, SendBody};

use crate::Endpoint;
use crate::endpoint::{Place, Tls};
use crate::failure;
use crate::patience::{Patience, Stopped};
use crate::unix::{NoNames, UnixConnector};

/// How long a connection may take, and a response that the engine need not work for.
const CONNECT: Duration = Duration::from_secs(15);
const RESPONSE: Duration = Duration::from_secs(120);
/// The longest response head, document, and error in bytes.
const HEAD: usize = 64 << 10;
const DOCUMENT: u64 = 64 << 20;
const REFUSAL: u64 = 16 << 10;
/// Bytes sent or received in one call.
const BUFFER: usize = 256 << 10;

/// Connections to one engine, for one request at a time.
pub(crate) struct Connections {
    pub(crate) endpoint: Endpoint,
    agent: Agent,
    stopped: Stopped,
    cancel: Cancel,
    #[expect(dead_code, reason = "breaks the connections when the run is cancelled")]
    guard: Guard,
}

impl Connections {
    pub(crate) fn new(endpoint: Endpoint, cancel: &Cancel) -> Self {
        let stopped = Stopped::default();
        let agent = agent(&endpoint, &stopped);
        let interrupted = agent.clone();
        let guard = cancel.on_cancel(move || interrupted.shutdown());
        Self { endpoint, agent, stopped, cancel: cancel.clone(), guard }
    }

    /// Sends a request without a body, and reads a document.
    pub(crate) fn document<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = accepted(path, self.send(Method::GET, path)?)?;
        let bytes = self.read(path, response, DOCUMENT)?;
        serde_json::from_slice(&bytes).map_err(|error| failure::garbled(path, &error.to_string()))
    }

    /// Sends a request without a body, and waits for a response of any status.
    pub(crate) fn send(&self, method: Method, path: &str) -> Result<Response<Body>> {
        let request = self.request(method, path).body(()).map_err(|error| failure::invalid(path, &error))?;
        let request = self.agent.configure_request(request).timeout_global(Some(RESPONSE)).build();
        self.run(|agent| agent.run(request))
    }

    /// Sends a request for a long response, which is read without a time limit.
    pub(crate) fn stream(&self, path: &str) -> Result<impl Read + Send + use<>> {
        let request = self.request(Method::GET, path).body(()).map_err(|error| failure::invalid(path, &error))?;
        let response = accepted(path, self.run(|agent| agent.run(request))?)?;
        Ok(self.reading(path, response))
    }

    /// Sends a request with a body of unknown length, in chunks. Neither the body nor the response has a time limit.
    pub(crate) fn upload(&self, path: &str, body: &mut (dyn Read + Send)) -> Result<impl Read + Send + use<>> {
        let mut body = Sending { inner: body, stopped: self.stopped.clone() };
        let body = SendBody::from_reader(&mut body);
        let request = self.request(Method::POST, path).header("content-type", "application/x-tar").body(body);
        let request = request.map_err(|error| failure::invalid(path, &error))?;
        let response = accepted(path, self.run(|agent| agent.run(request))?)?;
        Ok(self.reading(path, response))
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let scheme = if self.endpoint.tls.is_some() { "https" } else { "http" };
        http::Request::builder().method(method).uri(format!("{scheme}://{}{path}", self.endpoint.authority()))
    }

    fn run(&self, send: impl FnOnce(&Agent) -> Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        self.cancel.check()?;
        self.stopped.store(false, Ordering::SeqCst);
        send(&self.agent).map_err(|error| match self.cancel.check() {
            // The error of a request that was cancelled is misleading.
            Err(cancelled) => cancelled,
            Ok(()) => failure::of(&self.endpoint, error),
        })
    }

    fn reading(&self, path: &str, response: Response<Body>) -> Reading {
        let (path, inner) = (path.to_owned(), response.into_body().into_reader());
        Reading { inner, path, cancel: self.cancel.clone() }
    }

    /// Reads a whole body of at most `limit` bytes.
    pub(crate) fn read(&self, path: &str, response: Response<Body>, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.reading(path, response).take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| failure::cut(path, error))?;
        if bytes.len() as u64 > limit {
            return Err(failure::garbled(path, &format!("it has more than {limit} bytes")));
        }
        Ok(bytes)
    }
}

/// Returns a response of success, else the error in it.
pub(crate) fn accepted(path: &str, response: Response<Body>) -> Result<Response<Body>> {
    if response.status().is_success() { Ok(response) } else { Err(refused(path, response)) }
}

/// Returns the error that the engine responded with.
pub(crate) fn refused(path: &str, response: Response<Body>) -> Error {
    let status = response.status();
    let mut body = Vec::new();
    // Of a body that breaks off, what came is what there is to say.
    let _ = response.into_body().into_reader().take(REFUSAL).read_to_end(&mut body);
    failure::refused(path, status.as_u16(), &body)
}

/// A body to be sent, which ends where the engine stops reading.
struct Sending<'a> {
    inner: &'a mut (dyn Read + Send),
    stopped: Stopped,
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::SeqCst) { Ok(0) } else { self.inner.read(buffer) }
    }
}

/// A body that arrives.
struct Reading {
    inner: ureq::BodyReader<'static>,
    path: String,
    cancel: Cancel,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        // The end of a connection that was broken from here may look like that of the body.
        if !matches!(read, Ok(1..)) {
            self.cancel.check()?;
        }
        read.map_err(|error| failure::cut(&self.path, error).into())
    }
}

fn agent(endpoint: &Endpoint, stopped: &Stopped) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .proxy(None)
        .output_buffer_size(BUFFER)
        .input_buffer_size(BUFFER)
        .max_response_header_size(HEAD)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT));
    if let Some(tls) = &endpoint.tls {
        config = config.tls_config(tls_config(tls));
    }
    let patience = Patience { stopped: stopped.clone() };
    match &endpoint.place {
        Place::Unix(path) => {
            Agent::with_parts(config.build(), UnixConnector { path: path.clone() }.chain(patience), NoNames)
        }
        Place::Tcp(_) => {
            Agent::with_parts(config.build(), DefaultConnector::default().chain(patience), DefaultResolver::default())
        }
    }
}

fn tls_config(tls: &Tls) -> TlsConfig {
    let mut roots = tls.roots.clone();
    if roots.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        roots.extend(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()));
    }
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(tls.client.clone())
        .disable_verification(tls.is_unchecked)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
