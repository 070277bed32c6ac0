//! Platforms of a result: gathered from sources, and selected.

use std::collections::BTreeSet;
use std::ops::Range;

use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Error, Platform, Result};

use super::joined::{Part, join};
use super::{SourceImages, selection};
use crate::image::{Graph, best_platform};
use crate::result::{Built, Existing, Image, ImageContent};

/// The images of all sources.
pub(super) struct Gathered {
    pub(super) images: Vec<Image>,
    /// Which of them have platforms that their sources name.
    pub(super) named: Range<usize>,
}

/// Returns the images of all sources. Sources with a platform become one image, in the place of the first of them; a
/// single source with a platform is narrowed to it.
pub(super) fn gather(sources: Vec<SourceImages>, work: &Work) -> Result<Gathered> {
    let is_alone = sources.iter().filter(|source| source.platform.is_some()).count() == 1;
    let (mut images, mut parts, mut named) = (Vec::new(), Vec::new(), 0..0);
    for SourceImages { source, platform, images: mut found } in sources {
        let Some(platform) = platform else {
            images.append(&mut found);
            continue;
        };
        if is_alone {
            found.iter_mut().try_for_each(|image| select(image, std::slice::from_ref(&platform), false, work))?;
            named = images.len()..images.len() + found.len();
            images.append(&mut found);
            continue;
        }
        if parts.is_empty() {
            named = images.len()..images.len() + 1;
        }
        parts.push(part(source, platform, found)?);
    }
    if !parts.is_empty() {
        images.insert(named.start, Image::new(join(parts, work)?));
    }
    Ok(Gathered { images, named })
}

/// Returns the image of a source that is joined with others.
fn part(source: String, platform: Platform, found: Vec<Image>) -> Result<Part> {
    let [mut image] = <[Image; 1]>::try_from(found).map_err(|found| {
        let error = Error::option(format!("cannot join {source}: it has {} images", found.len()));
        error.with_hint("select one of them, by tag, name or digest")
    })?;
    if let ImageContent::Built(built) = &mut image.content {
        select_built(built, std::slice::from_ref(&platform)).attempt(|| format!("cannot join {source}"))?;
    }
    Ok(Part { source, platform, content: image.content })
}

/// Keeps the `wanted` platforms of an image; all of them if none is given. With `one`, an existing image with
/// several platforms is narrowed to that of this machine.
pub(super) fn select(image: &mut Image, wanted: &[Platform], one: bool, work: &Work) -> Result<()> {
    match &mut image.content {
        ImageContent::Built(built) => select_built(built, wanted),
        ImageContent::Existing(existing) => match wanted {
            [] if one => narrow(existing, &Platform::host(), work),
            [] => Ok(()),
            [wanted] => narrow(existing, wanted, work),
            several => selection::select(existing, several, work),
        },
    }
}

fn select_built(built: &mut Built, wanted: &[Platform]) -> Result<()> {
    match built {
        Built::Single(artifact) => {
            let own = artifact.effective_config().platform()?;
            let is_for = |wanted: &Platform| best_platform(wanted, [&own].into_iter()).map(drop);
            wanted.iter().try_for_each(|wanted| {
                is_for(wanted).map_err(|error| {
                    error.with_hint(format!(
                        "it is built for {own}; to build for another platform write {wanted}=SOURCE"
                    ))
                })
            })
        }
        Built::Platforms(platforms) => {
            if wanted.is_empty() {
                return Ok(());
            }
            let chosen = wanted.iter().map(|wanted| best_platform(wanted, platforms.keys()));
            let chosen = chosen.collect::<Result<BTreeSet<usize>>>()?;
            let mut place = 0..;
            platforms.retain(|_, _| place.next().is_some_and(|place| chosen.contains(&place)));
            if let (1, [_]) = (platforms.len(), wanted)
                && let Some((_, artifact)) = platforms.pop()
            {
                *built = Built::Single(artifact);
            }
            Ok(())
        }
    }
}

/// Narrows an image to its manifest for one platform.
fn narrow(existing: &mut Existing, wanted: &Platform, work: &Work) -> Result<()> {
    let chosen = Graph::of(existing, work).platform(wanted)?;
    if existing.root.media_type.is_index() {
        // Referrers of the index are not referrers of one manifest in it.
        existing.referrers.clear();
        existing.root = Descriptor { platform: None, ..chosen };
    }
    Ok(())
}
