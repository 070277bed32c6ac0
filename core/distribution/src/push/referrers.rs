//! Lists of referrers, for a registry without the referrers API (distribution-spec 1.1, "Referrers Tag Schema").

use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Index, MediaType, Result, json, parse_index};
use ureq::http::Method;

use super::RunSession;
use super::manifest::send;
use crate::endpoint::{Call, Target};
use crate::http::{Failure, Payload, run};
use crate::manifest::{ACCEPT, read};
use crate::referrers::{collect, fallback_tag, is_list};

/// How often a list is read and rewritten, in case others change it meanwhile.
const ATTEMPTS: usize = 5;

pub(super) fn list(session: &RunSession, work: &Work) -> Result<()> {
    let _alone = session.listing.lock();
    let mut left = std::mem::take(&mut *session.unlisted());
    while let Some((subject, _)) = left.first().cloned() {
        let (of_subject, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|(about, _)| *about == subject);
        left = others;
        let mut referrers: Vec<Descriptor> = of_subject.into_iter().map(|(_, referrer)| referrer).collect();
        let listed = listed(session, &subject, work).and_then(|listed| {
            referrers.retain(|referrer| !listed.contains(&referrer.digest));
            if referrers.is_empty() { Ok(()) } else { add(session, &subject, &referrers, work) }
        });
        listed.attempt(|| format!("cannot list what refers to {subject}"))?;
    }
    Ok(())
}

/// Returns the referrers listed by the registry; `None` without the referrers API.
fn listed(session: &RunSession, subject: &Digest, work: &Work) -> Result<Vec<Digest>> {
    let path = session.path(&format!("referrers/{subject}"));
    run(session.registry.endpoint.policy(), work, || {
        let headers = vec![("accept", MediaType::INDEX.to_string())];
        let response = session.call(Call { headers, ..session.at(Method::GET, &path, Payload::None) }, work)?;
        if !is_list(&response) {
            let failure = Failure::of("cannot ask for referrers", response);
            return if failure.is_temporary() { Err(failure) } else { Ok(Vec::new()) };
        }
        let get = |url: &_| {
            let call = Call { target: Target::Url(url), ..session.at(Method::GET, "", Payload::None) };
            session.call(call, work)
        };
        match collect(response, get) {
            // A tag that is not an index is not a list.
            Err(failure) if failure.error().kind() == ErrorKind::InvalidInput => Ok(Vec::new()),
            listed => Ok(listed?.into_iter().map(|descriptor| descriptor.digest).collect()),
        }
    })
}

/// Adds to the list under the tag of the subject, and checks that the entries stayed there.
fn add(session: &RunSession, subject: &Digest, referrers: &[Descriptor], work: &Work) -> Result<()> {
    let tag = fallback_tag(subject);
    for _ in 0..ATTEMPTS {
        let mut index = tagged(session, &tag, work)?;
        let missing: Vec<_> = referrers
            .iter()
            .filter(|referrer| !index.manifests.iter().any(|known| known.digest == referrer.digest))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        index.manifests.extend(missing);
        let bytes = json::compact(&index)?;
        send(session, &tag, &Descriptor::of(MediaType::INDEX, &bytes), &bytes, work).map(drop)?;
    }
    let message = format!("the list under the tag {tag} keeps being changed by another client");
    Err(Error::new(ErrorKind::Unavailable, message).retryable())
}

fn tagged(session: &RunSession, tag: &str, work: &Work) -> Result<Index> {
    let path = session.path(&format!("manifests/{tag}"));
    run(session.registry.endpoint.policy(), work, || {
        let headers = vec![("accept", ACCEPT.to_owned())];
        let response = session.call(Call { headers, ..session.at(Method::GET, &path, Payload::None) }, work)?;
        if response.status() == 404 {
            return Ok(Index::new(Vec::new()));
        }
        let (descriptor, bytes) = read(response.expect("cannot read the list", &[200])?, None)?;
        Ok(parse_index(&descriptor, &bytes)?)
    })
}
