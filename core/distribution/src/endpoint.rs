//! One address of a registry: its scheme, its connections, and its authorization.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use longshore_content::{Cancel, Capacity, Work};
use longshore_oci::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use ureq::http::Method;
use ureq::tls::Certificate;

use crate::auth::{AuthSession, Scope, refusal_cause};
use crate::credentials::Credential;
use crate::hosts::{Hosts, Mirror};
use crate::http::{
    Failure, Lead, Pace, Payload, Reason, Request, Response, RetryPolicy, Timeouts, Transport, Url, is_loopback,
    warnings,
};

/// How long to wait for TLS if plain HTTP is allowed: a server without TLS may never respond.
const PROBE: Duration = Duration::from_secs(5);
/// How much of a refusal is read to keep the connection.
const REFUSAL: u64 = 16 << 10;
/// How many warnings of one registry are shown.
const WARNINGS: usize = 20;
/// How many redirects one request follows.
const REDIRECTS: usize = 8;

/// One address of a registry.
#[derive(Debug)]
pub(crate) struct Endpoint {
    hosts: Arc<Hosts>,
    auth: AuthSession,
    policy: RetryPolicy,
    /// Where its API begins, with the scheme that was detected or given; plain HTTP until it is known.
    base: Mutex<Base>,
    /// Capacity for one: its holder detects the scheme.
    probing: Capacity,
    /// Its own connections, if its settings differ from those of the host.
    own: Option<Arc<Transport>>,
    headers: Vec<(String, String)>,
    is_insecure: bool,
    /// Whether it may lead to internal addresses.
    leads_inside: bool,
    /// Warnings it has sent to users.
    warnings: Mutex<HashSet<String>>,
    /// Certificate authorities from its own settings.
    roots: Arc<[Certificate<'static>]>,
}

#[derive(Debug, Clone)]
enum Base {
    Known(Url),
    /// TLS if the server speaks it, otherwise plain HTTP.
    Unknown(String),
}

/// Returns the API host of a registry, which differs for docker.io.
fn api_host(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// A request to an endpoint.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) target: Target<'a>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The permissions it needs from the token.
    pub(crate) scopes: &'a [Scope],
    pub(crate) payload: Payload<'a>,
    /// A time limit, for best-effort requests: no credentials are fetched for them.
    pub(crate) patience: Option<Duration>,
    /// Bytes of the upload that it closes.
    pub(crate) closes: u64,
}

/// Where a request goes.
pub(crate) enum Target<'a> {
    /// Below the start of the API.
    Path(&'a str),
    /// Where the registry pointed; without credentials if that is another host.
    Url(&'a Url),
}

impl Endpoint {
    /// Returns the registry's own address.
    pub(crate) fn new(
        hosts: &Arc<Hosts>,
        registry: &str,
        policy: RetryPolicy,
        is_insecure: bool,
        leads_inside: bool,
    ) -> Self {
        let authority = api_host(registry);
        let base = match is_insecure || is_loopback(authority) {
            true => Base::Unknown(authority.to_owned()),
            false => Base::Known(Url::new(true, authority, "/v2")),
        };
        Self {
            hosts: hosts.clone(),
            auth: AuthSession::new(registry, hosts.clone(), policy, is_insecure),
            policy,
            base: Mutex::new(base),
            probing: Capacity::new(1),
            own: None,
            headers: Vec::new(),
            is_insecure,
            leads_inside,
            warnings: Mutex::default(),
            roots: Arc::new([]),
        }
    }

    /// Creates a mirror of `registry`, with the credentials stored under the mirror's own name.
    pub(crate) fn mirror(
        hosts: &Arc<Hosts>,
        registry: &str,
        mirror: &Mirror,
        policy: RetryPolicy,
        leads_inside: bool,
    ) -> Result<Self> {
        let is_own = mirror.is_server && mirror.base.authority == api_host(registry);
        // Hosts that mirror a registry do not get its credentials.
        let filed = if is_own { registry } else { &mirror.base.authority };
        let transport = |tls| Ok::<_, Error>(Arc::new(Transport::new(tls, &mirror.base, None, hosts.timeouts())?));
        Ok(Self {
            hosts: hosts.clone(),
            auth: AuthSession::new(filed, hosts.clone(), policy, false),
            policy,
            own: mirror.tls.clone().map(transport).transpose()?,
            headers: mirror.headers.clone(),
            base: Mutex::new(Base::Known(mirror.base.clone())),
            probing: Capacity::new(1),
            is_insecure: false,
            leads_inside,
            warnings: Mutex::default(),
            roots: mirror.tls.iter().flat_map(|tls| tls.roots.iter().cloned()).collect(),
        })
    }

    /// Uses `credential` in place of one that is kept.
    pub(crate) fn with_credential(self, credential: Credential) -> Self {
        Self { auth: self.auth.with_credential(credential), ..self }
    }

    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// Returns the speed limits of one transfer.
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.hosts.timeouts())
    }

    /// Sends a request with authorization, and returns the response whatever its status. A failed request is not
    /// retried.
    ///
    /// A body that can be read only once is not sent again after a 401: then the 401 is returned, and the next
    /// call has the requested authorization.
    pub(crate) fn call(&self, call: Call<'_>, work: &Work) -> Result<Response, Failure> {
        let base = self.base(&work.cancel)?;
        let url = match call.target {
            Target::Path(path) => Url { path: format!("{}/{path}", base.path), ..base.clone() },
            Target::Url(url) => url.clone(),
        };
        check_downgrade(&base, &url)?;
        let is_own = url.is_same_origin(&base);
        let lead = self.lead(&base)?;
        let transport = self.transport(&url, is_own, &lead)?;
        let mut payload = call.payload;
        let mut named = String::new();
        let mut is_first = true;
        loop {
            let auth = match (is_own, call.patience) {
                (false, _) => None,
                (true, Some(_)) => self.auth.known_header(&url, call.scopes),
                (true, None) => self.auth.header(&url, call.scopes, &named, &lead, work)?,
            };
            let mut headers = call.headers.clone();
            headers.extend(auth.clone().map(|value| ("authorization", value)));
            let is_once = matches!(payload, Payload::Reader(..));
            let own_headers = if is_own { self.headers.as_slice() } else { &[] };
            let (method, patience) = (call.method.clone(), call.patience);
            let (payload, closes) = (payload.reborrow(), call.closes);
            let request = Request { method, url: url.clone(), headers, payload, patience, closes };
            let mut response = transport.send(request, own_headers, &work.cancel)?;
            if is_own {
                self.show_warnings(&response, work);
                response.cause = refusal_cause(&response.headers("www-authenticate"));
            }
            if response.status() != 401 || !is_own || patience.is_some() {
                return Ok(response);
            }
            response.hint = Some(self.auth.hint());
            if !is_first {
                return Ok(response);
            }
            let learned = self.auth.learn(&url, &response.headers("www-authenticate"), auth.as_deref(), &lead)?;
            match learned {
                Some(scopes) if !is_once => named = scopes,
                _ => return Ok(response),
            }
            // Read to the end, so that the connection can be reused.
            let _ = io::copy(&mut response.into_reader().take(REFUSAL), &mut io::sink());
            is_first = false;
        }
    }

    /// Sends a request as [`call`](Self::call) does, and follows redirects. Credentials are not sent to other hosts. A
    /// POST is sent again, without a body, if its redirect keeps the method (307 and 308).
    pub(crate) fn follow(&self, call: Call<'_>, work: &Work) -> Result<Response, Failure> {
        let (method, headers, scopes) = (call.method.clone(), call.headers.clone(), call.scopes);
        let response = self.call(call, work)?;
        self.chase(response, &method, &headers, scopes, work)
    }

    /// Follows the redirects that start with a response.
    pub(crate) fn chase(
        &self,
        mut response: Response,
        method: &Method,
        headers: &[(&'static str, String)],
        scopes: &[Scope],
        work: &Work,
    ) -> Result<Response, Failure> {
        let is_post = *method == Method::POST;
        for _ in 0..REDIRECTS {
            if !response.is_redirect() || is_post && !matches!(response.status(), 307 | 308) {
                return Ok(response);
            }
            let url = location(&response)?;
            check_downgrade(&response.url, &url)?;
            let (method, headers, target) = (method.clone(), headers.to_vec(), Target::Url(&url));
            let payload = if is_post { Payload::Bytes(&[]) } else { Payload::None };
            let call = Call { method, target, headers, scopes, payload, patience: None, closes: 0 };
            response = self.call(call, work)?;
        }
        let message = format!("{}: more than {REDIRECTS} redirects", response.url);
        Err(Error::new(ErrorKind::Unavailable, message).into())
    }

    /// Shows each warning of the registry once (distribution-spec 1.1, "Warnings").
    fn show_warnings(&self, response: &Response, work: &Work) {
        for text in warnings(&response.headers("warning")) {
            let mut shown = self.warnings.lock();
            if shown.len() < WARNINGS && shown.insert(text.clone()) {
                drop(shown);
                work.progress.warn(format!("{} says: {text}", response.url.authority));
            }
        }
    }

    fn transport(&self, url: &Url, is_own: bool, lead: &Lead) -> Result<Arc<Transport>> {
        match is_own {
            true => self.own_transport(url),
            false => self.hosts.transport(url, false, Some(lead)),
        }
    }

    fn own_transport(&self, base: &Url) -> Result<Arc<Transport>> {
        self.own.clone().map_or_else(|| self.hosts.transport(base, self.is_insecure, None), Ok)
    }

    /// Returns this registry as the source of redirects to other hosts.
    fn lead(&self, base: &Url) -> Result<Lead> {
        let zone = if self.leads_inside { None } else { Some(self.own_transport(base)?.zone()) };
        Ok(Lead { registry: base.authority.clone(), zone, roots: self.roots.clone() })
    }

    /// Returns the base URL of the API. The first call detects TLS, if both schemes are allowed.
    fn base(&self, cancel: &Cancel) -> Result<Url, Failure> {
        if let Base::Known(url) = self.known_base() {
            return Ok(url);
        }
        // One at a time. A waiting call can be cancelled.
        let _turn = self.probing.acquire(1, cancel)?;
        let authority = match self.known_base() {
            Base::Known(url) => return Ok(url),
            Base::Unknown(authority) => authority,
        };
        let found = self.probe(&authority, cancel)?;
        *self.base.lock() = Base::Known(found.clone());
        Ok(found)
    }

    fn known_base(&self) -> Base {
        self.base.lock().clone()
    }

    /// Detects whether the registry uses TLS. Remote hosts are tried with TLS first; loopback addresses without it
    /// first, as most servers there use plain HTTP and nobody can eavesdrop.
    fn probe(&self, authority: &str, cancel: &Cancel) -> Result<Url, Failure> {
        let secure = Url::new(true, authority, "/v2");
        let plain = Url { is_secure: false, ..secure.clone() };
        if plain.is_loopback() {
            return match self.probe_plain(&plain, cancel) {
                Ok(true) => Ok(plain),
                Ok(false) => self.probe_tls(&secure, cancel).map(|()| secure),
                Err(failure) => match self.probe_tls(&secure, cancel) {
                    Err(refused)
                        if matches!(
                            refused.reason,
                            Reason::Broken | Reason::Late | Reason::NotTls | Reason::Nowhere
                        ) =>
                    {
                        Err(failure)
                    }
                    tried => tried.map(|()| secure),
                },
            };
        }
        match self.probe_tls(&secure, cancel) {
            Ok(()) => Ok(secure),
            Err(refused)
                if matches!(refused.reason, Reason::Broken | Reason::Late | Reason::NotTls | Reason::Nowhere) =>
            {
                match self.probe_plain(&plain, cancel) {
                    Ok(true) => Ok(plain),
                    // Neither works: the TLS failure says more.
                    Ok(false) => Err(refused),
                    Err(failure) => Err(if refused.reason == Reason::NotTls { failure } else { refused }),
                }
            }
            // TLS with the wrong identity must not fall back to plain HTTP.
            Err(failure) => Err(failure),
        }
    }

    fn probe_tls(&self, secure: &Url, cancel: &Cancel) -> Result<(), Failure> {
        let mut tls = self.hosts.tls(&secure.authority)?;
        tls.is_unchecked = self.is_insecure;
        let known = self.hosts.timeouts();
        let (connect, idle) = (known.connect.min(PROBE), known.idle.min(PROBE));
        let timeouts = Timeouts { connect, idle, answer: known.answer.min(PROBE), ..known };
        ask(secure, &Arc::new(Transport::new(tls, secure, None, timeouts)?), cancel).map(drop)
    }

    /// Returns whether the server speaks plain HTTP: a TLS server responds with 400 (Bad Request).
    fn probe_plain(&self, plain: &Url, cancel: &Cancel) -> Result<bool, Failure> {
        let transport = self.hosts.transport(plain, self.is_insecure, None)?;
        Ok(ask(plain, &transport, cancel)? != 400)
    }
}

/// Requests the root of the API (distribution-spec 1.1, "Determining Support"). Returns the status.
fn ask(base: &Url, transport: &Arc<Transport>, cancel: &Cancel) -> Result<u16, Failure> {
    let url = Url { path: "/v2/".to_owned(), ..base.clone() };
    let (method, headers, payload) = (Method::GET, Vec::new(), Payload::None);
    let request = Request { method, url, headers, payload, patience: None, closes: 0 };
    Ok(transport.send(request, &[], cancel)?.status())
}

/// Returns the target of a response's `Location`.
pub(crate) fn location(response: &Response) -> Result<Url> {
    let missing = || Error::input(format!("the response of {} has no Location", response.url));
    response.url.join(response.header("location").ok_or_else(missing)?)
}

/// Fails for a redirect from TLS to plain HTTP.
fn check_downgrade(from: &Url, to: &Url) -> Result<()> {
    if from.is_secure && !to.is_secure {
        let message = format!("{} leads to {to}, which does not use TLS", from.authority);
        return Err(Error::new(ErrorKind::Denied, message));
    }
    Ok(())
}
