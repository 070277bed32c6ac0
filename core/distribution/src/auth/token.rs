//! Tokens: what a token server issues for a credential (distribution's token specification).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longshore_content::Work;
use longshore_oci::Error;
use serde::Deserialize;
use ureq::http::Method;

use crate::credentials::Credential;
use crate::http::{Failure, Payload, Request, Response, RetryPolicy, Transport, Url, encode, run};

/// What a request wants to do in a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) repository: String,
    actions: &'static str,
}

impl Scope {
    pub(crate) fn pull(repository: &str) -> Self {
        Self { repository: repository.to_owned(), actions: "pull" }
    }

    pub(crate) fn push(repository: &str) -> Self {
        Self { repository: repository.to_owned(), actions: "pull,push" }
    }

    pub(crate) fn delete(repository: &str) -> Self {
        Self { repository: repository.to_owned(), actions: "pull,delete" }
    }

    /// Returns the scope as token servers write it.
    fn text(&self) -> String {
        format!("repository:{}:{}", self.repository, self.actions)
    }
}

/// Scopes as text, with the actions of each resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scopes(BTreeMap<String, Vec<String>>);

impl Scopes {
    pub(super) fn of(scopes: &[Scope]) -> Self {
        let mut all = Self::default();
        scopes.iter().for_each(|scope| all.add(&scope.text()));
        all
    }

    /// Adds a space-separated list, as challenges have it.
    pub(super) fn add(&mut self, list: &str) {
        for scope in list.split_ascii_whitespace() {
            let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
            let known = self.0.entry(resource.to_owned()).or_default();
            for action in actions.split(',').filter(|action| !action.is_empty()) {
                if !known.iter().any(|other| other == action) {
                    known.push(action.to_owned());
                }
            }
        }
    }

    fn contains(&self, other: &Self) -> bool {
        let has = |(resource, actions): (&String, &Vec<String>)| {
            self.0.get(resource).is_some_and(|own| actions.iter().all(|action| own.contains(action)))
        };
        other.0.iter().all(has)
    }

    fn texts(&self) -> Vec<String> {
        self.0.iter().map(|(resource, actions)| format!("{resource}:{}", actions.join(","))).collect()
    }
}

/// A token, and what it is valid for.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: String,
    scopes: Scopes,
    expires: Instant,
}

impl Token {
    /// Returns whether it can be used for `wanted` now.
    pub(super) fn serves(&self, wanted: &Scopes) -> bool {
        self.scopes.contains(wanted) && Instant::now() < self.expires
    }
}

/// The token server that a challenge named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenServer {
    pub(super) realm: Url,
    pub(super) service: Option<String>,
}

/// Far more than a token.
const ANSWER_LIMIT: u64 = 1 << 20;
/// How long a token is valid if the server does not say.
const DEFAULT_LIFE: u64 = 60;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
}

/// Fetches tokens from one server.
pub(super) struct Fetch<'a> {
    pub(super) server: &'a TokenServer,
    pub(super) transport: &'a Arc<Transport>,
    pub(super) policy: RetryPolicy,
    pub(super) work: &'a Work,
}

impl Fetch<'_> {
    /// Fetches a token for `scopes`, for the user of `credential` or anonymously.
    pub(super) fn token(&self, scopes: &Scopes, credential: Option<&Credential>) -> Result<Token, Failure> {
        let asked = Instant::now();
        let response = match credential {
            Some(Credential::Registry(token)) => {
                let expires = asked + Duration::from_secs(24 * 3600);
                return Ok(Token { value: token.clone(), scopes: scopes.clone(), expires });
            }
            Some(Credential::Identity(identity)) => match self.post(scopes, identity) {
                // Not every server that accepts identity tokens supports POST.
                Err(failure) if matches!(failure.status(), Some(401 | 404 | 405)) => {
                    self.get(scopes, Some(("<token>", identity)))?
                }
                answer => answer?,
            },
            Some(Credential::Basic { username, password }) => self.get(scopes, Some((username, password)))?,
            None => self.get(scopes, None)?,
        };
        self.parse(response, scopes, asked)
    }

    fn get(&self, scopes: &Scopes, user: Option<(&str, &str)>) -> Result<Response, Failure> {
        let mut url = self.server.realm.clone();
        if let Some(service) = &self.server.service {
            url = url.with_query("service", service);
        }
        for scope in scopes.texts() {
            url = url.with_query("scope", &scope);
        }
        let headers = match user {
            Some((name, password)) => vec![("authorization", basic(name, password))],
            None => Vec::new(),
        };
        self.call(Method::GET, url, headers, None)
    }

    fn post(&self, scopes: &Scopes, identity: &str) -> Result<Response, Failure> {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "longshore"), ("refresh_token", identity)];
        if let Some(service) = &self.server.service {
            form.push(("service", service));
        }
        let scopes = scopes.texts().join(" ");
        form.push(("scope", &scopes));
        let form = form.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&");
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        self.call(Method::POST, self.server.realm.clone(), headers, Some(&form))
    }

    fn call(
        &self,
        method: Method,
        url: Url,
        headers: Vec<(&'static str, String)>,
        form: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut refused = None;
        let answer = run(self.policy, self.work, || {
            let payload = form.map_or(Payload::None, |form| Payload::Bytes(form.as_bytes()));
            let (method, url, headers) = (method.clone(), url.clone(), headers.clone());
            let request = Request { method, url, headers, payload, patience: None, closes: 0 };
            let response = self.transport.send(request, &[], &self.work.cancel)?;
            if response.status() == 200 {
                return Ok(Some(response));
            }
            // The realm without its query, which is long and always the same.
            let failure = Failure::of(&format!("cannot get a token from {}", self.server.realm), response);
            if failure.is_temporary() {
                return Err(failure);
            }
            refused = Some(failure);
            Ok(None)
        })?;
        match (answer, refused) {
            (Some(response), _) => Ok(response),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Error::cancelled().into()),
        }
    }

    fn parse(&self, response: Response, scopes: &Scopes, asked: Instant) -> Result<Token, Failure> {
        // The response contains secrets, so it is not repeated.
        let invalid = || Failure::from(Error::input(format!("the response of {} is not a token", self.server.realm)));
        let body = response.read(ANSWER_LIMIT)?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| invalid())?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let value = token.ok_or_else(invalid)?;
        let life = Duration::from_secs(answer.expires_in.as_ref().and_then(seconds).unwrap_or(DEFAULT_LIFE));
        // A little early: the request takes time, and clocks differ.
        Ok(Token { value, scopes: scopes.clone(), expires: asked + life.mul_f64(0.9) })
    }
}

/// Seconds as servers write them: a number, with or without a fraction, or text. Capped at one day.
fn seconds(value: &serde_json::Value) -> Option<u64> {
    const DAY: f64 = 86_400.0;
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (seconds >= 1.0).then_some(seconds.min(DAY) as u64)
}

/// Returns the header for a name and a password (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_life_of_a_token_is_a_time() {
        for (json, expected) in [
            ("300", Some(300)),
            ("300.7", Some(300)),
            ("\"60\"", Some(60)),
            ("18446744073709551615", Some(86_400)),
            ("0", None),
            ("-5", None),
            ("\"soon\"", None),
        ] {
            assert_eq!(seconds(&serde_json::from_str(json).unwrap()), expected, "{json}");
        }
    }

    #[test]
    fn wider_scopes_serve_narrower_ones() {
        let mut wide = Scopes::of(&[Scope::push("a/b"), Scope::pull("c")]);
        assert!(wide.contains(&Scopes::of(&[Scope::pull("a/b")])));
        assert!(!wide.contains(&Scopes::of(&[Scope::push("c")])));
        assert_eq!(wide.texts(), ["repository:a/b:pull,push", "repository:c:pull"]);
        wide.add("repository:c:push registry:catalog:*");
        assert_eq!(wide.texts(), ["registry:catalog:*", "repository:a/b:pull,push", "repository:c:pull,push"]);
    }
}
