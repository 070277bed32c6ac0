//! Platforms of a result: joined from sources, and selected.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use longshore_content::Work;
use longshore_oci::{Descriptor, Error, ErrorKind, Platform, Result};

use crate::image::{Graph, best_platform};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// Makes one image of all that came from sources with a platform; it stands where the first one stood.
pub(super) fn join(sources: Vec<(Option<Platform>, Vec<Image>)>) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    let is_alone = sources.iter().filter(|(platform, _)| platform.is_some()).count() == 1;
    let mut joined: IndexMap<Platform, Artifact> = IndexMap::new();
    let mut place = 0;
    for (platform, found) in sources {
        let Some(platform) = platform else {
            images.extend(found);
            continue;
        };
        for image in found {
            let artifact = match image.content {
                ImageContent::Built(Built::Single(artifact)) => artifact,
                // Its source was narrowed to the platform, and there is nothing to join it with.
                ImageContent::Existing(_) if is_alone => {
                    images.push(image);
                    continue;
                }
                _ => {
                    let message = format!("cannot join the source for {platform}: it is an existing image");
                    return Err(Error::new(ErrorKind::Unsupported, message)
                        .with_hint("only directories and scratch can be joined to a multi-platform image"));
                }
            };
            if joined.is_empty() {
                place = images.len();
            }
            if joined.insert(platform.clone(), artifact).is_some() {
                return Err(Error::option(format!("two sources are for {platform}")));
            }
        }
    }
    let built = match (joined.len(), joined.pop()) {
        (1, Some((_, artifact))) => Built::Single(artifact),
        (_, Some((platform, artifact))) => {
            joined.insert(platform, artifact);
            Built::Platforms(joined)
        }
        (_, None) => return Ok(images),
    };
    images.insert(place, Image::new(ImageContent::Built(built)));
    Ok(images)
}

/// Keeps `wanted` platforms of an image; all, if none is wanted. With `one`, an existing image of
/// several platforms is narrowed to that of this machine.
pub(super) fn select(image: &mut Image, wanted: &[Platform], one: bool, work: &Work) -> Result<()> {
    match &mut image.content {
        ImageContent::Built(built) => select_built(built, wanted),
        ImageContent::Existing(existing) if wanted.is_empty() && one => {
            select_existing(existing, &[Platform::host()], work)
        }
        ImageContent::Existing(existing) => select_existing(existing, wanted, work),
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

fn select_existing(existing: &mut Existing, wanted: &[Platform], work: &Work) -> Result<()> {
    let [wanted] = wanted else {
        if wanted.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Unsupported, "cannot select several platforms of an existing image");
        return Err(error.with_hint("select one platform, or none to keep all"));
    };
    let chosen = Graph::of(existing, work).platform(wanted)?;
    if existing.root.media_type.is_index() {
        // What refers to the index does not refer to one manifest of it.
        existing.referrers.clear();
        existing.root = Descriptor { platform: None, ..chosen };
    }
    Ok(())
}
