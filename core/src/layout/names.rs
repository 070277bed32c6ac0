//! The index of a layout: the names of its images.

use indexmap::IndexMap;
use longshore_content::Progress;
use longshore_oci::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Digest, ImageName, Index};

use crate::image::NamedImage;

/// Annotation of a referrer in `index.json`: its subject, a convention of containerd.
const ANNOTATION_SUBJECT: &str = "io.containerd.manifest.subject";

/// Returns the entries of images in `index.json`.
///
/// Each image has one entry per name and per tag without a name, or one with `default_tag` if it has neither, followed
/// by its referrers. A tag that one of its names has needs no entry of its own.
pub fn entries(images: &[NamedImage<'_>], default_tag: Option<&str>) -> Vec<Descriptor> {
    images.iter().flat_map(|named| entries_of(named, default_tag)).collect()
}

fn entries_of(NamedImage { image, names, tags }: &NamedImage<'_>, default_tag: Option<&str>) -> Vec<Descriptor> {
    let root = &image.root;
    let named = names.iter().map(|name| {
        root.clone().annotated(ANNOTATION_IMAGE_NAME, name.to_string()).annotated(ANNOTATION_REF_NAME, name.ref_name())
    });
    let bare = tags.iter().filter(|tag| !names.iter().any(|name| name.ref_name() == **tag));
    let bare = bare.map(|tag| root.clone().annotated(ANNOTATION_REF_NAME, tag));
    let mut entries: Vec<Descriptor> = named.chain(bare).collect();
    if entries.is_empty() {
        let tag = default_tag.map(|tag| (ANNOTATION_REF_NAME.to_owned(), tag.to_owned()));
        let mut entry = root.clone();
        entry.annotations.extend(tag);
        entries.push(entry);
    }
    let referrer = |referrer: &Descriptor| referrer.clone().annotated(ANNOTATION_SUBJECT, root.digest.to_string());
    entries.extend(image.referrers.iter().map(referrer));
    entries
}

/// An image as the index of a layout lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// Its root, without what only its place in the index says.
    pub root: Descriptor,
    /// Full names, as written there.
    pub names: Vec<String>,
    /// Tags without a name.
    pub tags: Vec<String>,
    /// Manifests about it that the index lists too.
    pub referrers: Vec<Descriptor>,
}

/// Returns the images of an index, or those with an entry that is `wanted`, in order. An image with several
/// entries is one image. Entries of unknown media type are no images (image-spec, image-layout.md, "index.json file").
pub fn listed(index: &Index, wanted: impl Fn(&Descriptor) -> bool) -> Vec<ListedImage> {
    let subject = |entry: &Descriptor| entry.annotations.get(ANNOTATION_SUBJECT).cloned();
    let mut images: IndexMap<&Digest, ListedImage> = IndexMap::new();
    let is_image = |entry: &&Descriptor| subject(entry).is_none() && is_document(entry) && wanted(entry);
    for entry in index.manifests.iter().filter(is_image) {
        let image = images.entry(&entry.digest).or_insert_with(|| ListedImage {
            root: unnamed(entry),
            names: Vec::new(),
            tags: Vec::new(),
            referrers: Vec::new(),
        });
        match name_or_tag(entry) {
            (Some(name), _) => image.names.push(name),
            (None, Some(tag)) if !image.tags.contains(&tag) => image.tags.push(tag),
            (None, _) => {}
        }
    }
    for (digest, image) in &mut images {
        let is_about = |entry: &&Descriptor| subject(entry).is_some_and(|subject| subject == digest.to_string());
        image.referrers = index.manifests.iter().filter(is_about).map(unnamed).collect();
    }
    images.into_values().collect()
}

/// Warns about the entries of an index that are no images.
pub fn say_no_images(index: &Index, progress: &Progress) {
    let others: Vec<&Descriptor> = index.manifests.iter().filter(|entry| !is_document(entry)).collect();
    let mut types: Vec<&str> = others.iter().map(|entry| entry.media_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    let types =
        types.iter().map(|media_type| format!("`{}`", media_type.escape_debug())).collect::<Vec<_>>().join(", ");
    match &others[..] {
        [] => {}
        [other] => progress.warn(format!("left out {}: {types} is no image", other.digest)),
        others => progress.warn(format!("left out {} entries of the layout that are no images: {types}", others.len())),
    }
}

/// Returns whether an entry has the media type of a manifest or an index.
pub(super) fn is_document(entry: &Descriptor) -> bool {
    entry.media_type.is_manifest() || entry.media_type.is_index()
}

/// Returns the valid names among `texts`, each once. Invalid ones are skipped with a warning.
pub fn valid_names(texts: &[String], progress: &Progress) -> Vec<ImageName> {
    let mut names: Vec<ImageName> = Vec::new();
    for text in texts {
        match text.parse::<ImageName>() {
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(error) => progress.warn(format!("left out a name of the source: {}", error.message())),
        }
    }
    names
}

/// Returns the name of an entry: a full name, or only a tag.
fn name_or_tag(entry: &Descriptor) -> (Option<String>, Option<String>) {
    let annotation = |key| entry.annotations.get(key).filter(|value| !value.is_empty()).cloned();
    let (name, reference) = (annotation(ANNOTATION_IMAGE_NAME), annotation(ANNOTATION_REF_NAME));
    // As in containerd: a reference with one of these is not a tag.
    let is_full = |reference: &String| reference.contains(['/', ':', '@']);
    let tag = reference.clone().filter(|reference| !is_full(reference));
    // umoci copies an entry under another tag, but keeps the name of the original.
    let is_stale = |name: &String| {
        let named = name.parse::<ImageName>().ok();
        tag.is_some() && named.is_some_and(|named| named.digest().is_none() && named.tag() != tag.as_deref())
    };
    (name.filter(|name| !is_stale(name)).or_else(|| reference.filter(is_full)), tag)
}

/// Returns an entry without the annotations that belong to its place in the index.
fn unnamed(entry: &Descriptor) -> Descriptor {
    let mut entry = entry.clone();
    for key in [ANNOTATION_REF_NAME, ANNOTATION_IMAGE_NAME, ANNOTATION_SUBJECT] {
        entry.annotations.remove(key);
    }
    entry
}

/// Puts `new` entries in place of those that have the same tag and name; all others stay.
pub fn merge(present: &mut Vec<Descriptor>, new: Vec<Descriptor>) {
    fn identity(entry: &Descriptor) -> [Option<&String>; 3] {
        let annotation = |key: &str| entry.annotations.get(key);
        [annotation(ANNOTATION_REF_NAME), annotation(ANNOTATION_IMAGE_NAME), annotation(ANNOTATION_SUBJECT)]
    }
    for entry in new {
        present.retain(|old| {
            let same_image = old.digest == entry.digest;
            let named = identity(&entry)[..2] != [None, None];
            // Two referrers of one manifest differ only in their digests.
            identity(old) != identity(&entry) || !(named || same_image)
        });
        present.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_oci::MediaType;

    fn entry(content: &str, tag: Option<&str>, name: Option<&str>) -> Descriptor {
        let mut entry = Descriptor::of(MediaType::MANIFEST, content.as_bytes());
        for (key, value) in [(ANNOTATION_REF_NAME, tag), (ANNOTATION_IMAGE_NAME, name)] {
            entry.annotations.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        }
        entry
    }

    #[test]
    fn entries_are_listed_by_name_or_by_tag() {
        let full = "example.com/app:v1";
        for (tag, name, expected) in [
            (Some("v1"), Some(full), (&[full][..], &[][..])),
            (None, Some(full), (&[full], &[])),
            (Some(full), None, (&[full], &[])),
            (Some("v1"), None, (&[], &["v1"])),
            (Some("copy"), Some(full), (&[], &["copy"])),
            (None, None, (&[], &[])),
        ] {
            let images = listed(&Index::new(vec![entry("1", tag, name)]), |_| true);
            let found = [&images[0].names, &images[0].tags].map(|list| list.join(","));
            assert_eq!(found, [expected.0.join(","), expected.1.join(",")], "{tag:?} {name:?}");
        }
    }

    /// The whole layout was refused. Some tools list other documents beside the images.
    #[test]
    fn entries_of_unknown_media_type_are_no_images() {
        let of_type = |media_type: &str| Descriptor {
            media_type: MediaType::from(media_type.to_owned()),
            ..entry(media_type, Some("v1"), Some("example.com/app:v1"))
        };
        let image = entry("1", Some("v1"), Some("example.com/app:v1"));
        for others in [&["text/plain"][..], &["application/vnd.cyclonedx+json", "", "text/plain"]] {
            let mut entries: Vec<Descriptor> = others.iter().map(|other| of_type(other)).collect();
            assert_eq!(listed(&Index::new(entries.clone()), |_| true), []);
            entries.insert(1, image.clone());
            let images = listed(&Index::new(entries), |_| true);
            assert_eq!(images.iter().map(|image| &image.root.digest).collect::<Vec<_>>(), [&image.digest]);
        }
    }

    #[test]
    fn the_pair_of_tag_and_name_is_the_identity() {
        let mut present = vec![
            entry("1", Some("v1"), Some("x/a:v1")),
            entry("2", Some("v1"), Some("x/b:v1")),
            entry("3", Some("v1"), None),
            entry("4", None, None),
        ];
        merge(&mut present, vec![entry("5", Some("v1"), Some("x/b:v1")), entry("6", Some("v1"), None)]);
        let digests: Vec<_> = present.iter().map(|entry| entry.digest.clone()).collect();
        let expected = ["1", "4", "5", "6"].map(|content| entry(content, None, None).digest);
        assert_eq!(digests, expected);
    }
}
