//! The contract of image stores.

use std::sync::Arc;
use std::thread;

use longshore_core::ErrorKind;
use longshore_core::content::{BlobMeta, ImageStore, StoredImage};
use longshore_core::oci::{Descriptor, ImageName, MediaType};

/// Checks every line of the contract of [`ImageStore`] that [`content_store`](super::content_store)
/// does not. `make` is called for each case and gives a store that is empty.
///
/// # Panics
/// A case failed: the message names each that did.
pub fn image_store(make: &dyn Fn() -> Arc<dyn ImageStore>) {
    super::run("image store", IMAGE_CASES.iter().map(|(name, case)| (*name, || case(make().as_ref()))));
    let view = || make().lease_images().expect("lease");
    super::run("view of an image store", IMAGE_CASES.iter().map(|(name, case)| (*name, || case(view().as_ref()))));
}

/// A case of [`image_store`], which gets an empty store.
pub type ImageCheck = fn(&dyn ImageStore);

/// The cases of [`image_store`], by name.
pub const IMAGE_CASES: &[(&str, ImageCheck)] = &[
    ("a new store has no images", a_new_store_has_no_images),
    ("a name finds its image", a_name_finds_its_image),
    ("an image keeps what its descriptors say", an_image_keeps_what_its_descriptors_say),
    ("images are in the order of their names", images_are_in_the_order_of_their_names),
    ("a name moves and says from where", a_name_moves_and_says_from_where),
    ("a name without content is refused", a_name_without_content_is_refused),
    ("a name with another digest is refused", a_name_with_another_digest_is_refused),
    ("several names move at once or not at all", several_names_move_at_once_or_not_at_all),
    ("names are taken away at once or not at all", names_are_taken_away_at_once_or_not_at_all),
    ("many threads name images", many_threads_name_images),
];

fn name(text: &str) -> ImageName {
    text.parse().expect("a name")
}

fn stored(store: &dyn ImageStore, content: &str) -> StoredImage {
    StoredImage::new(put(store, content), Vec::new())
}

fn put(store: &dyn ImageStore, content: &str) -> Descriptor {
    let mut writer = store.ingest(None).expect("ingest");
    writer.write_all(content.as_bytes()).expect("write");
    writer.commit(BlobMeta::default()).expect("commit");
    Descriptor::of(MediaType::MANIFEST, content.as_bytes())
}

fn missing() -> StoredImage {
    StoredImage::new(Descriptor::of(MediaType::MANIFEST, b"never stored"), Vec::new())
}

fn names(store: &dyn ImageStore) -> Vec<String> {
    store.images().expect("images").into_iter().map(|(name, _)| name.to_string()).collect()
}

fn a_new_store_has_no_images(store: &dyn ImageStore) {
    assert_eq!(store.images().expect("images"), []);
    assert_eq!(store.image(&name("app:1")).expect("image"), None);
}

fn a_name_finds_its_image(store: &dyn ImageStore) {
    let image = stored(store, "one");
    assert_eq!(store.tag(&[(name("app:1"), image.clone())]).expect("tag"), [None]);
    assert_eq!(store.image(&name("docker.io/library/app:1")).expect("image"), Some(image.clone()));
    assert_eq!(store.image(&name("app:2")).expect("image"), None);
    assert_eq!(store.images().expect("images"), [(name("app:1"), image)]);
}

fn an_image_keeps_what_its_descriptors_say(store: &dyn ImageStore) {
    let mut root = put(store, "root").annotated("example", "a \u{1f980} <&>");
    root.unknown.insert("later".to_owned(), serde_json::json!({"b": 1, "a": [2]}));
    let referrers = vec![put(store, "signature"), put(store, "sbom")];
    let image = StoredImage::new(root, referrers);
    store.tag(&[(name("app:1"), image.clone())]).expect("tag");
    assert_eq!(store.image(&name("app:1")).expect("image"), Some(image));
}

fn images_are_in_the_order_of_their_names(store: &dyn ImageStore) {
    for text in ["b:2", "registry.example/a:1", "b:10", "a:1"] {
        store.tag(&[(name(text), stored(store, text))]).expect("tag");
    }
    let expected = ["docker.io/library/a:1", "docker.io/library/b:10", "docker.io/library/b:2", "registry.example/a:1"];
    assert_eq!(names(store), expected);
}

fn a_name_moves_and_says_from_where(store: &dyn ImageStore) {
    let (one, other) = (stored(store, "one"), stored(store, "other"));
    store.tag(&[(name("app:1"), one.clone())]).expect("tag");
    assert_eq!(store.tag(&[(name("app:1"), one.clone())]).expect("tag"), [Some(one.clone())], "to where it was");
    assert_eq!(store.tag(&[(name("app:1"), other.clone())]).expect("tag"), [Some(one)]);
    assert_eq!(store.image(&name("app:1")).expect("image"), Some(other));
}

fn a_name_without_content_is_refused(store: &dyn ImageStore) {
    let without_referrer = StoredImage::new(stored(store, "one").root, vec![missing().root]);
    for image in [missing(), without_referrer] {
        let error = store.tag(&[(name("app:1"), image)]).expect_err("tag");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(store.images().expect("images"), []);
    }
}

fn a_name_with_another_digest_is_refused(store: &dyn ImageStore) {
    let image = stored(store, "one");
    let own = format!("app@{}", image.root.digest);
    let other = format!("app@{}", missing().root.digest);
    store.tag(&[(name(&own), image.clone())]).expect("tag");
    let error = store.tag(&[(name(&other), image)]).expect_err("tag");
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    assert_eq!(names(store).len(), 1);
}

fn several_names_move_at_once_or_not_at_all(store: &dyn ImageStore) {
    let (one, other) = (stored(store, "one"), stored(store, "other"));
    store.tag(&[(name("app:1"), one.clone())]).expect("tag");
    let error = store.tag(&[(name("app:1"), other.clone()), (name("app:2"), missing())]).expect_err("tag");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(store.images().expect("images"), [(name("app:1"), one.clone())]);
    let before = store.tag(&[(name("app:2"), other.clone()), (name("app:1"), other.clone())]).expect("tag");
    assert_eq!(before, [None, Some(one)]);
    assert_eq!(store.images().expect("images"), [(name("app:1"), other.clone()), (name("app:2"), other)]);
}

fn names_are_taken_away_at_once_or_not_at_all(store: &dyn ImageStore) {
    let (one, other) = (stored(store, "one"), stored(store, "other"));
    store.tag(&[(name("app:1"), one.clone()), (name("app:2"), other.clone())]).expect("tag");
    let error = store.untag(&[name("app:1"), name("app:3")]).expect_err("untag");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.message().contains("app:3"), "the error names the image: {error}");
    assert_eq!(names(store).len(), 2);
    assert_eq!(store.untag(&[name("app:2"), name("app:1")]).expect("untag"), [other, one.clone()]);
    assert_eq!(store.images().expect("images"), []);
    assert!(store.info(&one.root.digest).expect("info").is_some(), "content stays until it is collected");
}

fn many_threads_name_images(store: &dyn ImageStore) {
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in 0..10 {
                    let image = stored(store, &format!("{thread} {number}"));
                    let names = [format!("own{thread}:{number}"), "shared:1".to_owned()];
                    store.tag(&names.map(|text| (name(&text), image.clone()))).expect("tag");
                }
            });
        }
    });
    assert_eq!(names(store).len(), 81);
    let shared = store.image(&name("shared:1")).expect("image").expect("the shared name");
    assert!(
        store
            .images()
            .expect("images")
            .iter()
            .any(|(name, image)| { name.repository() != "library/shared" && *image == shared })
    );
}
