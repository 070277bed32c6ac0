//! What refers to a manifest (distribution-spec 1.1, "Listing Referrers").

use longshore_oci::{Descriptor, Digest, Error, Index, MANIFEST_LIMIT, MediaType, Result, parse_index};
use ureq::http::Method;

use super::PullRepository;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload, Response, Url};
use crate::manifest::{ACCEPT, read};
use crate::registry::PullSource;

/// Pages of one list, and entries on all of them.
const PAGES: usize = 1000;
const REFERRERS: usize = 10_000;

/// The tag that lists what refers to a manifest where the registry does not (distribution-spec 1.1,
/// "Referrers Tag Schema").
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    // The algorithm takes at most 32 characters of the 128 that a tag may have, the hash 64.
    format!("{:.32}-{:.64}", subject.algorithm().to_string(), subject.hex())
}

pub(super) fn list(repository: &PullRepository, subject: &Digest) -> Result<Vec<Descriptor>> {
    let path = format!("{}/referrers/{subject}", repository.0.origin.repository);
    match repository.ask(|source| !source.is_mirror, |source| pages(repository, source, &path))? {
        Some(listed) => Ok(listed),
        None => tagged(repository, subject),
    }
}

/// Whether an answer is a list, and not what a registry without them answers.
fn is_list(response: &Response) -> bool {
    response.status() == 200 && response.header("content-type").is_some_and(|media_type| media_type.contains("json"))
}

/// All pages; `None` if the registry keeps no such lists.
fn pages(repository: &PullRepository, source: &PullSource, path: &str) -> Result<Option<Vec<Descriptor>>, Failure> {
    let mut found: Vec<Descriptor> = Vec::new();
    let mut response = repository.get(source, path, vec![("accept", MediaType::INDEX.to_string())])?;
    if !is_list(&response) {
        let failure = Failure::of("cannot list referrers", response);
        let is_refusal = matches!(failure.status(), Some(401 | 403));
        return if failure.is_temporary() || is_refusal { Err(failure) } else { Ok(None) };
    }
    for _ in 0..PAGES {
        response = response.expect("cannot list referrers", &[200])?;
        let next = next(&response)?;
        for descriptor in index(response)?.manifests {
            if !found.iter().any(|known| known.digest == descriptor.digest) {
                found.push(descriptor);
            }
        }
        if found.len() > REFERRERS {
            return Err(Error::input(format!("more than {REFERRERS} manifests refer to it")).into());
        }
        let Some(url) = next else { return Ok(Some(found)) };
        let call = Call {
            method: Method::GET,
            target: Target::Url(&url),
            headers: Vec::new(),
            scopes: &repository.0.scopes,
            payload: Payload::None,
            patience: None,
            closes: 0,
        };
        response = source.endpoint.follow(call, &repository.0.work)?;
    }
    Err(Error::input(format!("the list of referrers has more than {PAGES} pages")).into())
}

/// The next page, as the Link header says (RFC 8288).
fn next(response: &Response) -> Result<Option<Url>> {
    let links = response.headers("link");
    let link = links.iter().flat_map(|header| header.split(',')).find(|link| {
        let relation = link.split(';').skip(1).map(|parameter| parameter.trim().replace('"', ""));
        relation.into_iter().any(|relation| relation.eq_ignore_ascii_case("rel=next"))
    });
    let target = link.and_then(|link| link.split_once('<')?.1.split_once('>')).map(|(target, _)| target);
    target.map(|target| response.url.join(target)).transpose()
}

fn index(response: Response) -> Result<Index, Failure> {
    let bytes = response.read(MANIFEST_LIMIT)?;
    Ok(parse_index(&Descriptor::of(MediaType::INDEX, &bytes), &bytes)?)
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
