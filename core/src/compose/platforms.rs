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
    let mut joined: IndexMap<Platform, Artifact> = IndexMap::new();
    let mut place = 0;
    for (platform, found) in sources {
        let Some(platform) = platform else {
            images.extend(found);
            continue;
        };
        for image in found {
            let ImageContent::Built(Built::Single(artifact)) = image.content else {
                let message = format!("the source for {platform} is an image that exists");
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .with_hint("only sources of one platform can be joined: select one platform"));
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
            let own = artifact.config.platform()?;
            wanted.iter().try_for_each(|wanted| best_platform(wanted, [&own].into_iter()).map(drop))
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
        let error = Error::new(ErrorKind::Unsupported, "several platforms of an image that exists cannot be selected");
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
