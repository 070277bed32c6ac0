//! The layers of an image on top of another base than the one they were built on.

use longshore_content::Work;
use longshore_oci::{Context, Digest, Error, History, ImageConfig, Platform, Result};

use crate::image::{artifact_for, take_apart};
use crate::result::{Artifact, Built, Existing, Image, ImageContent};

/// Puts the layers of `image` that follow those of `old` on top of `new`, for each of its platforms. What runs in a container
/// stays as the image has it; the layers keep their bytes.
///
/// # Errors
/// An image whose first layers are not those of `old`; a platform that a base lacks; errors of reading.
pub fn rebase(image: &Existing, old: &Existing, new: &Existing, work: &Work) -> Result<Built> {
    let mut built = take_apart(image, work)?;
    for artifact in built.artifacts_mut() {
        let platform = artifact.config.platform()?;
        let of = |base: &Existing| artifact_for(&Image::new(ImageContent::Existing(base.clone())), &platform, work);
        let (old, new) = (of(old).attempt(|| said("old", &platform))?, of(new).attempt(|| said("new", &platform))?);
        *artifact = on(artifact, &old, &new).attempt(|| format!("cannot rebase the image for {platform}"))?;
    }
    Ok(built)
}

fn said(which: &str, platform: &Platform) -> String {
    format!("cannot use the {which} base for {platform}")
}

fn on(artifact: &Artifact, old: &Artifact, new: &Artifact) -> Result<Artifact> {
    let below = old.layers.len();
    let diff_ids =
        |layers: &Artifact| layers.layers.iter().filter_map(|layer| layer.diff_id().cloned()).collect::<Vec<Digest>>();
    let (own, of_base) = (diff_ids(artifact), diff_ids(old));
    if !own.starts_with(&of_base) {
        let same = own.iter().zip(&of_base).take_while(|(own, base)| own == base).count();
        let message = format!("it is not built on the old base: {same} of its {below} layers are the image's first");
        return Err(Error::input(message).with_hint("name the base that it was built on"));
    }
    let mut config = artifact.config.clone();
    let above = above(&artifact.config, &old.config, below)?;
    let history = [complete(&new.config, new.layers.len())?, above].concat();
    config.set_history(&history);
    let layers = new.layers.iter().chain(&artifact.layers[below..]).cloned().collect();
    let rebased = Artifact::new(layers, config).with_base(new.config.clone());
    Ok(Artifact {
        annotations: artifact.annotations.clone(),
        descriptor_annotations: artifact.descriptor_annotations.clone(),
        ..rebased
    })
}

/// Returns a history with an entry for each layer, so that those that follow are of the layers that follow.
fn complete(config: &ImageConfig, layers: usize) -> Result<Vec<History>> {
    let mut history = config.history()?;
    let listed = history.iter().filter(|step| !step.empty_layer).count();
    history.extend((listed..layers).map(|_| History::default()));
    Ok(history)
}

/// Returns the steps that followed those of the base, which has so many layers.
fn above(own: &ImageConfig, base: &ImageConfig, below: usize) -> Result<Vec<History>> {
    let (own, base) = (own.history()?, base.history()?);
    if own.starts_with(&base) {
        return Ok(own[base.len()..].to_vec());
    }
    let of_layers = own.iter().enumerate().filter(|(_, step)| !step.empty_layer);
    let end = below.checked_sub(1).and_then(|last| of_layers.map(|(at, _)| at + 1).nth(last));
    Ok(own[end.unwrap_or(if below == 0 { 0 } else { own.len() })..].to_vec())
}
