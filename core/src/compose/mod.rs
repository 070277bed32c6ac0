//! From sources to a result: platforms joined and selected, then layers and configuration added on top.

mod edits;
mod joined;
mod platforms;
mod rebase;
mod referrers;
mod routes;
mod selection;

pub use edits::{Edits, RunEdits};
pub use rebase::rebase;

use indexmap::IndexSet;
use longshore_content::Work;
use longshore_oci::{Platform, Result};

use crate::image::take_apart_in_place;
use crate::result::{Image, ImageContent};
use platforms::Gathered;

/// The images of one source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceImages {
    /// The source as its user wrote it, for messages.
    pub source: String,
    /// The platform that it was prefixed with.
    pub platform: Option<Platform>,
    /// What its frontend built, with all platforms
    /// ([`FrontendRegistry::resolve_whole`](crate::FrontendRegistry::resolve_whole)).
    pub images: Vec<Image>,
}

impl SourceImages {
    /// Creates the images of a source without a platform.
    pub fn new(source: impl Into<String>, images: Vec<Image>) -> Self {
        Self { source: source.into(), platform: None, images }
    }

    /// Sets the platform that the source was prefixed with.
    #[must_use]
    pub fn with_platform(self, platform: Option<Platform>) -> Self {
        Self { platform, ..self }
    }
}

/// Makes one list of images of what the sources gave.
///
/// Images of sources that were prefixed with a platform become one image for all of them: existing ones in a new index,
/// unchanged and with their attestations, unless some are built. Of each image only `platforms` are kept, if any are
/// named; one of them is a manifest, several are an index. `edits` go on top of every artifact; where an existing image
/// has several platforms and none is named, on that of this machine alone.
///
/// # Errors
/// A platform that does not exist or is given twice; edits that do not fit.
pub fn compose(sources: Vec<SourceImages>, platforms: &[Platform], edits: &Edits, work: &Work) -> Result<Vec<Image>> {
    let distinct: IndexSet<Platform> = platforms.iter().cloned().collect();
    let platforms: Vec<Platform> = distinct.into_iter().collect();
    let Gathered { mut images, named } = platforms::gather(sources, work)?;
    for (place, image) in images.iter_mut().enumerate() {
        let one = !edits.layers.is_empty() && !named.contains(&place);
        let selected = platforms::select(image, &platforms, one, work);
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
/// [`NotFound`](longshore_oci::ErrorKind::NotFound) if the image lacks the platform, listing those it has.
pub(crate) fn select_platform(image: &mut Image, platform: &Platform, work: &Work) -> Result<()> {
    platforms::select(image, std::slice::from_ref(platform), false, work)
}
