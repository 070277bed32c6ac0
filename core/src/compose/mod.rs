//! From sources to a result: platforms joined and selected, layers and configuration put on top.

mod edits;
mod platforms;

pub use edits::{Edits, RunEdits};

use longshore_content::Work;
use longshore_oci::{Platform, Result};

use crate::image::take_apart_in_place;
use crate::result::{Image, ImageContent};

/// Makes one list of images of what the sources gave.
///
/// Images of sources that were prefixed with a platform become one image for all of them. Of each
/// image only `platforms` are kept, if any are named. `edits` go on top of every artifact; where an
/// existing image has several platforms and none is named, on that of this machine alone.
///
/// # Errors
/// A platform that does not exist or is given twice; edits that do not fit.
pub fn compose(
    sources: Vec<(Option<Platform>, Vec<Image>)>,
    platforms: &[Platform],
    edits: &Edits,
    work: &Work,
) -> Result<Vec<Image>> {
    let mut images = platforms::join(sources)?;
    for image in &mut images {
        let selected = platforms::select(image, platforms, !edits.layers.is_empty(), work);
        selected.map_err(|error| match image.names.first() {
            Some(name) => error.context(format!("cannot select platforms of {name}")),
            None => error,
        })?;
        if edits.is_empty() {
            continue;
        }
        take_apart_in_place(image, work)?;
        if let ImageContent::Built(built) = &mut image.content {
            for artifact in built.artifacts_mut() {
                edits.apply(artifact)?;
            }
        }
    }
    Ok(images)
}

/// Narrows an image to `platform`: an existing image to its manifest for it. A built image must be for it.
///
/// # Errors
/// [`NotFound`](longshore_oci::ErrorKind::NotFound) if the image has no such platform, with those that it has.
pub(crate) fn select_platform(image: &mut Image, platform: &Platform, work: &Work) -> Result<()> {
    platforms::select(image, std::slice::from_ref(platform), false, work)
}
