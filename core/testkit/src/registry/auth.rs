//! Authorization (distribution, "Token Authentication Specification").

use std::collections::HashMap;
use std::time::{Duration, Instant};

use longshore_core::oci::Digest;
use serde_json::json;

use super::body::Body;
use super::http::{Answer, Failure, Head, Outcome, form};
use super::state::Shared;

/// The service that tokens are for.
const SERVICE: &str = "test";

#[derive(Debug, Clone, Default)]
pub(super) enum Auth {
    #[default]
    Anonymous,
    Basic {
        user: String,
        password: String,
    },
    Tokens(TokenOptions),
}

/// How a registry gives tokens.
///
/// Who names no user gets tokens for pulling only, `user` gets all that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// The user that may push.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What a POST accepts in place of the password; a POST with `access_type=offline` gets it.
    pub refresh_token: Option<String>,
    /// Whether a token is given without credentials.
    pub anonymous: bool,
    /// How long a token is valid.
    pub lifetime: Duration,
    /// How many requests a token is valid for, if they are counted.
    pub uses: Option<u32>,
    /// The `expires_in` that is reported, whatever is true; none to leave it out.
    pub expires_in: Option<u64>,
    /// What a POST is answered with, such as 405, if the endpoint knows only GET.
    pub post_status: Option<u16>,
    /// The realm that is named instead of this registry's endpoint.
    pub realm: Option<String>,
}

impl Default for TokenOptions {
    /// Tokens for `user` with `password`, valid for five minutes.
    fn default() -> Self {
        Self {
            user: "user".to_owned(),
            password: "password".to_owned(),
            refresh_token: None,
            anonymous: true,
            lifetime: Duration::from_secs(300),
            uses: None,
            expires_in: Some(300),
            post_status: None,
            realm: None,
        }
    }
}

/// The issued tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    ever: u64,
    grants: HashMap<String, Grant>,
}

#[derive(Debug)]
struct Grant {
    scopes: Vec<Scope>,
    until: Instant,
    uses: Option<u32>,
}

/// Permissions for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    repository: String,
    actions: Vec<String>,
}

impl Scope {
    pub(super) fn new(repository: &str, actions: &[&str]) -> Self {
        Self { repository: repository.to_owned(), actions: actions.iter().map(|&action| action.to_owned()).collect() }
    }

    /// Reads `repository:NAME:ACTION,ACTION`; none for other resources.
    fn parse(text: &str) -> Option<Self> {
        let (repository, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
        Some(Self::new(repository, &actions.split(',').collect::<Vec<_>>()))
    }

    fn covers(&self, other: &Self) -> bool {
        self.repository == other.repository && other.actions.iter().all(|action| self.actions.contains(action))
    }
}

/// Checks that a request may do what `needs` lists.
pub(super) fn authorise(shared: &Shared, head: &Head, needs: &[Scope]) -> Result<(), Failure> {
    let options = &shared.options;
    let given = head.header("authorization").unwrap_or_default();
    let problem = match &options.auth {
        Auth::Anonymous => return Ok(()),
        Auth::Basic { user, password } if given == basic(user, password) => return Ok(()),
        Auth::Tokens(TokenOptions { user, password, .. })
            if options.several_challenges && given == basic(user, password) =>
        {
            return Ok(());
        }
        Auth::Basic { .. } => None,
        Auth::Tokens(_) => match shared.tokens.lock().check(given, needs) {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        },
    };
    let mut answer = Answer::error(401, "UNAUTHORIZED", problem.unwrap_or("credentials are missing or wrong"));
    for challenge in challenges(shared, needs, problem) {
        answer = answer.header("WWW-Authenticate", challenge);
    }
    Err(answer.into())
}

fn challenges(shared: &Shared, needs: &[Scope], problem: Option<&str>) -> Vec<String> {
    let mut challenges = Vec::new();
    let several = shared.options.several_challenges;
    if several {
        // RFC 9110 section 11.6.1: a field can list several challenges, and there can be several fields.
        challenges.push("Negotiate, Basic realm=\"test, \\\"really\\\"\", charset=\"UTF-8\"".to_owned());
    }
    match &shared.options.auth {
        Auth::Tokens(tokens) => {
            let own = || format!("http://{}/token", shared.host);
            let realm = tokens.realm.clone().unwrap_or_else(own);
            let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
            let scopes = needs.iter().map(|need| format!("repository:{}:{}", need.repository, need.actions.join(",")));
            let scopes = scopes.collect::<Vec<_>>().join(" ");
            if !scopes.is_empty() {
                challenge += &format!(",scope=\"{scopes}\"");
            }
            if let Some(problem) = problem {
                challenge += &format!(",error=\"{problem}\"");
            }
            challenges.push(challenge);
        }
        _ if several => {}
        _ => challenges.push("Basic realm=\"test\"".to_owned()),
    }
    challenges
}

impl Tokens {
    /// Uses a token, or returns the error of RFC 6750 section 3.1.
    fn check(&mut self, given: &str, needs: &[Scope]) -> Result<(), Option<&'static str>> {
        let token = given.strip_prefix("Bearer ").ok_or(None)?;
        let grant = self.grants.get_mut(token).ok_or(Some("invalid_token"))?;
        if Instant::now() >= grant.until || grant.uses == Some(0) {
            return Err(Some("invalid_token"));
        }
        grant.uses = grant.uses.map(|uses| uses - 1);
        let granted = |need: &Scope| grant.scopes.iter().any(|scope| scope.covers(need));
        if needs.iter().all(granted) { Ok(()) } else { Err(Some("insufficient_scope")) }
    }

    fn give(&mut self, host: &str, options: &TokenOptions, scopes: Vec<Scope>) -> String {
        self.ever += 1;
        let token = format!("opaque.{}", Digest::of(format!("{host} {}", self.ever).as_bytes()).hex());
        let until = Instant::now() + options.lifetime;
        self.grants.insert(token.clone(), Grant { scopes, until, uses: options.uses });
        token
    }
}

/// Returns the token endpoint: its GET, and the POST of "OAuth2 Token Authentication".
pub(super) fn token(shared: &Shared, head: &Head, body: &mut Body<'_>) -> Outcome {
    let Auth::Tokens(options) = &shared.options.auth else {
        return Ok(Answer::error(404, "UNSUPPORTED", "there are no tokens"));
    };
    let post = match head.method.as_str() {
        "GET" => false,
        "POST" => true,
        _ => return Ok(Answer::error(405, "UNSUPPORTED", "unknown method")),
    };
    if let Some(status) = options.post_status.filter(|_| post) {
        return Ok(Answer::error(status, "UNSUPPORTED", "tokens are for GET only"));
    }
    let fields = if post { form(&String::from_utf8_lossy(&body.read_to_end()?)) } else { form(&head.query) };
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    if field("service") != SERVICE {
        return Ok(Answer::error(400, "UNKNOWN", "unknown service"));
    }
    let known = if post {
        match field("grant_type") {
            "password" => Some((field("username"), field("password")) == (&options.user, &options.password)),
            "refresh_token" => Some(options.refresh_token.as_deref() == Some(field("refresh_token"))),
            _ => return Ok(Answer::error(400, "UNSUPPORTED", "unknown grant type")),
        }
    } else {
        head.header("authorization").map(|given| given == basic(&options.user, &options.password))
    };
    if !known.unwrap_or(options.anonymous) {
        let answer = Answer::error(401, "UNAUTHORIZED", "credentials are missing or wrong");
        return Ok(answer.header("WWW-Authenticate", "Basic realm=\"test\""));
    }
    let asked = fields.iter().filter(|(key, _)| key == "scope").flat_map(|(_, value)| value.split(' '));
    let mut scopes: Vec<Scope> = asked.filter_map(Scope::parse).collect();
    if known.is_none() {
        scopes.iter_mut().for_each(|scope| scope.actions.retain(|action| action == "pull"));
    }
    let token = shared.tokens.lock().give(&shared.host, options, scopes);
    let mut answer = json!({ if post { "access_token" } else { "token" }: token });
    if let Some(seconds) = options.expires_in {
        answer["expires_in"] = seconds.into();
    }
    if let Some(refresh) = options.refresh_token.as_deref().filter(|_| post && field("access_type") == "offline") {
        answer["refresh_token"] = refresh.into();
    }
    Ok(Answer::new(200).json(&answer))
}

/// Returns the header with a user's credentials (RFC 7617).
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= group.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}
