//! The one place that chooses the image for a platform.

use longshore_oci::{Context, Descriptor, Error, ErrorKind, Platform, Result};

use super::Graph;
use super::entries::is_attestation;

impl Graph<'_> {
    /// Returns the manifest of the image that suits `wanted` best, with its platform in the descriptor.
    ///
    /// - The manifest of the same platform, else that of the newest older variant of the processor, which the
    ///   machine runs too ([`Platform::rank`]).
    /// - The platform is what an index says. Configurations are read of manifests that an index lists without
    ///   one, if none that it lists with one is the wanted platform itself.
    /// - Of several equally suitable manifests the first is chosen, with a warning.
    /// - Attestations and artifacts are never chosen.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if the image has none for that platform, with the available ones as the
    /// hint; documents that are missing or do not match their descriptors.
    pub fn platform(&self, wanted: &Platform) -> Result<Descriptor> {
        let (chosen, candidates) = self.choose(wanted)?;
        self.warn_of_twins(wanted, &chosen, &candidates);
        Ok(chosen)
    }

    /// Returns the platform of the manifest that [`platform`](Self::platform) chooses. Several manifests may share it.
    ///
    /// # Errors
    /// As [`platform`](Self::platform).
    pub(crate) fn nearest_platform(&self, wanted: &Platform) -> Result<Platform> {
        let (chosen, _) = self.choose(wanted)?;
        Ok(chosen.platform.unwrap_or_else(|| wanted.clone()))
    }

    /// Returns the platform of an entry of an index: from the index or, for an image, from its configuration. `None`
    /// for attestations, and for a missing manifest listed without a platform.
    ///
    /// # Errors
    /// Documents that do not match their descriptors.
    pub(crate) fn listed_platform(&self, listed: &Descriptor) -> Result<Option<Platform>> {
        match &listed.platform {
            _ if is_attestation(listed) => Ok(None),
            None if listed.media_type.is_manifest() => self.configured(listed),
            platform => Ok(platform.clone()),
        }
    }

    /// Returns the manifest for a platform, and the candidates for it.
    fn choose(&self, wanted: &Platform) -> Result<(Descriptor, Vec<Descriptor>)> {
        let mut candidates = self.listed()?;
        candidates.retain(|candidate| !is_attestation(candidate));
        loop {
            if !candidates.iter().any(|candidate| rank(wanted, candidate) == Some(0)) {
                candidates = self.with_platforms(candidates)?;
            }
            let best = best_platform(wanted, candidates.iter().filter_map(|candidate| candidate.platform.as_ref()))?;
            let chosen = candidates.iter().filter(|candidate| candidate.platform.is_some()).nth(best).cloned();
            let chosen = chosen.ok_or_else(|| no_platform(wanted, [].into_iter()))?;
            if self.is_of_image(&chosen)? {
                return Ok((chosen, candidates));
            }
            candidates.retain(|candidate| candidate.digest != chosen.digest);
        }
    }

    fn warn_of_twins(&self, wanted: &Platform, chosen: &Descriptor, candidates: &[Descriptor]) {
        let is_twin = |candidate: &&Descriptor| rank(wanted, candidate) == rank(wanted, chosen);
        let same = candidates.iter().filter(is_twin).count();
        if same > 1 {
            let (root, digest) = (&self.root.digest, &chosen.digest);
            let platform = chosen.platform.as_ref().unwrap_or(wanted);
            let message = format!("{root} lists {same} images for {platform}: using the first, {digest}");
            self.work.progress.warn(message);
        }
    }

    /// Returns the same manifests; those without a platform get that of their configuration, or are dropped.
    fn with_platforms(&self, candidates: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for candidate in candidates {
            let platform = match candidate.platform.clone() {
                Some(platform) => Some(platform),
                None => self.configured(&candidate)?,
            };
            found.extend(platform.map(|platform| Descriptor { platform: Some(platform), ..candidate }));
        }
        Ok(found)
    }

    /// Returns whether a manifest is that of an image. Its configuration is read only if its type does not tell.
    fn is_of_image(&self, descriptor: &Descriptor) -> Result<bool> {
        let manifest = self.manifest(descriptor);
        let manifest = manifest.attempt(|| format!("cannot read image {}", descriptor.digest))?;
        Ok(manifest.config.media_type.is_config() || self.entry(descriptor)?.is_image())
    }

    /// Returns the platform in the configuration of a manifest; `None` if it is not an image for a platform, or is
    /// a listed manifest that is missing.
    fn configured(&self, descriptor: &Descriptor) -> Result<Option<Platform>> {
        if descriptor.digest == self.root.digest {
            return self.image(descriptor).map(|(entry, _)| entry.platform());
        }
        match self.entry(descriptor) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            entry => Ok(entry?.platform()),
        }
    }
}

fn rank(wanted: &Platform, image: &Descriptor) -> Option<u32> {
    image.platform.as_ref().and_then(|platform| wanted.rank(platform))
}

/// Returns the place among `platforms` of the one that suits `wanted` best, as [`Graph::platform`] chooses it.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if none suits, with the available ones as the hint.
pub fn best_platform<'p>(wanted: &Platform, platforms: impl Iterator<Item = &'p Platform> + Clone) -> Result<usize> {
    let ranked = platforms.clone().enumerate().filter_map(|(at, platform)| Some((wanted.rank(platform)?, at)));
    ranked.min().map(|(_, at)| at).ok_or_else(|| no_platform(wanted, platforms))
}

/// Returns the error for an image without a manifest for `wanted`.
fn no_platform<'p>(wanted: &Platform, present: impl Iterator<Item = &'p Platform>) -> Error {
    let (mut plain, mut special) = (Vec::new(), Vec::new());
    for platform in present {
        let (list, text) = match &platform.os_features[..] {
            [] => (&mut plain, platform.to_string()),
            features => (&mut special, format!("{platform} with {}", features.join(" and "))),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    let hint = match (&plain[..], &special[..]) {
        ([], []) => "the image has no platforms".to_owned(),
        ([], special) => format!("the image has only {}", special.join(", ")),
        (plain, _) => format!("choose one of {}", plain.join(", ")),
    };
    Error::new(ErrorKind::NotFound, format!("no image for platform {wanted}")).with_hint(hint)
}
