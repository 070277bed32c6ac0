//! Requests and answers: the one place that knows the HTTP library.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_content::{Cancel, Guard};
use longshore_oci::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use ureq::http::{Method, Request as HttpRequest};
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, SendBody, http};

use super::url::bounded;
use super::{Failure, Reason, Url};

/// How long a registry may be silent. Slow is not silent: only standing still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// Between two pieces of a body, in either direction, and until an answer begins.
    pub idle: Duration,
    /// Until the answer to a body that was sent begins: a registry may move and hash it meanwhile.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), idle: Duration::from_secs(60), commit: Duration::from_secs(600) }
    }
}

/// Bodies from this size on are announced first (RFC 9110, section 10.1.1), so that a registry that refuses
/// them says so before they are sent.
const EXPECT_FROM: u64 = 4 << 20;

/// Whom to trust in TLS, and as whom to be known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// Certificate authorities besides those of this machine.
    pub(crate) roots: Vec<Certificate<'static>>,
    /// Our certificate, its chain and its key.
    pub(crate) client: Option<ClientCert>,
    /// Whether anyone is trusted.
    pub(crate) is_unchecked: bool,
}

/// Connections to one host.
pub(crate) struct Transport {
    /// Replaced when it was shut down: other runs go on with the new one.
    agent: Mutex<Agent>,
    new_agent: Box<dyn Fn() -> Agent + Send + Sync>,
    timeouts: Timeouts,
    /// Whether it ever answered: a host that never did is not worth waiting for.
    has_answered: AtomicBool,
}

/// A request, with an absolute URL.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload<'a>,
    /// How long it may take at most, where that is not for the registry to say.
    pub(crate) patience: Option<Duration>,
}

/// The body of a request.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// Read once: the request cannot be sent again as it is. Without a length it is sent in chunks.
    Reader(&'a mut dyn Read, Option<u64>),
}

impl Payload<'_> {
    /// The same body, to be sent now and perhaps again.
    pub(crate) fn reborrow(&mut self) -> Payload<'_> {
        match self {
            Self::None => Payload::None,
            Self::Bytes(bytes) => Payload::Bytes(bytes),
            Self::Reader(reader, length) => Payload::Reader(&mut **reader, *length),
        }
    }

    fn length(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Reader(_, length) => *length,
        }
    }
}

impl Transport {
    /// # Errors
    /// A proxy of the environment that cannot be one.
    pub(crate) fn new(tls: Tls, url: &Url, timeouts: Timeouts) -> Result<Self> {
        let (proxy, is_secure) = (proxy(url)?, url.is_secure);
        let new_agent = move || {
            let mut config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .proxy(proxy.clone())
                .output_buffer_size(256 << 10)
                .input_buffer_size(256 << 10)
                .max_idle_connections(64)
                .max_idle_connections_per_host(64)
                .timeout_connect(Some(timeouts.connect))
                .timeout_recv_response(Some(timeouts.commit))
                .timeout_per_read(Some(timeouts.idle))
                .timeout_per_write(Some(timeouts.idle));
            if is_secure {
                config = config.tls_config(tls_config(&tls));
            }
            Agent::new_with_config(config.build())
        };
        let agent = Mutex::new(new_agent());
        Ok(Self { agent, new_agent: Box::new(new_agent), timeouts, has_answered: AtomicBool::default() })
    }

    /// Sends a request and waits for the start of the answer, whatever its status. When someone asks to
    /// stop, it fails at once.
    pub(crate) fn send(
        self: &Arc<Self>,
        request: Request<'_>,
        more: &[(String, String)],
        cancel: &Cancel,
    ) -> Result<Response, Failure> {
        cancel.check()?;
        let name = format!("{} {}", request.method, request.url);
        let length = request.payload.length();
        let mut http = HttpRequest::builder().method(request.method.clone()).uri(request.url.full());
        for (key, value) in request.headers {
            http = http.header(key, value);
        }
        for (key, value) in more {
            http = http.header(key, value);
        }
        if let Payload::Reader(_, Some(length)) = request.payload {
            http = http.header("content-length", length);
        }
        if length.is_none_or(|length| length >= EXPECT_FROM) && matches!(request.payload, Payload::Reader(..)) {
            http = http.header("expect", "100-continue");
        }
        let agent = self.agent.lock().clone();
        let transport = self.clone();
        let guard = cancel.on_cancel(move || transport.interrupt());
        let invalid = |error: http::Error| Failure::from(Error::input(format!("{name}: {error}")));
        let answer = match request.payload {
            Payload::None => {
                let http = http.body(()).map_err(invalid)?;
                agent.run(agent.configure_request(http).timeout_global(request.patience).build())
            }
            Payload::Bytes(bytes) => agent.run(http.body(bytes).map_err(invalid)?),
            Payload::Reader(reader, _) => {
                let http = http.body(SendBody::from_reader(reader)).map_err(invalid)?;
                let waits = agent.configure_request(http).timeout_per_read(Some(self.timeouts.commit)).build();
                agent.run(waits)
            }
        };
        let response = match answer {
            Ok(response) => response,
            // What a cancelled request says is not what happened.
            Err(error) => return Err(cancel.check().err().map_or_else(|| self.failure(&name, error), Failure::from)),
        };
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(Response { url: request.url, hint: None, response, guard })
    }

    fn failure(&self, name: &str, error: ureq::Error) -> Failure {
        let is_nowhere = match &error {
            ureq::Error::HostNotFound => true,
            ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            _ => false,
        };
        let failure = failure(name, error);
        match is_nowhere && !self.has_answered.load(Ordering::Relaxed) {
            true => Failure::because(Reason::Nowhere, failure.into_error()),
            false => failure,
        }
    }

    fn interrupt(&self) {
        let mut agent = self.agent.lock();
        std::mem::replace(&mut *agent, (self.new_agent)()).shutdown();
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

fn tls_config(tls: &Tls) -> TlsConfig {
    let mut roots = platform_roots().to_vec();
    roots.extend(tls.roots.iter().cloned());
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(tls.client.clone())
        .disable_verification(tls.is_unchecked)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// The certificate authorities that this machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` say where.
fn platform_roots() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
    })
}

/// The proxy of the environment for `url`: by scheme, and none for this machine.
fn proxy(url: &Url) -> Result<Option<Proxy>> {
    if url.is_loopback() {
        return Ok(None);
    }
    let of_scheme = if url.is_secure { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
    let names = of_scheme.into_iter().chain(["all_proxy", "ALL_PROXY"]);
    let Some((name, value)) =
        names.filter_map(|name| Some((name, std::env::var(name).ok()?))).find(|(_, value)| !value.is_empty())
    else {
        return Ok(None);
    };
    let is_exempt = Proxy::try_from_env().is_some_and(|proxy| {
        let uri = url.full().parse::<http::Uri>();
        uri.is_ok_and(|uri| proxy.is_no_proxy(&uri))
    });
    // The value may hold a password, so it is not repeated.
    let invalid = |_| Error::option(format!("{name} is not the URL of a proxy"));
    if is_exempt { Ok(None) } else { Proxy::new(&value).map(Some).map_err(invalid) }
}

fn failure(name: &str, error: ureq::Error) -> Failure {
    if let ureq::Error::Io(error) = error {
        // A body that could not be read, or a request that was cancelled, says so itself.
        return match error.downcast::<Error>() {
            Ok(own) => Failure::from(own),
            Err(error) => io_failure(name, &error),
        };
    }
    let text = bounded(&error.to_string());
    let failure = |reason, kind| Failure::because(reason, Error::new(kind, format!("{name}: {text}")));
    match error {
        ureq::Error::Timeout(_) => {
            let message = format!("{name}: no answer in time ({text})");
            Failure::broken(Error::new(ErrorKind::Unavailable, message))
        }
        ureq::Error::HostNotFound => {
            let error = Error::new(ErrorKind::Unavailable, format!("{name}: there is no host of that name"));
            Failure::broken(error.with_hint("check the name of the registry, and the network"))
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => failure(Reason::Final, ErrorKind::InvalidInput),
        _ if is_about_certificates(&text) => untrusted(name, &text),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => not_tls(name, &text),
        _ => Failure::broken(Error::new(ErrorKind::Unavailable, format!("{name}: {text}"))),
    }
}

fn io_failure(name: &str, error: &io::Error) -> Failure {
    let text = bounded(Error::from(io::Error::new(error.kind(), error.to_string())).message());
    match error.kind() {
        _ if is_about_certificates(&text) => untrusted(name, &text),
        io::ErrorKind::InvalidData => not_tls(name, &text),
        _ => Failure::broken(Error::new(ErrorKind::Unavailable, format!("{name}: {text}"))),
    }
}

/// The library tells both what it found and what the other side says, in words of its own.
fn is_about_certificates(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["certificate", "unknownissuer", "unknownca"].iter().any(|word| text.contains(word))
}

fn untrusted(name: &str, text: &str) -> Failure {
    let error = Error::new(ErrorKind::Denied, format!("{name}: {text}"));
    let hint = match text {
        text if text.contains("alert") => {
            "the registry wants another certificate of ours: client.cert and client.key in \
             ~/.config/longshore/certs.d/HOST:PORT"
        }
        text if text.contains("not valid for name") => "use a name that the certificate is for",
        text if text.contains("CaUsedAsEndEntity") => {
            "that certificate is an authority's own: the registry needs one that is signed by it (CA:FALSE)"
        }
        _ => {
            "put the certificate of its authority into ~/.config/longshore/certs.d/HOST:PORT/ca.crt; \
             registry.insecure=true of an output does without"
        }
    };
    Failure::because(Reason::Untrusted, error.with_hint(hint))
}

fn not_tls(name: &str, text: &str) -> Failure {
    let error = Error::new(ErrorKind::Unavailable, format!("{name}: what answers does not speak TLS: {text}"));
    let hint = "registry.insecure=true of an output uses plain HTTP; a source needs server = \"http://HOST:PORT\" in \
                ~/.config/longshore/certs.d/HOST:PORT/hosts.toml";
    Failure::because(Reason::NotTls, error.with_hint(hint))
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Response {
    /// Where the request went.
    pub(crate) url: Url,
    /// What may help, if it is a refusal.
    pub(crate) hint: Option<String>,
    response: http::Response<Body>,
    /// Breaks the connection when someone asks to stop while the body is read.
    guard: Guard,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn is_redirect(&self) -> bool {
        matches!(self.status(), 301 | 302 | 303 | 307 | 308)
    }

    /// A header, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let values = self.response.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    }

    /// The bytes that the body should have, where that is said.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The body. When someone asks to stop, reading fails at once.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        struct Guarded(ureq::BodyReader<'static>, #[expect(dead_code, reason = "held for what it does")] Guard);
        impl Read for Guarded {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        Box::new(Guarded(self.response.into_body().into_reader(), self.guard))
    }

    /// The first `limit` bytes of the body.
    pub(crate) fn read(self, limit: u64) -> Result<Vec<u8>, Failure> {
        let message = format!("cannot read {}", self.url);
        let mut bytes = Vec::new();
        let read = self.into_reader().take(limit).read_to_end(&mut bytes);
        let broken = |error| Failure::broken(Error::new(ErrorKind::Unavailable, message).with_source(error));
        read.map_err(broken)?;
        Ok(bytes)
    }

    /// The answer, if its status is one of those; else what it says.
    pub(crate) fn expect(self, what: &str, statuses: &[u16]) -> Result<Self, Failure> {
        if statuses.contains(&self.status()) { Ok(self) } else { Err(Failure::of(what, self)) }
    }
}
