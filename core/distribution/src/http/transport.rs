//! Requests and responses: the one place that knows the HTTP library.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_content::Cancel;
use longshore_oci::{Error, Result};
use parking_lot::Mutex;
use ureq::http::{Method, Request as HttpRequest};
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Proxy, SendBody, http};

use super::cause::failure;
use super::exchange::Exchanges;
use super::reach::Addresses;
use super::{Failure, Lead, Response, Timeouts, Url, Zone};

/// Bodies of at least this size are announced first (RFC 9110, section 10.1.1), so that a registry can refuse them
/// before they are sent.
const EXPECT_FROM: u64 = 4 << 20;

/// Whom TLS trusts, and as whom we identify.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// Certificate authorities besides those of this machine.
    pub(crate) roots: Vec<Certificate<'static>>,
    /// Our certificate, its chain and its key.
    pub(crate) client: Option<ClientCert>,
    /// Whether certificates are not checked.
    pub(crate) is_unchecked: bool,
}

/// Connections to one host.
pub(crate) struct Transport {
    /// Replaced when shut down: other runs continue with the new one.
    agent: Mutex<Agent>,
    new_agent: Box<dyn Fn() -> Agent + Send + Sync>,
    timeouts: Timeouts,
    /// The zone in which the host was found.
    zone: Arc<Mutex<Option<Zone>>>,
    /// Whether the host ever responded: one that never did is not worth waiting for.
    has_answered: AtomicBool,
    /// Whether the host refuses announced bodies.
    refuses_expect: AtomicBool,
}

/// A request, with an absolute URL.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload<'a>,
    /// The time limit, if the registry does not decide it.
    pub(crate) patience: Option<Duration>,
    /// Bytes of the upload that it closes: the registry may move and hash them before it responds.
    pub(crate) closes: u64,
}

impl Request<'_> {
    /// Returns the same request with this body.
    fn with<'p>(&self, payload: Payload<'p>) -> Request<'p> {
        let Self { method, url, headers, patience, closes, .. } = self;
        let (method, url, headers) = (method.clone(), url.clone(), headers.clone());
        Request { method, url, headers, payload, patience: *patience, closes: *closes }
    }
}

/// The body of a request.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// Read once: the request cannot be repeated. Without a length it is sent in chunks.
    Reader(&'a mut dyn Read, Option<u64>),
}

impl Payload<'_> {
    /// Returns the same body, to be sent now and perhaps again.
    pub(crate) fn reborrow(&mut self) -> Payload<'_> {
        match self {
            Self::None => Payload::None,
            Self::Bytes(bytes) => Payload::Bytes(bytes),
            Self::Reader(reader, length) => Payload::Reader(&mut **reader, *length),
        }
    }
}

/// A body, and whether any of it was read.
struct Untouched<'a> {
    reader: &'a mut dyn Read,
    is_touched: bool,
}

impl Read for Untouched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_touched = true;
        self.reader.read(buffer)
    }
}

impl Transport {
    /// Prepares connections to the host of `url`, named by the user or by a registry.
    ///
    /// # Errors
    /// Fails if the environment has an invalid proxy, or if the registry may not lead there.
    pub(crate) fn new(tls: Tls, url: &Url, lead: Option<Lead>, timeouts: Timeouts) -> Result<Self> {
        lead.as_ref().map_or(Ok(()), |lead| lead.check_literal(url))?;
        let (proxy, is_secure, authority) = (proxy(url)?, url.is_secure, url.authority.clone());
        let zone = Arc::new(Mutex::new(Zone::of_host(&authority)));
        let found = zone.clone();
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
                // The size of heads is limited below the library.
                .max_response_header_size(usize::MAX)
                .max_idle_connections(64)
                .max_idle_connections_per_host(64)
                .timeout_resolve(Some(timeouts.connect))
                .timeout_connect(Some(timeouts.connect))
                .timeout_per_read(Some(timeouts.idle))
                .timeout_per_write(Some(timeouts.idle));
            if is_secure {
                config = config.tls_config(tls_config(&tls));
            }
            let exchanges = Exchanges { authority: authority.clone(), limits: timeouts };
            let addresses = Addresses { authority: authority.clone(), lead: lead.clone(), zone: found.clone() };
            Agent::with_parts(config.build(), DefaultConnector::default().chain(exchanges), addresses)
        };
        let agent = Mutex::new(new_agent());
        let (has_answered, refuses_expect) = (AtomicBool::default(), AtomicBool::default());
        Ok(Self { agent, new_agent: Box::new(new_agent), timeouts, zone, has_answered, refuses_expect })
    }

    /// Returns the zone of the host. One seen only by a proxy may be anywhere.
    pub(crate) fn zone(&self) -> Zone {
        self.zone.lock().unwrap_or(Zone::Public)
    }

    /// Sends a request and waits for the response head, whatever its status. If the run is cancelled, it fails
    /// immediately.
    ///
    /// A host that refuses the announcement of a body (417) gets the request again without it.
    pub(crate) fn send(
        self: &Arc<Self>,
        mut request: Request<'_>,
        more: &[(String, String)],
        cancel: &Cancel,
    ) -> Result<Response, Failure> {
        let (reader, length) = match std::mem::replace(&mut request.payload, Payload::None) {
            Payload::Reader(reader, length) => (reader, length),
            payload => return self.send_once(request.with(payload), false, more, cancel),
        };
        let mut reader = Untouched { reader, is_touched: false };
        let expects = length.is_none_or(|length| length >= EXPECT_FROM) && !self.refuses_expect.load(Ordering::Relaxed);
        let first = request.with(Payload::Reader(&mut reader, length));
        let response = self.send_once(first, expects, more, cancel)?;
        if response.status() != 417 || !expects {
            return Ok(response);
        }
        self.refuses_expect.store(true, Ordering::Relaxed);
        if reader.is_touched {
            return Ok(response);
        }
        self.send_once(request.with(Payload::Reader(&mut reader, length)), false, more, cancel)
    }

    fn send_once(
        self: &Arc<Self>,
        request: Request<'_>,
        expects: bool,
        more: &[(String, String)],
        cancel: &Cancel,
    ) -> Result<Response, Failure> {
        cancel.check()?;
        let name = format!("{} {}", request.method, request.url);
        let mut http = HttpRequest::builder().method(request.method).uri(request.url.full());
        for (key, value) in request.headers {
            http = http.header(key, value);
        }
        for (key, value) in more {
            http = http.header(key, value);
        }
        if let Payload::Reader(_, Some(length)) = request.payload {
            http = http.header("content-length", length);
        }
        if expects {
            http = http.header("expect", "100-continue");
        }
        let agent = self.agent.lock().clone();
        let transport = self.clone();
        let guard = cancel.on_cancel(move || transport.interrupt());
        let invalid = |error: http::Error| Failure::from(Error::input(format!("{name}: {error}")));
        let settles = (request.closes > 0).then(|| self.timeouts.settling(request.closes));
        let answer = match request.payload {
            Payload::None => {
                let http = http.body(()).map_err(invalid)?;
                agent.run(agent.configure_request(http).timeout_global(request.patience).build())
            }
            Payload::Bytes(bytes) => {
                let http = http.body(bytes).map_err(invalid)?;
                agent.run(agent.configure_request(http).timeout_recv_response(settles).build())
            }
            Payload::Reader(reader, _) => {
                let http = http.body(SendBody::from_reader(reader)).map_err(invalid)?;
                agent.run(agent.configure_request(http).timeout_recv_response(settles).build())
            }
        };
        let has_answered = self.has_answered.load(Ordering::Relaxed);
        let response = match answer {
            Ok(response) => response,
            // If the request was cancelled, its own error is misleading.
            Err(error) => {
                let cancelled = cancel.check().err();
                return Err(cancelled.map_or_else(|| failure(&name, error, has_answered), Failure::from));
            }
        };
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(Response { url: request.url, hint: None, cause: None, response, limits: self.timeouts, guard })
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

/// Returns the trusted certificate authorities of this machine, including `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn platform_roots() -> &'static [Certificate<'static>] {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
    })
}

/// Returns the proxy from the environment for `url`: by scheme, and none for this machine.
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
