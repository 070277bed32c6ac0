//! Lists of tags and of referrers, in pages.

use longshore_core::oci::{Digest, MediaType};
use serde_json::{Value, json};

use super::http::{Answer, Outcome};
use super::routes::Call;
use super::state::Manifest;

pub(super) fn tags(call: &Call<'_>) -> Outcome {
    let state = call.shared.state();
    let unknown = || Answer::error(404, "NAME_UNKNOWN", "there is no such repository");
    let repository = state.repositories.get(call.name).ok_or_else(unknown)?;
    let last = call.head.parameter("last").unwrap_or_default();
    let mut tags: Vec<&str> = repository.tags.keys().map(String::as_str).filter(|tag| *tag > last.as_str()).collect();
    let asked = call.head.parameter("n").and_then(|count| count.parse().ok());
    let page = call.shared.options.page_size.into_iter().chain(asked).min().unwrap_or(usize::MAX);
    let more = tags.len() > page;
    tags.truncate(page);
    let answer = Answer::new(200).json(&json!({ "name": call.name, "tags": tags }));
    Ok(match tags.last() {
        Some(last) if more => next(call, answer, &format!("/v2/{}/tags/list?n={page}&last={last}", call.name)),
        _ => answer,
    })
}

pub(super) fn referrers(call: &Call<'_>, subject: &Digest) -> Outcome {
    if call.shared.options.no_referrers {
        return Ok(Answer::error(404, "UNSUPPORTED", "there is no referrers api"));
    }
    let state = call.shared.state();
    let manifests = state.repositories.get(call.name).into_iter().flat_map(|repository| &repository.manifests);
    let mut all: Vec<Value> = manifests.filter_map(|(digest, manifest)| referrer(digest, manifest, subject)).collect();
    let wanted = call.head.parameter("artifactType");
    all.retain(|referrer| wanted.is_none() || wanted.as_deref() == referrer["artifactType"].as_str());

    let skip = call.head.parameter("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
    let page = call.shared.options.page_size.unwrap_or(usize::MAX);
    let rest = all.len().saturating_sub(skip);
    let listed: Vec<Value> = all.into_iter().skip(skip).take(page).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::INDEX, "manifests": listed });
    let mut answer = Answer::new(200).json(&index).replace_header("Content-Type", MediaType::INDEX);
    if wanted.is_some() {
        answer = answer.header("OCI-Filters-Applied", "artifactType");
    }
    if rest <= page {
        return Ok(answer);
    }
    let filters = call.head.query.split('&').filter(|pair| pair.starts_with("artifactType="));
    let query: Vec<String> = filters.map(str::to_owned).chain([format!("skip={}", skip + page)]).collect();
    Ok(next(call, answer, &format!("/v2/{}/referrers/{subject}?{}", call.name, query.join("&"))))
}

/// RFC 8288.
fn next(call: &Call<'_>, answer: Answer, target: &str) -> Answer {
    if call.shared.options.several_links {
        let first = format!("</v2/{}/first,page>; title=\"the first, not \\\"rel=next\\\"\"; rel=first", call.name);
        return answer.header("Link", format!("{first}, <{target}&a=1,2>;title=\"2, 3\"; REL=\"last next\"; n=2"));
    }
    answer.header("Link", format!("<{target}>; rel=\"next\""))
}

/// Returns the descriptor of a manifest, if it is about `subject` (distribution-spec, "Listing Referrers").
fn referrer(digest: &Digest, manifest: &Manifest, subject: &Digest) -> Option<Value> {
    let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    if document["subject"]["digest"].as_str() != Some(subject.to_string().as_str()) {
        return None;
    }
    let size = manifest.bytes.len();
    let mut descriptor = json!({ "mediaType": manifest.media_type, "digest": digest, "size": size });
    let kind = document["artifactType"].as_str().filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.or(document["config"]["mediaType"].as_str()) {
        descriptor["artifactType"] = kind.into();
    }
    if let Some(annotations) = document.get("annotations") {
        descriptor["annotations"] = annotations.clone();
    }
    Some(descriptor)
}
