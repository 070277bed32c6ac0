//! The example of a build tool that embeds Longshore does what it says.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../examples/embed.rs"]
#[allow(dead_code)]
mod embed;

use longshore_testkit::validate;

#[test]
fn what_the_example_exports_is_valid() {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("hello.tar");
    let responses = embed::build_and_export(&dest).unwrap();
    let images = validate::layout_tar(&dest).unwrap().images;
    assert_eq!((images.len(), images[0].layers.len()), (1, 2));
    assert_eq!(
        (&images[0].root, &images[0].names),
        (&responses[0].images[0].root.digest, &responses[0].images[0].names)
    );
}
