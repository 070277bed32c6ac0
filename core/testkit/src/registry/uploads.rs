//! Uploads (distribution-spec, "Pushing blobs").

use super::blobs::{created, is_digest_of};
use super::body::Body;
use super::http::{Answer, Failure, Outcome};
use super::routes::{Call, parse};
use super::state::Upload;

/// Begins an upload, mounts a blob, or takes a whole one.
pub(super) fn post(call: &Call<'_>, body: &mut Body<'_>) -> Outcome {
    let options = &call.shared.options;
    if let Some(mount) = call.head.parameter("mount") {
        if let Some(status) = options.mount_status {
            return Err(Answer::error(status, "DENIED", "mounts fail on purpose").into());
        }
        let digest = parse(&mount)?;
        let mut state = call.shared.state();
        let from = call.head.parameter("from").filter(|_| !options.refuse_mounts);
        if let Some(blob) = from.and_then(|from| state.blob(&from, &digest)) {
            state.repository(call.name).blobs.insert(digest.clone(), blob);
            return Ok(created(call, &digest));
        }
    } else if let Some(digest) = call.head.parameter("digest") {
        let digest = parse(&digest)?;
        let bytes = body.read_to_end()?;
        if !is_digest_of(&digest, &bytes) {
            return Err(mismatch().into());
        }
        call.shared.state().repository(call.name).blobs.insert(digest.clone(), bytes.into());
        return Ok(created(call, &digest));
    }
    let id = call.shared.state().begin_upload(call.name);
    let answer = progress(call, &id, 0, 202);
    Ok(match options.chunk_min_length {
        Some(bytes) => answer.header("OCI-Chunk-Min-Length", bytes),
        None => answer,
    })
}

/// Returns the progress of an upload.
pub(super) fn get(call: &Call<'_>, id: &str) -> Outcome {
    check_query(call)?;
    let mut state = call.shared.quiet(id);
    let upload = find(call, state.uploads.get_mut(id))?;
    if call.shared.options.signed_offset && !is_current(call, upload) {
        state.uploads.remove(id);
        return Err(stale().into());
    }
    if call.shared.options.no_resume {
        return Err(unknown().into());
    }
    Ok(progress(call, id, upload.bytes.len(), 204))
}

/// Receives a chunk, or a stream of any length.
pub(super) fn patch(call: &Call<'_>, id: &str, body: &mut Body<'_>) -> Outcome {
    check_query(call)?;
    if call.shared.options.refuse_streaming && call.head.header("content-length").is_none() {
        return Err(Answer::error(411, "SIZE_INVALID", "a length is required").into());
    }
    let end = receive(call, id, body)?;
    Ok(progress(call, id, end, 202))
}

/// Receives the rest, and turns the upload into a blob.
pub(super) fn put(call: &Call<'_>, id: &str, body: &mut Body<'_>) -> Outcome {
    check_query(call)?;
    let digest = parse(&call.head.parameter("digest").unwrap_or_default())?;
    if let Some(status) = call.shared.options.chunks_only.filter(|_| body.length() != Some(0)) {
        call.shared.state().uploads.remove(id);
        return Err(Answer::error(status, "BLOB_UPLOAD_INVALID", "blobs are taken in chunks").into());
    }
    receive(call, id, body)?;
    let upload = call.shared.state().uploads.remove(id).ok_or_else(unknown)?;
    if !is_digest_of(&digest, &upload.bytes) {
        return Err(mismatch().into());
    }
    call.shared.state().repository(call.name).blobs.insert(digest.clone(), upload.bytes.into());
    Ok(created(call, &digest))
}

/// Cancels an upload.
pub(super) fn delete(call: &Call<'_>, id: &str) -> Outcome {
    check_query(call)?;
    let mut state = call.shared.quiet(id);
    find(call, state.uploads.get_mut(id))?;
    state.uploads.remove(id);
    Ok(Answer::new(204))
}

/// Appends the body to the upload, and returns its new size. Bytes received before a connection breaks stay.
fn receive(call: &Call<'_>, id: &str, body: &mut Body<'_>) -> Result<usize, Failure> {
    let start = begin(call, id, body)?;
    let mut end = start;
    let mut buffer = vec![0; 1 << 16];
    let failure = loop {
        match body.piece(&mut buffer) {
            Ok(0) => break None,
            Ok(count) => match append(call, id, end, &buffer[..count]) {
                Ok(()) => end += count,
                Err(answer) => break Some(answer.into()),
            },
            Err(failure) => break Some(failure),
        }
    };
    let mut state = call.shared.state();
    if let Some(upload) = state.uploads.get_mut(id) {
        upload.writers -= 1;
        match &failure {
            None => upload.short = call.shared.options.chunk_min_length.is_some_and(|min| ((end - start) as u64) < min),
            // Like a proxy, which passes nothing on before it has everything.
            Some(Failure::Refused(answer)) if answer.status == 413 => upload.bytes.truncate(start),
            Some(Failure::Broken) if call.shared.options.no_resume => drop(state.uploads.remove(id)),
            Some(_) => {}
        }
    }
    drop(state);
    call.shared.written();
    failure.map_or(Ok(end), Err)
}

/// Checks that a body may be appended, and returns the offset.
fn begin(call: &Call<'_>, id: &str, body: &Body<'_>) -> Result<usize, Failure> {
    let mut state = call.shared.quiet(id);
    let upload = find(call, state.uploads.get_mut(id))?;
    let size = upload.bytes.len();
    // The location of an earlier response, or a request overtaken by the one that resumes it.
    if !is_current(call, upload) {
        if call.shared.options.signed_offset {
            state.uploads.remove(id);
            return Err(stale().into());
        }
        return Err(out_of_order(call, id, size).into());
    }
    if let Some(range) = call.head.header("content-range") {
        let invalid = || Answer::error(400, "BLOB_UPLOAD_INVALID", "invalid content range");
        // distribution-spec, "Pushing a blob in chunks": `^[0-9]+-[0-9]+$`, without a unit.
        let (first, last) = range.split_once('-').ok_or_else(invalid)?;
        let (first, last): (usize, u64) = first.parse().ok().zip(last.parse().ok()).ok_or_else(invalid)?;
        if first != size {
            return Err(out_of_order(call, id, size).into());
        }
        if body.length().is_some_and(|length| first as u64 + length != last + 1) {
            return Err(invalid().into());
        }
    }
    if upload.short && body.length() != Some(0) {
        return Err(out_of_order(call, id, size).into());
    }
    upload.writers += 1;
    Ok(size)
}

/// Returns whether the requested location states the current size of the upload.
fn is_current(call: &Call<'_>, upload: &Upload) -> bool {
    call.head.parameter("state").is_none_or(|state| state == upload.bytes.len().to_string())
}

fn stale() -> Answer {
    Answer::error(400, "BLOB_UPLOAD_INVALID", "the upload is not where its location says")
}

fn append(call: &Call<'_>, id: &str, at: usize, bytes: &[u8]) -> Result<(), Answer> {
    let mut state = call.shared.state();
    let upload = state.uploads.get_mut(id).ok_or_else(unknown)?;
    if upload.bytes.len() != at {
        // Another request has written in the meantime.
        return Err(out_of_order(call, id, upload.bytes.len()));
    }
    upload.bytes.extend(bytes);
    Ok(())
}

/// Returns an upload of this repository.
fn find<'a>(call: &Call<'_>, upload: Option<&'a mut Upload>) -> Result<&'a mut Upload, Failure> {
    upload.filter(|upload| upload.repository == call.name).ok_or_else(|| unknown().into())
}

/// Returns the `Range` of an upload. An empty one is `0-0`, as in the reference implementation.
fn progress(call: &Call<'_>, id: &str, size: usize, status: u16) -> Answer {
    let options = &call.shared.options;
    let base = options.location_base.as_deref().unwrap_or_default().replace("{host}", &call.shared.host);
    let port = call.shared.host.rsplit(':').next().unwrap_or_default();
    let base = base.replace("{port}", port);
    let mut location = format!("{base}/v2/{}/blobs/uploads/{id}?state={size}", call.name);
    if let Some(query) = &options.location_query {
        location += &format!("&{query}");
    }
    let answer = Answer::new(status).header("Location", location).header("Docker-Upload-UUID", id);
    answer.header("Range", format!("0-{}", size.saturating_sub(1)))
}

fn out_of_order(call: &Call<'_>, id: &str, size: usize) -> Answer {
    progress(call, id, size, 416)
}

/// Checks that the client kept the query of the location.
fn check_query(call: &Call<'_>) -> Result<(), Failure> {
    let wanted = call.shared.options.location_query.as_deref().unwrap_or_default();
    let kept = |pair: &str| call.head.query.split('&').any(|given| given == pair);
    if wanted.split('&').all(|pair| pair.is_empty() || kept(pair)) {
        return Ok(());
    }
    Err(Answer::error(400, "BLOB_UPLOAD_INVALID", "the query of the location is missing").into())
}

fn unknown() -> Answer {
    Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
}

fn mismatch() -> Answer {
    Answer::error(400, "DIGEST_INVALID", "the bytes have another digest")
}
