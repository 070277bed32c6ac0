//! Blobs.

use std::ops::Range;

use longshore_core::oci::{Digest, Hasher};

use super::http::{Answer, Outcome};
use super::routes::Call;

/// Returns whether these are the bytes of `digest`.
pub(super) fn is_digest_of(digest: &Digest, bytes: &[u8]) -> bool {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    hasher.finish() == *digest
}

/// Returns the response for a blob that the registry now has.
pub(super) fn created(call: &Call<'_>, digest: &Digest) -> Answer {
    let location = format!("/v2/{}/blobs/{digest}", call.name);
    Answer::new(201).header("Location", location).header("Docker-Content-Digest", digest)
}

pub(super) fn get(call: &Call<'_>, digest: &Digest) -> Outcome {
    let blob = call.shared.state().blob(call.name, digest);
    let blob = blob.ok_or_else(unknown)?;
    let size = blob.len();
    let answer = Answer::new(200).body(blob).header("Content-Type", "application/octet-stream");
    let answer = answer.header("Accept-Ranges", "bytes").header("Docker-Content-Digest", digest);
    // RFC 9110 section 14.2: a range is for GET, and an invalid one is ignored.
    let wanted = call.head.header("range").filter(|_| call.head.method == "GET");
    let Some(part) = wanted.and_then(|range| parse(range, size)) else { return Ok(answer) };
    if part.is_empty() {
        let refusal = Answer::error(416, "UNKNOWN", "the range is not in the blob");
        return Ok(refusal.header("Content-Range", format!("bytes */{size}")));
    }
    let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
    Ok(Answer { status: 206, part, ..answer }.header("Content-Range", range))
}

pub(super) fn delete(call: &Call<'_>, digest: &Digest) -> Outcome {
    let removed = call.shared.state().repository(call.name).blobs.remove(digest);
    Ok(if removed.is_some() { Answer::new(202) } else { unknown() })
}

fn unknown() -> Answer {
    Answer::error(404, "BLOB_UNKNOWN", "there is no such blob")
}

/// Returns the part that `bytes=FROM-`, `bytes=FROM-TO` or `bytes=-LAST` means; empty if it is outside the blob.
fn parse(range: &str, size: usize) -> Option<Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let last: usize = last.parse().ok()?;
        return Some(size.saturating_sub(last)..size);
    }
    let first: usize = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<usize>().ok()?.checked_add(1)? };
    if end <= first && !last.is_empty() {
        return None;
    }
    Some(first.min(size)..end.min(size))
}
