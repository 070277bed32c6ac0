//! Lists of referrers, which come in pages (distribution-spec 1.1, "Listing Referrers").

use longshore_oci::{Descriptor, Digest, Error, Index, MANIFEST_LIMIT, MediaType, Result, parse_index};

use crate::http::{Failure, Response, Url, next};

/// Pages of one list, and entries on all of them.
const PAGES: usize = 1000;
const REFERRERS: usize = 10_000;

/// Returns the tag that lists the referrers of a manifest in a registry without the referrers API (distribution-spec
/// 1.1, "Referrers Tag Schema").
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    // The tag may have 128 characters: at most 32 for the algorithm, and 64 for the hash.
    format!("{:.32}-{:.64}", subject.algorithm().to_string(), subject.hex())
}

/// Returns whether a response is a list of referrers: registries without the API may also respond.
pub(crate) fn is_list(response: &Response) -> bool {
    response.status() == 200 && response.header("content-type").is_some_and(|media_type| media_type.contains("json"))
}

/// Reads a list that begins with the page `first`; `get` fetches the others.
pub(crate) fn collect(
    first: Response,
    mut get: impl FnMut(&Url) -> Result<Response, Failure>,
) -> Result<Vec<Descriptor>, Failure> {
    let mut found: Vec<Descriptor> = Vec::new();
    let mut response = first;
    for _ in 0..PAGES {
        response = response.expect("cannot list referrers", &[200])?;
        let next = next(&response.headers("link")).map(|target| response.url.join(&target)).transpose()?;
        for descriptor in index(response)?.manifests {
            if !found.iter().any(|known| known.digest == descriptor.digest) {
                found.push(descriptor);
            }
        }
        if found.len() > REFERRERS {
            return Err(Error::input(format!("more than {REFERRERS} manifests refer to it")).into());
        }
        let Some(url) = next else { return Ok(found) };
        response = get(&url)?;
    }
    Err(Error::input(format!("the list of referrers has more than {PAGES} pages")).into())
}

fn index(response: Response) -> Result<Index, Failure> {
    let bytes = response.read(MANIFEST_LIMIT)?;
    Ok(parse_index(&Descriptor::of(MediaType::INDEX, &bytes), &bytes)?)
}
