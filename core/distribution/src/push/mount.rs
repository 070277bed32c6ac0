//! Mounts: a blob from another repository of the same registry (distribution-spec 1.1, "Mounting a blob from another
//! repository").

use longshore_content::{Origin, Work};
use longshore_oci::{Digest, ErrorKind, Result};
use ureq::http::Method;

use super::RunSession;
use super::upload::Start;
use crate::auth::Scope;
use crate::endpoint::Call;
use crate::http::{Failure, Payload, Retries, RetryPolicy, encode};

/// How many repositories are tried: each costs a request.
const CANDIDATES: usize = 3;

pub(super) enum Outcome {
    /// The blob was mounted from this repository.
    Mounted(String),
    /// The registry wants an upload, and says where.
    Start(Start),
    /// The blob cannot be mounted.
    Refused,
}

/// Mounts a blob from one of `origins`, or from a repository known to have it.
pub(super) fn mount(
    session: &RunSession,
    digest: &Digest,
    origins: &[Origin],
    having: &[String],
    work: &Work,
) -> Result<Outcome> {
    for from in candidates(session, origins, having) {
        match ask(session, digest, &from, work)? {
            Outcome::Refused => {}
            outcome => return Ok(outcome),
        }
    }
    Ok(Outcome::Refused)
}

/// Requests one mount; twice, if the first response is a temporary error.
fn ask(session: &RunSession, digest: &Digest, from: &str, work: &Work) -> Result<Outcome> {
    let path = session.path(&format!("blobs/uploads/?mount={}&from={}", encode(&digest.to_string()), encode(from)));
    let scopes = [session.scopes[0].clone(), Scope::pull(from)];
    let mut retries = Retries::new(RetryPolicy { attempts: 2, ..session.registry.endpoint.policy() }, work);
    loop {
        let call = Call { scopes: &scopes, ..session.at(Method::POST, &path, Payload::Bytes(&[])) };
        let failure = match session.registry.endpoint.follow(call, work) {
            Ok(response) if response.status() == 201 => return Ok(Outcome::Mounted(from.to_owned())),
            Ok(response) if response.status() == 202 => return Ok(Outcome::Start(Start::of(&response)?)),
            Ok(response) => Failure::of("it cannot be mounted", response),
            Err(failure) => failure,
        };
        match failure.is_temporary().then(|| retries.wait(failure)) {
            Some(Ok(())) => {}
            Some(Err(error)) if error.kind() == ErrorKind::Cancelled => return Err(error),
            // No permission, no such repository, or no mounts: an upload always works.
            _ => {
                work.cancel.check()?;
                return Ok(Outcome::Refused);
            }
        }
    }
}

/// Repositories of this registry that have the blob: first those of this run, then those with the longest common
/// path, which are most likely readable.
fn candidates(session: &RunSession, origins: &[Origin], having: &[String]) -> Vec<String> {
    let own = &session.origin;
    let known = origins.iter().filter(|origin| origin.registry == own.registry).map(|origin| &origin.repository);
    let mut known: Vec<&String> = known.filter(|repository| !having.contains(repository)).collect();
    known.sort_by_key(|repository| (std::cmp::Reverse(common(repository, &own.repository)), *repository));
    let all = having.iter().chain(known).filter(|repository| **repository != own.repository);
    all.take(CANDIDATES).cloned().collect()
}

/// Returns how many leading components two paths have in common.
fn common(one: &str, other: &str) -> usize {
    one.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).count()
}
