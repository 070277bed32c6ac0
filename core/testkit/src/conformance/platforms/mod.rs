//! The choice of an image for a platform in an index: a table that every caller of the picker runs.

mod index;
mod table;

use longshore_core::content::Work;
use longshore_core::oci::Digest;
use longshore_core::{ErrorKind, Existing, Result};

use crate::Warnings;
use crate::causes::full;
use index::{Node, build};
pub use table::PLATFORM_CASES;

/// Chooses the image for a platform, such as `linux/arm/v6`, and returns the digest of its configuration. Warnings go
/// to the work that is given.
pub type PickPlatform<'p> = &'p dyn Fn(&Existing, &str, &Work) -> Result<Digest>;

/// A case of [`platform_picker`].
#[derive(Debug, Clone, Copy)]
pub struct PlatformCase {
    name: &'static str,
    wanted: &'static str,
    expected: Expected,
    index: &'static [Node],
}

/// What a case expects, by the names of images.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// This image, without a warning about platforms.
    Chosen(&'static str),
    /// This image, the first of several, with a warning.
    First(&'static str),
    /// No image, with this hint.
    Refused(&'static str),
}

/// Checks that `pick` chooses as [`Graph::platform`](longshore_core::image::Graph::platform) does, in every case of
/// [`PLATFORM_CASES`].
///
/// # Panics
/// A case failed: the message names each that did.
pub fn platform_picker(pick: PickPlatform<'_>) {
    super::run("platform picker", PLATFORM_CASES.iter().map(|case| (case.name, || check(case, pick))));
}

fn check(case: &PlatformCase, pick: PickPlatform<'_>) {
    let (image, configs) = build(case.index);
    let (work, warnings) = Warnings::listen();
    let picked = pick(&image, case.wanted, &work);
    let warnings = warnings.messages();
    let warned: Vec<&String> = warnings.iter().filter(|warning| warning.contains("using the first")).collect();
    let name = |digest: &Digest| configs.iter().find(|(_, known)| known == digest).map(|(name, _)| *name);
    match (case.expected, picked) {
        (Expected::Chosen(expected), Ok(digest)) => {
            assert_eq!((name(&digest), &warned[..]), (Some(expected), &[][..]));
        }
        (Expected::First(expected), Ok(digest)) => {
            assert_eq!(name(&digest), Some(expected));
            let root = image.root.digest.to_string();
            assert!(warned.iter().any(|warning| warning.starts_with(&root)), "no warning: {warnings:?}");
        }
        (Expected::Refused(hint), Err(error)) => {
            let message = format!("no image for platform {}", case.wanted);
            assert_eq!((error.kind(), error.hint()), (ErrorKind::NotFound, Some(hint)));
            assert!(full(&error).ends_with(&message), "{}", full(&error));
        }
        (expected, Ok(digest)) => panic!("expected {expected:?}, chosen is {:?}", name(&digest)),
        (expected, Err(error)) => panic!("expected {expected:?}: {}", full(&error)),
    }
}
