//! Referrers of the parts of an image that are kept.

use std::collections::{HashMap, VecDeque};

use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Digest, Result};

use crate::image::Graph;
use crate::result::Existing;

/// Returns the referrers of an image whose subject is in `kept`, or is such a referrer, each after its subject. Warns
/// of any left out.
///
/// # Errors
/// Referrers that are missing or do not match their descriptors.
pub(super) fn referrers_of(
    kept: Vec<Digest>,
    existing: &Existing,
    graph: &Graph<'_>,
    work: &Work,
) -> Result<Vec<Descriptor>> {
    let mut by_subject: HashMap<Digest, Vec<&Descriptor>> = HashMap::new();
    for referrer in &existing.referrers {
        let subject = subject(referrer, graph).attempt(|| format!("cannot read referrer {}", referrer.digest))?;
        if let Some(subject) = subject {
            by_subject.entry(subject).or_default().push(referrer);
        }
    }
    let mut found: Vec<Descriptor> = Vec::new();
    let mut subjects = VecDeque::from(kept);
    while let Some(subject) = subjects.pop_front() {
        for referrer in by_subject.remove(&subject).into_iter().flatten() {
            subjects.push_back(referrer.digest.clone());
            found.push(referrer.clone());
        }
    }
    let left_out = existing.referrers.len() - found.len();
    if left_out > 0 {
        let root = &existing.root.digest;
        work.progress.warn(format!("{root}: {left_out} of its referrers are left out, as their subjects are"));
    }
    Ok(found)
}

fn subject(referrer: &Descriptor, graph: &Graph<'_>) -> Result<Option<Digest>> {
    let subject = match &referrer.media_type {
        media_type if media_type.is_index() => graph.index(referrer)?.subject.clone(),
        media_type if media_type.is_manifest() => graph.entry(referrer)?.manifest.subject.clone(),
        _ => None,
    };
    Ok(subject.map(|subject| subject.digest))
}
