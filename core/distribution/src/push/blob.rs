//! A blob into a repository: found there, mounted from another one, or sent.

use std::sync::PoisonError;
use std::time::Instant;

use longshore_core::oci::Descriptor;
use longshore_core::{Context, Delivery, Error, ErrorKind, PushBlob, Result, Task, Transfer};
use ureq::http::Method;

use super::{RunSession, mount, upload};
use crate::http::{Failure, Payload, run};

pub(super) fn deliver(session: &RunSession, blob: &PushBlob<'_>, cx: Transfer<'_>) -> Result<Delivery> {
    let digest = &blob.descriptor.digest;
    let shipped = session.shipments.of(&session.origin.registry, digest);
    // While one thread delivers a blob, others wait for it: then it can be mounted.
    let mut having = shipped.lock().unwrap_or_else(PoisonError::into_inner);
    if having.contains(&session.origin.repository) {
        return Ok(Delivery::Present);
    }
    let _slot = session.slots.take(cx.cancel)?;
    let task = cx.progress.task(format!("push {digest} to {}", session.origin), Some(blob.descriptor.size));
    let begun = Instant::now();
    let delivered = deliver_now(session, blob, &having, cx, &task);
    let delivery = delivered.attempt(|| format!("cannot push blob {digest}"))?;
    having.push(session.origin.repository.clone());
    report(task, &delivery, blob.descriptor, begun);
    Ok(delivery)
}

fn deliver_now(
    session: &RunSession,
    blob: &PushBlob<'_>,
    having: &[String],
    cx: Transfer<'_>,
    task: &Task,
) -> Result<Delivery> {
    if exists(session, blob.descriptor, cx)? {
        return Ok(Delivery::Present);
    }
    let start = match mount::mount(session, blob, having, cx)? {
        mount::Outcome::Mounted(from) => return Ok(Delivery::Mounted(from)),
        mount::Outcome::Start(start) => Some(start),
        mount::Outcome::Refused => None,
    };
    upload::send(session, blob, start, cx, task)
}

/// Whether the repository has a blob already.
pub(super) fn exists(session: &RunSession, descriptor: &Descriptor, cx: Transfer<'_>) -> Result<bool> {
    let path = session.path(&format!("blobs/{}", descriptor.digest));
    let what = format!("cannot look for blob {}", descriptor.digest);
    run(session.registry.endpoint.policy(), cx, || {
        let mut response = session.call(session.at(Method::HEAD, &path, Payload::None), cx)?;
        if response.is_redirect() {
            let own = response.url.clone();
            response = match session.registry.endpoint.chase(response, &Method::HEAD, &[], &session.scopes, cx) {
                // A storage may let nobody look, and that something is there is why it was named.
                Ok(response) if matches!(response.status(), 403 | 405) && !response.url.is_same_origin(&own) => {
                    return Ok(true);
                }
                Ok(response) if response.header("content-type").is_some_and(|kind| kind.contains("html")) => {
                    return Ok(false);
                }
                Ok(response) => response,
                Err(failure) if failure.error().kind() == ErrorKind::Cancelled => return Err(failure),
                Err(_) => return Ok(true),
            };
        }
        match response.status() {
            200 => match response.length() {
                // Some proxies say so of every answer without a body.
                Some(0) => Ok(true),
                Some(size) if size != descriptor.size => {
                    let (digest, expected) = (&descriptor.digest, descriptor.size);
                    let message = format!("blob {digest} has {size} bytes in the registry, expected {expected}");
                    Err(Error::corrupt(message).into())
                }
                _ => Ok(true),
            },
            // Some do not let anyone look.
            404 | 400 | 405 => Ok(false),
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

/// How fast so many bytes went, for people; nothing for so few that it says nothing.
pub(super) fn rate(bytes: u64, begun: Instant) -> String {
    const FEW: u64 = 100_000;
    let seconds = begun.elapsed().as_secs_f64().max(1e-3);
    if bytes < FEW { String::new() } else { format!("{:.1} MiB/s", bytes as f64 / seconds / f64::from(1 << 20)) }
}

/// What there is to say, in one line.
pub(super) fn joined<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// How often an upload was continued, for people.
pub(super) fn resumed_text(times: u32) -> String {
    match times {
        0 => String::new(),
        1 => "resumed once".to_owned(),
        times => format!("resumed {times} times"),
    }
}
