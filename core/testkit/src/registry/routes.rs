//! Routing of requests (distribution-spec, "Endpoints").

use longshore_core::oci::Digest;

use super::auth::{self, Scope};
use super::body::Body;
use super::http::{Answer, Failure, Head, Outcome, decode};
use super::state::Shared;
use super::{blobs, listings, manifests, uploads};

/// A request being handled.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) head: &'a Head,
    /// The repository.
    pub(super) name: &'a str,
}

enum Route {
    Base,
    Tags,
    Manifest(String),
    Referrers(String),
    Blob(String),
    Uploads,
    Upload(String),
}

/// Handles a request.
pub(super) fn answer(shared: &Shared, head: &Head, body: &mut Body<'_>) -> Outcome {
    if head.path == "/token" {
        return auth::token(shared, head, body);
    }
    let path = decode(&head.path);
    let (name, route) =
        route(&path).ok_or_else(|| Answer::error(404, "UNSUPPORTED", "there is nothing at this path"))?;
    auth::authorise(shared, head, &needs(head, name, &route))?;
    if !matches!(route, Route::Base) && !is_name(name) {
        return Err(Answer::error(400, "NAME_INVALID", "invalid repository name").into());
    }
    body.check_length()?;
    dispatch(&Call { shared, head, name }, &route, body)
}

fn dispatch(call: &Call<'_>, route: &Route, body: &mut Body<'_>) -> Outcome {
    match (route, call.head.method.as_str()) {
        (Route::Base, "GET" | "HEAD") => Ok(Answer::new(200).json(&serde_json::json!({}))),
        (Route::Tags, "GET") => listings::tags(call),
        (Route::Referrers(digest), "GET") => listings::referrers(call, &parse(digest)?),
        (Route::Manifest(reference), "GET" | "HEAD") => manifests::get(call, reference),
        (Route::Manifest(reference), "PUT") => manifests::put(call, reference, body),
        (Route::Manifest(reference), "DELETE") => manifests::delete(call, reference),
        (Route::Blob(digest), "GET" | "HEAD") => blobs::get(call, &parse(digest)?),
        (Route::Blob(digest), "DELETE") => blobs::delete(call, &parse(digest)?),
        (Route::Uploads, "POST") => uploads::post(call, body),
        (Route::Upload(id), "GET") => uploads::get(call, id),
        (Route::Upload(id), "PATCH") => uploads::patch(call, id, body),
        (Route::Upload(id), "PUT") => uploads::put(call, id, body),
        (Route::Upload(id), "DELETE") => uploads::delete(call, id),
        _ => Ok(Answer::error(405, "UNSUPPORTED", "unknown method")),
    }
}

/// Returns the repository, and the resource in it.
fn route(path: &str) -> Option<(&str, Route)> {
    let path = if path == "/v2" { "" } else { path.strip_prefix("/v2/")? };
    if path.is_empty() {
        return Some(("", Route::Base));
    }
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Some((name, Route::Tags));
    }
    if let Some(name) = path.trim_end_matches('/').strip_suffix("/blobs/uploads") {
        return Some((name, Route::Uploads));
    }
    type Kind = (&'static str, fn(String) -> Route);
    let kinds: [Kind; 4] = [
        ("/blobs/uploads/", Route::Upload),
        ("/blobs/", Route::Blob),
        ("/manifests/", Route::Manifest),
        ("/referrers/", Route::Referrers),
    ];
    for (kind, route) in kinds {
        if let Some((name, last)) = path.rsplit_once(kind).filter(|(_, last)| !last.contains('/')) {
            return Some((name, route(last.to_owned())));
        }
    }
    None
}

fn needs(head: &Head, name: &str, route: &Route) -> Vec<Scope> {
    if matches!(route, Route::Base) {
        return Vec::new();
    }
    let reads = matches!(head.method.as_str(), "GET" | "HEAD") && !matches!(route, Route::Upload(_));
    let mut needs = vec![Scope::new(name, if reads { &["pull"] } else { &["pull", "push"] })];
    let from = head.parameter("from").filter(|_| matches!(route, Route::Uploads) && head.parameter("mount").is_some());
    needs.extend(from.filter(|from| from != name).map(|from| Scope::new(&from, &["pull"])));
    needs
}

fn is_name(name: &str) -> bool {
    name.split('/').all(|part| {
        let known = part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        known && !part.is_empty() && !part.starts_with(['.', '_', '-']) && !part.ends_with(['.', '_', '-'])
    })
}

/// Parses a digest from a client.
pub(super) fn parse(digest: &str) -> Result<Digest, Failure> {
    digest.parse().map_err(|_| Answer::error(400, "DIGEST_INVALID", "invalid digest").into())
}
