//! Mounts: a blob of one repository in another one of the same registry (distribution-spec 1.1, "Mounting a
//! blob from another repository").

use longshore_core::content::Origin;
use longshore_core::{ErrorKind, PushBlob, Result, Transfer};
use ureq::http::Method;

use super::RunSession;
use super::upload::Start;
use crate::auth::Scope;
use crate::endpoint::{Call, Target};
use crate::http::{Payload, encode};

/// Repositories that are tried: each costs a request.
const CANDIDATES: usize = 3;

pub(super) enum Outcome {
    /// It is there, from this repository.
    Mounted(String),
    /// The registry wants it sent, and says where to.
    Start(Start),
    /// It cannot be mounted.
    Refused,
}

pub(super) fn mount(session: &RunSession, blob: &PushBlob<'_>, having: &[String], cx: Transfer<'_>) -> Result<Outcome> {
    for from in candidates(session, blob.origins, having) {
        let digest = blob.descriptor.digest.to_string();
        let path = session.path(&format!("blobs/uploads/?mount={}&from={}", encode(&digest), encode(&from)));
        let scopes = [session.scopes[0].clone(), Scope::pull(&from)];
        let target = Target::Path(&path);
        let call =
            Call { method: Method::POST, target, headers: Vec::new(), scopes: &scopes, payload: Payload::Bytes(&[]) };
        match session.call(call, cx) {
            Ok(response) if response.status() == 201 => return Ok(Outcome::Mounted(from)),
            Ok(response) if response.status() == 202 => return Ok(Outcome::Start(Start::of(&response)?)),
            // No right to read there, no such repository, no mounts: sending it always works.
            Ok(_) => {}
            Err(failure) if failure.error().kind() == ErrorKind::Cancelled => return Err(failure.into_error()),
            Err(_) => {}
        }
    }
    Ok(Outcome::Refused)
}

/// Repositories of this registry that have the blob: those of this run first, then the ones with the longest
/// path in common, which are likeliest to be readable.
fn candidates(session: &RunSession, origins: &[Origin], having: &[String]) -> Vec<String> {
    let own = &session.origin;
    let known = origins.iter().filter(|origin| origin.registry == own.registry).map(|origin| &origin.repository);
    let mut known: Vec<&String> = known.filter(|repository| !having.contains(repository)).collect();
    known.sort_by_key(|repository| (std::cmp::Reverse(common(repository, &own.repository)), *repository));
    let all = having.iter().chain(known).filter(|repository| **repository != own.repository);
    all.take(CANDIDATES).cloned().collect()
}

/// The parts that two paths begin with alike.
fn common(one: &str, other: &str) -> usize {
    one.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).count()
}
