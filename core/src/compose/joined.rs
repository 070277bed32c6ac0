//! Several sources as platforms of one image.

use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::Work;
use longshore_oci::{Context, Descriptor, Error, ErrorKind, Index, MediaType, Platform, Result, json};

use super::referrers::referrers_of;
use super::routes::Routes;
use crate::image::{Graph, artifact_for};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// An image that becomes one platform of another.
pub(super) struct Part {
    /// Its source, for messages.
    pub(super) source: String,
    /// The platform prefix of its source.
    pub(super) platform: Platform,
    pub(super) content: ImageContent,
}

/// Joins all parts into one image, in order.
///
/// Existing images are joined by a new index of their manifests, then their attestations, in `BuildKit`'s order;
/// nothing below it changes. If some parts are built, existing images are taken apart.
///
/// # Errors
/// Two parts for one platform; an existing image without its platform, or with a configuration for another one.
pub(super) fn join(parts: Vec<Part>, work: &Work) -> Result<ImageContent> {
    match parts.iter().all(|part| matches!(part.content, ImageContent::Existing(_))) {
        true => existing(parts, work).map(ImageContent::Existing),
        false => built(parts, work).map(ImageContent::Built),
    }
}

fn existing(parts: Vec<Part>, work: &Work) -> Result<Existing> {
    let mut routes = Routes::default();
    let mut places = Places::default();
    let (mut images, mut attestations, mut referrers) = (Vec::new(), Vec::new(), Vec::new());
    for Part { source, platform, content } in parts {
        let ImageContent::Existing(existing) = content else { continue };
        let member = Member::of(&existing, &platform, work).attempt(|| format!("cannot join {source}"))?;
        places.take(member.image.platform.as_ref().unwrap_or(&platform), source)?;
        let about = [&member.attestations[..], &member.referrers[..]].concat();
        let found = Existing::new(member.image.clone(), existing.provider.clone()).with_referrers(about);
        for blob in Graph::of(&found, work).walk()?.blobs {
            routes.add(blob.descriptor.digest, &existing.provider);
        }
        images.push(member.image);
        extend(&mut attestations, member.attestations);
        extend(&mut referrers, member.referrers);
    }
    images.extend(attestations);
    // The same choice as in `docker buildx imagetools create`. Docker's lists have no annotations.
    let fits_a_list =
        |listed: &Descriptor| listed.media_type == MediaType::DOCKER_MANIFEST && listed.annotations.is_empty();
    let is_docker = images.iter().all(fits_a_list);
    let media_type = if is_docker { MediaType::DOCKER_LIST } else { MediaType::INDEX };
    let index = Index { media_type: Some(media_type.clone()), ..Index::new(images) };
    let root = routes.put(media_type, &json::indented(&index)?);
    Ok(Existing::new(root, Arc::new(routes)).with_referrers(referrers))
}

/// Adds descriptors that are not in the list yet.
fn extend(all: &mut Vec<Descriptor>, new: Vec<Descriptor>) {
    for descriptor in new {
        if !all.iter().any(|known| known.digest == descriptor.digest) {
            all.push(descriptor);
        }
    }
}

fn built(parts: Vec<Part>, work: &Work) -> Result<Built> {
    let mut places = Places::default();
    let mut joined = IndexMap::new();
    for Part { source, platform, content } in parts {
        let (platform, artifact) = match content {
            ImageContent::Built(Built::Single(artifact)) => (platform, artifact),
            ImageContent::Existing(existing) => {
                taken_apart(existing, &platform, work).attempt(|| format!("cannot join {source}"))?
            }
            ImageContent::Built(Built::Platforms(_)) => {
                let message = format!("cannot join {source}: it has several platforms");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        places.take(&platform, source)?;
        joined.insert(platform, artifact);
    }
    Ok(Built::Platforms(joined))
}

/// Returns the artifact of an existing image for a platform, with its attestations. Warns of losses, as when a whole image
/// is taken apart.
fn taken_apart(existing: Existing, wanted: &Platform, work: &Work) -> Result<(Platform, Artifact)> {
    let root = existing.root.digest.clone();
    let graph = Graph::of(&existing, work);
    let image = image_for(&graph, wanted)?;
    let attestations = attestations(&graph, &image, work)?;
    if !existing.referrers.is_empty() {
        work.progress.warn(format!("{root}: its referrers are left out, as its digest changes"));
    }
    let platform = image.platform.clone().unwrap_or_else(|| wanted.clone());
    let single = Image::new(ImageContent::Existing(Existing::new(image.clone(), existing.provider.clone())));
    let artifact = artifact_for(&single, wanted, work)?;
    Ok((platform, artifact.attested(&existing, &image, attestations)))
}

/// Returns the attestations about an image. Warns of any that are missing.
fn attestations(graph: &Graph<'_>, image: &Descriptor, work: &Work) -> Result<Vec<Descriptor>> {
    let mut attestations = Vec::new();
    for attestation in graph.attestations(&image.digest)? {
        match graph.entry(&attestation) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (root, digest) = (&graph.root().digest, &attestation.digest);
                work.progress.warn(format!("{root}: skipped attestation {digest}: not found"));
            }
            entry => attestations.push(entry?.descriptor),
        }
    }
    Ok(attestations)
}

/// One image of a joined one, and what comes with it.
struct Member {
    image: Descriptor,
    attestations: Vec<Descriptor>,
    referrers: Vec<Descriptor>,
}

impl Member {
    fn of(existing: &Existing, wanted: &Platform, work: &Work) -> Result<Self> {
        let graph = Graph::of(existing, work);
        let image = image_for(&graph, wanted)?;
        let attestations = attestations(&graph, &image, work)?;
        let kept = attestations.iter().chain([&image]).map(|kept| kept.digest.clone()).collect();
        let referrers = referrers_of(kept, existing, &graph, work)?;
        Ok(Self { image, attestations, referrers })
    }
}

/// Returns the manifest for a platform, as the new index lists it: with the operating system and architecture that the
/// user wrote, and any further details from the source.
fn image_for(graph: &Graph<'_>, wanted: &Platform) -> Result<Descriptor> {
    let mut image = graph.platform(wanted)?;
    let (entry, config) = graph.image(&image)?;
    let own = config.platform()?;
    if !own.agrees_with(wanted) {
        let digest = &entry.manifest.config.digest;
        return Err(Error::input(format!("config {digest} is for {own}, not for {wanted}")));
    }
    let listed = graph.listed()?.into_iter().find(|listed| listed.digest == image.digest);
    // Its variant is normalised, like that of a user's platform.
    let listed = listed.and_then(|listed| listed.platform).unwrap_or_else(|| own.normal());
    if !listed.agrees_with(wanted) {
        let digest = &image.digest;
        return Err(Error::input(format!("manifest {digest} is listed for {listed}, not for {wanted}")));
    }
    if image.digest == graph.root().digest {
        // Annotations of a root describe the place where it was found.
        image = Descriptor::new(image.media_type, image.digest, image.size);
    }
    image.platform = Some(Platform {
        variant: listed.variant.or_else(|| wanted.variant.clone()),
        os_version: listed.os_version.or(own.os_version),
        os_features: if listed.os_features.is_empty() { own.os_features } else { listed.os_features },
        ..wanted.clone()
    });
    Ok(image)
}

/// The platforms taken so far, and by which source.
#[derive(Default)]
struct Places(Vec<(Platform, String)>);

impl Places {
    fn take(&mut self, platform: &Platform, source: String) -> Result<()> {
        let normal = platform.normal();
        if let Some((_, first)) = self.0.iter().find(|(taken, _)| *taken == normal) {
            return Err(Error::option(format!("two sources are for {platform}: {first} and {source}")));
        }
        self.0.push((normal, source));
        Ok(())
    }
}
