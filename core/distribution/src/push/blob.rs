//! Delivers a blob to a repository: already present, mounted from another one, or sent.

use std::time::Instant;

use longshore_content::{Delivery, Origin, PushBlob, Task, Work};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, Result};
use ureq::http::Method;

use super::{RunSession, mount, upload};
use crate::http::{Failure, Payload, run};

pub(super) fn deliver(session: &RunSession, blob: &PushBlob<'_>, work: &Work) -> Result<Delivery> {
    let digest = &blob.descriptor.digest;
    let shipped = session.shipments.of(&session.origin.registry, digest);
    // While one thread delivers a blob, others wait for it: then they can mount it.
    let mut having = shipped.lock();
    if having.contains(&session.origin.repository) {
        return Ok(Delivery::Present);
    }
    let _slot = session.slots.acquire(1, &work.cancel)?;
    let task = work.progress.task(format!("push {digest} to {}", session.origin), Some(blob.descriptor.size));
    let begun = Instant::now();
    let delivered = deliver_now(session, blob, &having, work, &task);
    let delivery = delivered.attempt(|| format!("cannot push blob {digest}"))?;
    having.push(session.origin.repository.clone());
    report(task, &delivery, blob.descriptor, begun);
    Ok(delivery)
}

fn deliver_now(
    session: &RunSession,
    blob: &PushBlob<'_>,
    having: &[String],
    work: &Work,
    task: &Task,
) -> Result<Delivery> {
    if exists(session, blob.descriptor, work)? {
        return Ok(Delivery::Present);
    }
    let start = match mount::mount(session, &blob.descriptor.digest, blob.origins, having, work)? {
        mount::Outcome::Mounted(from) => return Ok(Delivery::Mounted(from)),
        mount::Outcome::Start(start) => Some(start),
        mount::Outcome::Refused => None,
    };
    upload::send(session, blob, start, work, task)
}

/// Makes sure that the repository has a blob that is already in it or in one of `origins`; returns its size.
/// `None` if the blob is in neither, or its size is unknown: then nothing was sent.
pub(super) fn reuse(session: &RunSession, digest: &Digest, origins: &[Origin], work: &Work) -> Result<Option<u64>> {
    let shipped = session.shipments.of(&session.origin.registry, digest);
    let mut having = shipped.lock();
    let _slot = session.slots.acquire(1, &work.cancel)?;
    let found = match look(session, digest, work)? {
        Found::Nothing => match mount::mount(session, digest, origins, &having, work)? {
            mount::Outcome::Mounted(_) => look(session, digest, work)?,
            mount::Outcome::Start(start) => {
                upload::abandon(session, &start.location);
                Found::Nothing
            }
            mount::Outcome::Refused => Found::Nothing,
        },
        found => found,
    };
    let Found::Blob(Some(size)) = found else { return Ok(None) };
    if !having.contains(&session.origin.repository) {
        having.push(session.origin.repository.clone());
    }
    Ok(Some(size))
}

/// Returns whether the repository already has a blob.
pub(super) fn exists(session: &RunSession, descriptor: &Descriptor, work: &Work) -> Result<bool> {
    let Descriptor { digest, size: expected, .. } = descriptor;
    match look(session, digest, work)? {
        Found::Nothing => Ok(false),
        Found::Blob(Some(size)) if size != *expected => {
            Err(Error::corrupt(format!("blob {digest} has {size} bytes in the registry, expected {expected}")))
        }
        Found::Blob(_) => Ok(true),
    }
}

/// What a repository responds about a blob.
enum Found {
    Nothing,
    /// The blob exists, with this size, if stated.
    Blob(Option<u64>),
}

fn look(session: &RunSession, digest: &Digest, work: &Work) -> Result<Found> {
    let path = session.path(&format!("blobs/{digest}"));
    let what = format!("cannot look up blob {digest}");
    run(session.registry.endpoint.policy(), work, || {
        let mut response = session.call(session.at(Method::HEAD, &path, Payload::None), work)?;
        if response.is_redirect() {
            let own = response.url.clone();
            response = match session.registry.endpoint.chase(response, &Method::HEAD, &[], &session.scopes, work) {
                // Storage may forbid HEAD; the redirect to it shows that the blob exists.
                Ok(response) if matches!(response.status(), 403 | 405) && !response.url.is_same_origin(&own) => {
                    return Ok(Found::Blob(None));
                }
                Ok(response) if response.header("content-type").is_some_and(|kind| kind.contains("html")) => {
                    return Ok(Found::Nothing);
                }
                Ok(response) => response,
                Err(failure) if failure.error().kind() == ErrorKind::Cancelled => return Err(failure),
                Err(_) => return Ok(Found::Blob(None)),
            };
        }
        match response.status() {
            // Some proxies state 0 for every response without a body.
            200 => Ok(Found::Blob(response.length().filter(|size| *size > 0))),
            // Some registries do not allow this request.
            404 | 400 | 405 => Ok(Found::Nothing),
            _ => Err(Failure::of(&what, response)),
        }
    })
}

fn report(task: Task, delivery: &Delivery, descriptor: &Descriptor, begun: Instant) {
    match delivery {
        Delivery::Present => task.skipped("exists"),
        Delivery::Mounted(from) => task.skipped(format!("mounted from {from}")),
        Delivery::Sent { resumed } => {
            task.done(joined([rate(descriptor.size, begun), resumed_text(*resumed)]));
        }
    }
}

/// Returns the transfer rate, for display; nothing for too few bytes to be meaningful.
pub(super) fn rate(bytes: u64, begun: Instant) -> String {
    const FEW: u64 = 100_000;
    let seconds = begun.elapsed().as_secs_f64().max(1e-3);
    if bytes < FEW { String::new() } else { format!("{:.1} MiB/s", bytes as f64 / seconds / f64::from(1 << 20)) }
}

/// Joins the parts that are not empty, on one line.
pub(super) fn joined<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Returns how often an upload was resumed, for display.
pub(super) fn resumed_text(times: u32) -> String {
    match times {
        0 => String::new(),
        1 => "resumed once".to_owned(),
        times => format!("resumed {times} times"),
    }
}
