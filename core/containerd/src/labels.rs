//! Labels of blobs: what containerd's collector and clients read, and what Longshore adds.

use std::collections::HashMap;

use longshore_content::{BlobMeta, Made, Origin};
use longshore_oci::Digest;

pub(crate) type Labels = HashMap<String, String>;

/// What a blob keeps: the collector follows every label whose key is this, or goes on after a dot or slash.
const REFERENCE: &str = "containerd.io/gc.ref.content";
/// The diffID of a layer.
pub(crate) const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// Before a registry: the repositories there that have the blob, with commas between them.
const SOURCE: &str = "containerd.io/distribution.source.";
/// Before an encoder: the newest time in the layer that it made.
const MADE: &str = "longshore/made.";
/// The value of a layer without files, where an empty one would remove the label.
const NO_FILES: &str = "none";
/// The largest label: the bytes of its key and value.
const LARGEST: usize = 4096;

/// Before a snapshotter: the snapshot that a blob keeps.
pub(crate) fn snapshot_reference(snapshotter: &str) -> String {
    format!("containerd.io/gc.ref.snapshot.{snapshotter}")
}

/// Returns what the labels of a blob say.
pub(crate) fn meta(labels: &Labels) -> BlobMeta {
    let mut references: Vec<(Place, Digest)> = Vec::new();
    let (mut made, mut origins) = (Vec::new(), Vec::new());
    for (key, value) in labels {
        if let Some(place) = key.strip_prefix(REFERENCE).and_then(place) {
            references.extend(value.parse().ok().map(|digest| (place, digest)));
        } else if let Some(registry) = key.strip_prefix(SOURCE) {
            origins.extend(
                value
                    .split(',')
                    .filter(|path| !path.is_empty())
                    .map(|repository| Origin { registry: registry.to_owned(), repository: repository.to_owned() }),
            );
        } else if let Some(encoder) = key.strip_prefix(MADE) {
            let newest = value.parse().ok();
            made.extend((newest.is_some() || value == NO_FILES).then(|| Made { encoder: encoder.to_owned(), newest }));
        }
    }
    references.sort();
    made.sort_by(|one: &Made, other| one.encoder.cmp(&other.encoder));
    // Repositories of one registry are in order already.
    origins.sort_by(|one: &Origin, other| one.registry.cmp(&other.registry));
    let mut unique = Vec::new();
    for (_, digest) in references {
        if !unique.contains(&digest) {
            unique.push(digest);
        }
    }
    let diff_id = labels.get(UNCOMPRESSED).and_then(|value| value.parse().ok());
    BlobMeta::default().with_references(unique).with_diff_id(diff_id).with_made(made).with_origins(origins)
}

/// Where a reference is in the order of a document: its number, and the rest of its key, as `l.2` or `0.3a1c`.
/// containerd numbers the layers of a manifest apart from the rest, and names its configuration.
type Place = (u64, String);

fn place(suffix: &str) -> Option<Place> {
    let rest = if suffix.is_empty() { "" } else { suffix.strip_prefix(['.', '/'])? };
    let number = rest.split(['.', '/']).find_map(|part| part.parse().ok());
    Some((number.map_or(0, |number: u64| number.saturating_add(1)), rest.to_owned()))
}

/// Returns the labels that `meta` adds to those that a blob has.
///
/// The key of a reference has the start of its digest, so that two writers who add one at a time both keep theirs.
pub(crate) fn added(meta: &BlobMeta, present: &Labels) -> Labels {
    let known = self::meta(present);
    let mut added = Labels::new();
    let new = meta.references.iter().filter(|digest| !known.references.contains(digest));
    for (number, digest) in (known.references.len()..).zip(new) {
        let start: String = digest.hex().chars().take(12).collect();
        added.insert(format!("{REFERENCE}.{number}.{start}"), digest.to_string());
    }
    if let Some(diff_id) = meta.diff_id.as_ref().filter(|diff_id| known.diff_id.as_ref() != Some(diff_id)) {
        added.insert(UNCOMPRESSED.to_owned(), diff_id.to_string());
    }
    for Made { encoder, newest } in meta.made.iter().filter(|made| !known.made.contains(made)) {
        added.insert(format!("{MADE}{encoder}"), newest.map_or_else(|| NO_FILES.to_owned(), |time| time.to_string()));
    }
    for origin in meta.origins.iter().filter(|origin| !known.origins.contains(origin)) {
        let key = format!("{SOURCE}{}", origin.registry);
        let listed = added.get(&key).or_else(|| present.get(&key)).cloned().unwrap_or_default();
        added.insert(key.clone(), with_repository(&listed, &origin.repository, LARGEST - key.len().min(LARGEST)));
    }
    added.retain(|key, value| !value.is_empty() && key.len() + value.len() <= LARGEST);
    added
}

/// Adds a repository to a list; the oldest are left out of one that is too long, as containerd does.
fn with_repository(listed: &str, repository: &str, room: usize) -> String {
    let mut all: Vec<&str> = listed.split(',').filter(|path| !path.is_empty()).chain([repository]).collect();
    while !all.is_empty() && all.iter().map(|path| path.len() + 1).sum::<usize>() > room + 1 {
        all.remove(0);
    }
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn labels_of_containerd_are_read_in_the_order_of_the_manifest() {
        let [config, a, b, last] = ["config", "a", "b", "last"].map(digest);
        let mut given = labels(&[("containerd.io/distribution.source.docker.io", "library/a,library/b")]);
        for (suffix, value) in [(".config", &config), (".l.0", &a), (".l.1", &b), (".l.10", &last), ("ish", &a)] {
            given.insert(format!("{REFERENCE}{suffix}"), value.to_string());
        }
        let meta = meta(&given);
        assert_eq!(meta.references, [config, a, b, last]);
        let origins: Vec<String> = meta.origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["docker.io/library/a", "docker.io/library/b"]);
    }

    #[test]
    fn what_is_said_is_read_back() {
        let made = [("gzip 6", Some(-7)), ("zstd 3", None)];
        let made = made.map(|(encoder, newest)| Made { encoder: encoder.to_owned(), newest });
        let origins = ["a", "b"].map(|path| Origin { registry: "r.example:5000".into(), repository: path.into() });
        let said = BlobMeta::default()
            .with_references((0..12).map(|number| digest(&number.to_string())).collect())
            .with_diff_id(Some(digest("diff")))
            .with_made(made.to_vec())
            .with_origins(origins.to_vec());
        let written = added(&said, &Labels::new());
        assert_eq!(meta(&written), said);
        assert_eq!(added(&said, &written), Labels::new(), "nothing is new");
    }

    /// Each reads what was there before the other wrote.
    #[test]
    fn references_of_two_writers_do_not_meet() {
        let said = |text: &str| added(&BlobMeta::default().with_references(vec![digest(text)]), &Labels::new());
        let mut both = said("one");
        both.extend(said("other"));
        assert_eq!(meta(&both).references.len(), 2);
    }

    #[test]
    fn labels_are_never_too_large() {
        let mut present = Labels::new();
        for number in 0..100 {
            let repository = format!("{}{number}", "path/".repeat(20));
            let origin = Origin { registry: "r".to_owned(), repository };
            let new = added(&BlobMeta::default().with_origins(vec![origin.clone()]), &present);
            assert!(new.iter().all(|(key, value)| key.len() + value.len() <= LARGEST));
            present.extend(new);
            assert_eq!(meta(&present).origins.last(), Some(&origin), "the newest stays");
        }
        let encoder = "e".repeat(LARGEST);
        let made = BlobMeta::default().with_made(vec![Made { encoder, newest: None }]);
        assert_eq!(added(&made, &Labels::new()), Labels::new());
    }
}
