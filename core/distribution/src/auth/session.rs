//! Authorization for one registry: the requested scheme, and cached tokens.

use std::collections::HashMap;
use std::sync::Arc;

use longshore_content::{Capacity, Work};
use longshore_oci::{Error, ErrorKind, Result};
use parking_lot::{Mutex, MutexGuard};

use super::Scope;
use super::challenge::{self, Challenge};
use super::token::{Fetch, Scopes, Token, TokenServer, basic};
use crate::credentials::{Credential, CredentialFiles};
use crate::hosts::Hosts;
use crate::http::{Failure, Lead, RetryPolicy, Url, host};

/// What is known about authorization at one host.
#[derive(Debug)]
pub(crate) struct AuthSession {
    /// The registry name under which credentials are stored.
    registry: String,
    hosts: Arc<Hosts>,
    files: CredentialFiles,
    policy: RetryPolicy,
    /// Whether plain HTTP may carry secrets to a host that is not this machine.
    is_insecure: bool,
    state: Mutex<State>,
    /// Capacity for one: its holder fetches a token.
    fetching: Capacity,
}

#[derive(Default)]
struct State {
    way: Way,
    tokens: Vec<Token>,
    /// By repository, since files may have different ones.
    credentials: HashMap<String, Option<Credential>>,
}

#[derive(Debug, Clone, Default)]
enum Way {
    /// No authorization was requested.
    #[default]
    Open,
    Basic,
    Bearer(TokenServer),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("way", &self.way).field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

impl AuthSession {
    pub(crate) fn new(registry: &str, hosts: Arc<Hosts>, policy: RetryPolicy, is_insecure: bool) -> Self {
        let files = hosts.credentials().clone();
        let (registry, fetching) = (registry.to_owned(), Capacity::new(1));
        Self { registry, hosts, files, policy, is_insecure, state: Mutex::default(), fetching }
    }

    /// Uses `credential` for what no repository is needed for, in place of one that is kept.
    pub(crate) fn with_credential(self, credential: Credential) -> Self {
        self.state().credentials.insert(String::new(), Some(credential));
        self
    }

    /// Returns the `Authorization` header of a request to `url` with `scopes`, and more scopes from `list`; `None`
    /// if none is requested or nothing is known.
    pub(crate) fn header(
        &self,
        url: &Url,
        scopes: &[Scope],
        list: &str,
        lead: &Lead,
        work: &Work,
    ) -> Result<Option<String>, Failure> {
        let repository = scopes.first().map_or("", |scope| scope.repository.as_str());
        let way = self.state().way.clone();
        match way {
            Way::Open => Ok(None),
            Way::Basic => match self.credential(repository, work)? {
                None | Some(Credential::Identity(_)) => Ok(None),
                Some(credential) => {
                    self.check_private(url)?;
                    Ok(Some(match credential {
                        Credential::Basic { username, password } => basic(&username, &password),
                        Credential::Identity(token) | Credential::Registry(token) => format!("Bearer {token}"),
                    }))
                }
            },
            Way::Bearer(server) => {
                let mut wanted = Scopes::of(scopes);
                wanted.add(list);
                if let Some(known) = self.known(&wanted) {
                    return Ok(Some(known));
                }
                // One at a time. A waiting call can be cancelled, and may then find the token it needs.
                let _turn = self.fetching.acquire(1, &work.cancel)?;
                if let Some(known) = self.known(&wanted) {
                    return Ok(Some(known));
                }
                self.fetch(&server, &wanted, repository, lead, work).map(Some)
            }
        }
    }

    /// Returns the `Authorization` header that is known without a request.
    pub(crate) fn known_header(&self, url: &Url, scopes: &[Scope]) -> Option<String> {
        let way = self.state().way.clone();
        match way {
            Way::Open => None,
            Way::Bearer(_) => self.known(&Scopes::of(scopes)),
            Way::Basic => {
                let repository = scopes.first().map_or("", |scope| scope.repository.as_str());
                let known = self.state().credentials.get(repository).cloned().flatten()?;
                match known {
                    Credential::Basic { username, password } if self.check_private(url).is_ok() => {
                        Some(basic(&username, &password))
                    }
                    _ => None,
                }
            }
        }
    }

    fn known(&self, wanted: &Scopes) -> Option<String> {
        let state = self.state();
        state.tokens.iter().find(|token| token.serves(wanted)).map(|token| format!("Bearer {}", token.value))
    }

    fn fetch(
        &self,
        server: &TokenServer,
        wanted: &Scopes,
        repository: &str,
        lead: &Lead,
        work: &Work,
    ) -> Result<String, Failure> {
        let credential = self.credential(repository, work)?;
        if credential.is_some() {
            self.check_private(&server.realm)?;
        }
        // Skipping the certificate check of this registry does not extend to another host.
        let is_unchecked = self.is_insecure && lead.is_own_host(&server.realm);
        let transport = self.hosts.transport(&server.realm, is_unchecked, Some(lead))?;
        let fetch = Fetch { server, transport: &transport, policy: self.policy, work };
        let token = fetch.token(wanted, credential.as_ref()).map_err(|failure| match failure.status() {
            Some(401 | 403) => failure.with_hint(self.hint()),
            _ => failure,
        })?;
        let header = format!("Bearer {}", token.value);
        let mut state = self.state();
        state.tokens.retain(|token| token.serves(&Scopes::default()));
        state.tokens.push(token);
        Ok(header)
    }

    /// Returns a hint for a user whose request was refused.
    pub(crate) fn hint(&self) -> String {
        let state = self.state();
        let user = state.credentials.values().flatten().find_map(|credential| match credential {
            Credential::Basic { username, .. } => Some(username.clone()),
            Credential::Identity(_) | Credential::Registry(_) => None,
        });
        let registry = &self.registry;
        match (user, state.credentials.values().any(Option::is_some)) {
            (Some(user), _) => {
                format!(
                    "{user} is not allowed to do this on {registry}: check its permissions, or log in with `longshore login {registry}`"
                )
            }
            (None, true) => {
                format!("the token for {registry} does not suffice: log in with `longshore login {registry}`")
            }
            (None, false) => format!("no credentials for {registry} found: log in with `longshore login {registry}`"),
        }
    }

    /// Learns from a 401 response to a request that sent `used`. Returns the scopes that the registry names; `None`
    /// if nothing else can be tried.
    pub(crate) fn learn(
        &self,
        url: &Url,
        headers: &[String],
        used: Option<&str>,
        lead: &Lead,
    ) -> Result<Option<String>> {
        let challenges = challenge::parse(headers);
        let of = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let mut state = self.state();
        let used_token = used.and_then(|header| header.strip_prefix("Bearer "));
        state.tokens.retain(|token| Some(token.value.as_str()) != used_token);
        if let Some((challenge, realm)) = of("bearer").and_then(|c| Some((c, c.parameter("realm")?))) {
            let realm = Url::parse(realm)?;
            self.check_realm(url, &realm, lead)?;
            let service = challenge.parameter("service").map(str::to_owned);
            state.way = Way::Bearer(TokenServer { realm, service });
            return Ok(Some(challenge.parameter("scope").unwrap_or_default().to_owned()));
        }
        let is_new = used.is_none_or(|header| !header.starts_with("Basic "));
        Ok(of("basic").filter(|_: &&Challenge| is_new).map(|_| {
            state.way = Way::Basic;
            String::new()
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn credential(&self, repository: &str, work: &Work) -> Result<Option<Credential>> {
        if let Some(known) = self.state().credentials.get(repository) {
            return Ok(known.clone());
        }
        // A helper may prompt the user, so no lock is held meanwhile.
        let found = self.files.find(&self.registry, repository, &work.cancel)?;
        self.state().credentials.insert(repository.to_owned(), found.clone());
        Ok(found)
    }

    /// Sends secrets only over TLS, to this machine, or where the user allowed plain HTTP.
    fn check_private(&self, url: &Url) -> Result<()> {
        if url.is_secure || url.is_loopback() || self.is_insecure {
            return Ok(());
        }
        let message = format!("{url} does not use TLS, and credentials are not sent without it");
        Err(Error::new(ErrorKind::Denied, message).with_hint("registry.insecure=true sends them anyway"))
    }

    /// A registry may name any token server, but must not divert credentials from TLS, or to a service on this
    /// machine that the registry itself could not reach.
    fn check_realm(&self, registry: &Url, realm: &Url, lead: &Lead) -> Result<()> {
        let is_local = registry.is_loopback() && realm.is_loopback();
        let is_own = self.is_insecure && host(&registry.authority) == host(&realm.authority);
        let is_elsewhere = realm.is_secure && (lead.zone.is_none() || !realm.is_loopback());
        if is_elsewhere || is_local || is_own {
            return Ok(());
        }
        let message = format!("{} names the token server {realm}, which is not safe to use", registry.authority);
        Err(Error::new(ErrorKind::Denied, message).with_hint("token servers have https URLs"))
    }
}
