//! Referrers of a manifest (distribution-spec 1.1, "Listing Referrers").

use longshore_oci::{Descriptor, Digest, MediaType, Result, parse_index};
use ureq::http::Method;

use super::PullRepository;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload};
use crate::manifest::{ACCEPT, read};
use crate::referrers::{collect, fallback_tag, is_list};
use crate::registry::PullSource;

pub(super) fn list(repository: &PullRepository, subject: &Digest) -> Result<Vec<Descriptor>> {
    let path = format!("{}/referrers/{subject}", repository.0.origin.repository);
    match repository.ask(|source| !source.is_mirror, |source| pages(repository, source, &path))? {
        Some(listed) => Ok(listed),
        None => tagged(repository, subject),
    }
}

/// Returns all pages; `None` if the registry has no referrers API.
fn pages(repository: &PullRepository, source: &PullSource, path: &str) -> Result<Option<Vec<Descriptor>>, Failure> {
    let response = repository.get(source, path, vec![("accept", MediaType::INDEX.to_string())])?;
    if !is_list(&response) {
        let failure = Failure::of("cannot list referrers", response);
        let is_refusal = matches!(failure.status(), Some(401 | 403));
        return if failure.is_temporary() || is_refusal { Err(failure) } else { Ok(None) };
    }
    let get = |url: &_| {
        let call = Call {
            method: Method::GET,
            target: Target::Url(url),
            headers: Vec::new(),
            scopes: &repository.0.scopes,
            payload: Payload::None,
            patience: None,
            closes: 0,
        };
        source.endpoint.follow(call, &repository.0.work)
    };
    collect(response, get).map(Some)
}

fn tagged(repository: &PullRepository, subject: &Digest) -> Result<Vec<Descriptor>> {
    let path = format!("{}/manifests/{}", repository.0.origin.repository, fallback_tag(subject));
    repository.ask(
        |source| !source.is_mirror,
        |source| {
            let response = repository.get(source, &path, vec![("accept", ACCEPT.to_owned())])?;
            if response.status() == 404 {
                return Ok(Vec::new());
            }
            let (descriptor, bytes) = read(response.expect("cannot list referrers", &[200])?, None)?;
            Ok(parse_index(&descriptor, &bytes)?.manifests)
        },
    )
}
