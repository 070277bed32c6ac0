//! Platforms of a result: joined from sources, and selected.

use indexmap::IndexMap;
use longshore_content::read;
use longshore_oci::{
    CONFIG_LIMIT, Descriptor, Error, ErrorKind, ImageConfig, MANIFEST_LIMIT, Platform, Result, parse_index,
    parse_manifest,
};

use super::platform_missing;
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
                    .with_hint("only sources of one platform can be joined; select with --platform"));
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
pub(super) fn select(image: &mut Image, wanted: &[Platform], one: bool) -> Result<()> {
    match &mut image.content {
        ImageContent::Built(built) => select_built(built, wanted),
        ImageContent::Existing(existing) if wanted.is_empty() && one => select_existing(existing, &[Platform::host()]),
        ImageContent::Existing(existing) => select_existing(existing, wanted),
    }
}

fn select_built(built: &mut Built, wanted: &[Platform]) -> Result<()> {
    let names = |platforms: &[Platform]| platforms.iter().map(ToString::to_string).collect::<Vec<_>>();
    match built {
        Built::Single(artifact) => {
            let own = artifact.config.platform()?;
            match wanted.iter().find(|wanted| !own.matches(wanted)) {
                Some(missing) => Err(platform_missing(missing, &names(&[own]))),
                None => Ok(()),
            }
        }
        Built::Platforms(platforms) => {
            let present: Vec<Platform> = platforms.keys().cloned().collect();
            if let Some(missing) = wanted.iter().find(|wanted| !present.iter().any(|own| own.matches(wanted))) {
                return Err(platform_missing(missing, &names(&present)));
            }
            platforms.retain(|own, _| wanted.is_empty() || wanted.iter().any(|wanted| own.matches(wanted)));
            if let (1, [_]) = (platforms.len(), wanted)
                && let Some((_, artifact)) = platforms.pop()
            {
                *built = Built::Single(artifact);
            }
            Ok(())
        }
    }
}

fn select_existing(existing: &mut Existing, wanted: &[Platform]) -> Result<()> {
    let root = &existing.root;
    let provider = existing.provider.as_ref();
    let [wanted] = wanted else {
        if wanted.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Unsupported, "several platforms of an image that exists cannot be selected");
        return Err(error.with_hint("select one, or all by leaving out --platform"));
    };
    if root.media_type.is_index() {
        let index = parse_index(root, &read(provider, root, MANIFEST_LIMIT)?)?;
        let matches = |child: &&Descriptor| child.platform.as_ref().is_some_and(|own| own.matches(wanted));
        let present = index.manifests.iter().filter_map(|child| child.platform.as_ref()).map(ToString::to_string);
        let child = index.manifests.iter().find(matches);
        let child = child.ok_or_else(|| platform_missing(wanted, &present.collect::<Vec<_>>()))?;
        // What refers to the index does not refer to one manifest of it.
        existing.referrers.clear();
        existing.root = Descriptor { platform: None, ..child.clone() };
        return Ok(());
    }
    let manifest = parse_manifest(root, &read(provider, root, MANIFEST_LIMIT)?)?;
    let own = ImageConfig::parse(&read(provider, &manifest.config, CONFIG_LIMIT)?)?.platform()?;
    if own.matches(wanted) { Ok(()) } else { Err(platform_missing(wanted, &[own.to_string()])) }
}
