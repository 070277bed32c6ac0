//! Manifests.

use longshore_core::oci::Digest;
use serde_json::Value;

use super::blobs::is_digest_of;
use super::body::Body;
use super::http::{Answer, Failure, Outcome};
use super::routes::Call;
use super::state::{Manifest, Repository};

pub(super) fn get(call: &Call<'_>, reference: &str) -> Outcome {
    let found = call.shared.state().manifest(call.name, reference);
    let (digest, manifest) = found.ok_or_else(unknown)?;
    let answer = Answer::new(200).header("Content-Type", manifest.media_type).body(manifest.bytes);
    Ok(answer.header("Docker-Content-Digest", digest))
}

pub(super) fn put(call: &Call<'_>, reference: &str, body: &mut Body<'_>) -> Outcome {
    let options = &call.shared.options;
    let bytes = body.read_to_end()?;
    let tag = (!reference.contains(':')).then_some(reference);
    let digest = match tag {
        Some(tag) if !is_tag(tag) => return Err(invalid("invalid tag").into()),
        Some(_) => Digest::of(&bytes),
        None => super::routes::parse(reference)?,
    };
    if !is_digest_of(&digest, &bytes) {
        return Err(Answer::error(400, "DIGEST_INVALID", "the bytes have another digest").into());
    }
    let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let media_type = call.head.header("content-type").or(document["mediaType"].as_str());
    let media_type = media_type.ok_or_else(|| invalid("there is no media type"))?.to_owned();

    let mut state = call.shared.state();
    let repository = state.repository(call.name);
    if !options.unchecked_manifests {
        check(repository, &media_type, &document)?;
    }
    if let Some(old) = tag.and_then(|tag| repository.tags.get(tag)).filter(|_| options.immutable_tags) {
        let status = if *old == digest { 400 } else { 409 };
        return Err(Answer::error(status, "DENIED", "the tag exists and cannot be changed").into());
    }
    store(repository, tag, &digest, Manifest { media_type, bytes: bytes.into() });
    let location = format!("/v2/{}/manifests/{reference}", call.name);
    let answer = Answer::new(201).header("Location", location).header("Docker-Content-Digest", digest);
    Ok(match document["subject"]["digest"].as_str() {
        Some(subject) if !options.no_referrers => answer.header("OCI-Subject", subject),
        _ => answer,
    })
}

pub(super) fn delete(call: &Call<'_>, reference: &str) -> Outcome {
    let mut state = call.shared.state();
    let repository = state.repository(call.name);
    let removed = match reference.parse::<Digest>() {
        Ok(digest) => {
            repository.tags.retain(|_, named| *named != digest);
            repository.manifests.remove(&digest).is_some()
        }
        Err(_) => repository.tags.remove(reference).is_some(),
    };
    Ok(if removed { Answer::new(202) } else { unknown() })
}

/// Stores a manifest, and tags it.
pub(super) fn store(repository: &mut Repository, tag: Option<&str>, digest: &Digest, manifest: Manifest) {
    repository.manifests.insert(digest.clone(), manifest);
    if let Some(tag) = tag {
        repository.tags.insert(tag.to_owned(), digest.clone());
    }
}

/// Checks that the repository has everything that a manifest or an index refers to, except its subject.
fn check(repository: &Repository, media_type: &str, document: &Value) -> Result<(), Failure> {
    if !document.is_object() {
        return Err(invalid("the manifest is not a json object").into());
    }
    if document["mediaType"].as_str().is_some_and(|inner| inner != media_type) {
        return Err(invalid("the media type differs from that of the request").into());
    }
    let list = |key: &str| document[key].as_array().into_iter().flatten();
    let config = document.get("config").into_iter();
    // Layers with URLs are elsewhere (image-spec, descriptor.md).
    let is_here = |layer: &&Value| layer["urls"].as_array().is_none_or(Vec::is_empty);
    let blobs = config.chain(list("layers").filter(is_here));
    for blob in blobs {
        let digest = super::routes::parse(blob["digest"].as_str().unwrap_or_default())?;
        let found = repository.blobs.get(&digest).ok_or_else(|| missing(&digest))?;
        if blob["size"].as_u64() != Some(found.len() as u64) {
            return Err(invalid(&format!("blob {digest} has another size")).into());
        }
    }
    for manifest in list("manifests") {
        let digest = super::routes::parse(manifest["digest"].as_str().unwrap_or_default())?;
        if !repository.manifests.contains_key(&digest) {
            return Err(missing(&digest).into());
        }
    }
    Ok(())
}

/// distribution-spec, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(tag: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    matches!(tag.len(), 1..=128) && !tag.starts_with(['.', '-']) && tag.bytes().all(known)
}

fn missing(digest: &Digest) -> Answer {
    Answer::error(400, "MANIFEST_BLOB_UNKNOWN", &format!("{digest} is not in the repository"))
}

fn invalid(message: &str) -> Answer {
    Answer::error(400, "MANIFEST_INVALID", message)
}

fn unknown() -> Answer {
    Answer::error(404, "MANIFEST_UNKNOWN", "there is no such manifest")
}
