//! Manifests and indexes, under their digests and under tags.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use longshore_content::{Delivery, Work};
use longshore_oci::json::null_is_empty;
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, MANIFEST_LIMIT, Result};
use serde::Deserialize;
use ureq::http::Method;

use super::RunSession;
use crate::endpoint::Call;
use crate::http::{Failure, Payload, Response, run};
use crate::manifest::{ACCEPT, check_said, said_digest};

/// Puts a document under `reference`: its digest or a tag.
pub(super) fn put(
    session: &RunSession,
    reference: &str,
    descriptor: &Descriptor,
    bytes: &[u8],
    work: &Work,
) -> Result<Delivery> {
    if bytes.len() as u64 != descriptor.size {
        return Err(Error::corrupt(format!("{} has {} bytes", descriptor.digest, bytes.len())));
    }
    let is_tag = !reference.contains(':');
    // A manifest with newly sent parts cannot exist yet; a tag may be immutable, and correct.
    let may_exist = is_tag || !session.has_sent.load(Ordering::Relaxed);
    let mut is_listed = false;
    let mut delivered = || -> Result<Delivery> {
        if may_exist && present(session, reference, work)?.as_ref() == Some(&descriptor.digest) {
            return Ok(Delivery::Present);
        }
        is_listed = send(session, reference, descriptor, bytes, work)?;
        Ok(Delivery::Sent { resumed: 0 })
    };
    if is_tag {
        let task = work.progress.task(format!("tag {}:{reference}", session.origin), None);
        let delivered = delivered().attempt(|| format!("cannot push tag {reference}"))?;
        match delivered {
            Delivery::Present => task.skipped("is already up to date"),
            _ => task.done(descriptor.digest.to_string()),
        }
        return Ok(delivered);
    }
    let delivered = delivered().attempt(|| format!("cannot push manifest {reference}"))?;
    if !is_listed {
        note_subject(session, descriptor, bytes)?;
    }
    Ok(delivered)
}

/// Requests a manifest from the repository, with the permissions that a push needs. Whether it exists does not matter,
/// only that the registry responds.
pub(super) fn check(session: &RunSession, work: &Work) -> Result<()> {
    present(session, session.name.tag().unwrap_or("latest"), work).map(drop)
}

/// Returns the digest of the manifest under `reference`, if it exists.
fn present(session: &RunSession, reference: &str, work: &Work) -> Result<Option<Digest>> {
    let path = session.path(&format!("manifests/{reference}"));
    let what = format!("cannot look up manifest {reference}");
    let ask = |method: Method| {
        let headers = vec![("accept", ACCEPT.to_owned())];
        session.call(Call { headers, ..session.at(method, &path, Payload::None) }, work)
    };
    run(session.registry.endpoint.policy(), work, || {
        let response = ask(Method::HEAD)?;
        match response.status() {
            200 => match said_digest(&response) {
                Some(digest) => Ok(Some(digest)),
                None => digest_of(ask(Method::GET)?.expect(&what, &[200])?),
            },
            404 => Ok(None),
            405 => match ask(Method::GET)? {
                response if response.status() == 404 => Ok(None),
                response => digest_of(response.expect(&what, &[200])?),
            },
            _ => Err(Failure::of(&what, response)),
        }
    })
}

fn digest_of(response: Response) -> Result<Option<Digest>, Failure> {
    Ok(Some(Digest::of(&response.read(MANIFEST_LIMIT)?)))
}

/// Sends a manifest. Returns whether the registry says that it lists it under its subject (distribution-spec 1.1,
/// "Pushing Manifests with Subject").
pub(super) fn send(
    session: &RunSession,
    reference: &str,
    descriptor: &Descriptor,
    bytes: &[u8],
    work: &Work,
) -> Result<bool> {
    let path = session.path(&format!("manifests/{reference}"));
    // Sending the same document twice under the same name does no harm.
    run(session.registry.endpoint.policy(), work, || {
        let headers = vec![("content-type", descriptor.media_type.to_string())];
        let call = Call { headers, ..session.at(Method::PUT, &path, Payload::Bytes(bytes)) };
        let response = session.call(call, work)?.expect("the registry refused it", &[201, 200, 202, 204]);
        let response = response.map_err(|failure| lacking(session, bytes, failure))?;
        check_said(&response, &descriptor.digest)?;
        Ok(response.header("oci-subject").is_some())
    })
}

/// What a manifest or an index refers to.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    config: Option<Descriptor>,
    #[serde(deserialize_with = "null_is_empty")]
    layers: Vec<Descriptor>,
    #[serde(deserialize_with = "null_is_empty")]
    manifests: Vec<Descriptor>,
}

/// Marks a refusal caused by a part that the registry lacks, having lost or removed it. The session forgets what it
/// knows about all parts, so that the next delivery of each looks for it again.
fn lacking(session: &RunSession, bytes: &[u8], failure: Failure) -> Failure {
    if !failure.has_code("MANIFEST_BLOB_UNKNOWN") && !failure.has_code("BLOB_UNKNOWN") {
        return failure;
    }
    let Parts { config, layers, manifests } = serde_json::from_slice(bytes).unwrap_or_default();
    for part in config.into_iter().chain(layers).chain(manifests) {
        let shipped = session.shipments.of(&session.origin.registry, &part.digest);
        shipped.lock().retain(|repository| *repository != session.origin.repository);
    }
    let error = Error::new(ErrorKind::NotFound, "the registry is missing a part of the manifest");
    let error = error.with_hint("run it again: the registry may be removing blobs at the same time");
    Failure::because(failure.reason, error.with_source(failure.into_error()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

/// Records a manifest with a subject, as a list of referrers describes it.
fn note_subject(session: &RunSession, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
    let referrer: Referrer = serde_json::from_slice(bytes)
        .map_err(|error| Error::input(format!("cannot read {}", descriptor.digest)).with_source(error))?;
    let Some(subject) = referrer.subject else { return Ok(()) };
    let config_type = referrer.config.map(|config| config.media_type.to_string());
    let listed = Descriptor {
        artifact_type: referrer.artifact_type.or(config_type),
        annotations: referrer.annotations.unwrap_or_default(),
        ..Descriptor::new(descriptor.media_type.clone(), descriptor.digest.clone(), descriptor.size)
    };
    let mut unlisted = session.unlisted();
    if !unlisted.iter().any(|(_, known)| known.digest == listed.digest) {
        unlisted.push((subject.digest, listed));
    }
    Ok(())
}
