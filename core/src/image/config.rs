//! The configuration of a new image: layers, history, and creation time.

use jiff::Timestamp;
use longshore_content::Progress;
use longshore_oci::{Error, History, ImageConfig, Result};

use super::layers::PreparedLayer;
use crate::epoch::Epoch;
use crate::result::Artifact;

/// Completes the configuration of `artifact` with `layers`.
///
/// The clock is never read: a time comes from the configuration, the epoch, or the newest file, in this order.
pub(super) fn complete(
    artifact: &Artifact,
    layers: &[PreparedLayer<'_>],
    epoch: Option<Epoch>,
    progress: &Progress,
) -> Result<ImageConfig> {
    let mut config = artifact.effective_config();
    // Fail here instead of when the image is run.
    config.platform()?;
    // An image keeps its ID, even if it has no history, or has no layers and lacks their list.
    if epoch.is_none() && artifact.is_untouched() {
        return Ok(config);
    }
    config.set_diff_ids(layers.iter().map(|layer| layer.diff_id.clone()).collect());
    let history = history(artifact, layers, epoch, progress)?;
    config.set_history(&history);
    if let Some(created) = created(artifact, layers, epoch)? {
        config.set_created(created);
    } else if config.created()?.is_none()
        && let Some(last) = history.iter().rev().find_map(|step| step.created.as_deref())
    {
        config.set_created(longshore_oci::parse_time(last)?);
    }
    Ok(config)
}

/// Returns the history, with an entry for each layer and, if possible, a time for each entry, by `BuildKit`'s
/// rules and in its order.
fn history(
    artifact: &Artifact,
    layers: &[PreparedLayer<'_>],
    epoch: Option<Epoch>,
    progress: &Progress,
) -> Result<Vec<History>> {
    let mut history = artifact.config.history()?;
    let untouched = match &artifact.base {
        Some(base) => base.history()?.iter().zip(&history).take_while(|(base, own)| base == own).count(),
        None => 0,
    };
    let listed = history.iter().filter(|step| !step.empty_layer).count();
    for excess in history.iter_mut().filter(|step| !step.empty_layer).skip(layers.len()) {
        excess.empty_layer = true;
    }
    if listed > layers.len() {
        progress.warn(format!("the history lists {listed} layers, but there are {}", layers.len()));
    }
    let times = artifact.layers.iter().zip(layers).map(|(layer, prepared)| -> Result<Option<String>> {
        let newest = prepared.newest.map(from_seconds).transpose()?;
        Ok(layer.history.created.clone().or_else(|| newest.map(|time| time.to_string())))
    });
    let times: Vec<Option<String>> = times.collect::<Result<_>>()?;
    for (layer, created) in artifact.layers.iter().zip(&times).skip(listed) {
        history.push(History { created: created.clone(), ..layer.history.clone() });
    }
    fill_in(&mut history, untouched, &times, epoch.is_none());
    if let Some(epoch) = epoch {
        for step in history.iter_mut().skip(untouched) {
            clamp(step, epoch)?;
        }
    }
    Ok(history)
}

/// Gives a time to each entry without one, except the first `untouched` entries: that of its layer (`times` has one per
/// layer), and to the others, if that `carries_on`, the time of the entry before; those before the first time after the
/// first gap get that time. If an epoch is set, it is used in place of missing times.
fn fill_in(history: &mut [History], untouched: usize, times: &[Option<String>], carries_on: bool) {
    let own = |(at, step): &(usize, &mut History)| *at >= untouched && step.created.is_none();
    let of_layers = history.iter_mut().enumerate().filter(|(_, step)| !step.empty_layer);
    for ((_, step), time) in of_layers.zip(times).filter(|(listed, _)| own(listed)) {
        step.created.clone_from(time);
    }
    let Some(gap) = history.iter().position(|step| step.created.is_none()).filter(|_| carries_on) else { return };
    let after = history[gap..].iter().find_map(|step| step.created.clone());
    let mut latest = after.or_else(|| history[..gap].last().and_then(|step| step.created.clone()));
    for (at, step) in history.iter_mut().enumerate().skip(gap) {
        if own(&(at, step)) {
            step.created.clone_from(&latest);
        } else if step.created.is_some() {
            latest.clone_from(&step.created);
        }
    }
}

/// Sets the time of a step to the epoch if it has none or a later one.
fn clamp(step: &mut History, epoch: Epoch) -> Result<()> {
    let created = step.created.as_deref().map(longshore_oci::parse_time).transpose()?;
    if created.is_none_or(|created| created > epoch.time()) {
        step.created = Some(epoch.time().to_string());
    }
    Ok(())
}

/// Returns the creation time of the image; `None` keeps the one in the configuration.
fn created(artifact: &Artifact, layers: &[PreparedLayer<'_>], epoch: Option<Epoch>) -> Result<Option<Timestamp>> {
    let own = artifact.config.created()?;
    let of_base = artifact.base.as_ref().map(ImageConfig::created).transpose()?.flatten();
    // The base's time does not tell when the layers on top of it were built.
    let said = own.filter(|own| of_base != Some(*own));
    let of_base = artifact.base.as_ref().map(ImageConfig::diff_ids).transpose()?.unwrap_or_default();
    let makes_layers = layers.iter().enumerate().any(|(at, layer)| of_base.get(at) != Some(&layer.diff_id));
    let newest = layers.iter().filter_map(|layer| layer.newest).max().map(from_seconds).transpose()?;
    let Some(epoch) = epoch.map(Epoch::time) else { return Ok(said.or(newest)) };
    Ok(match said.or(own.filter(|_| !makes_layers)) {
        Some(created) => Some(created.min(epoch)),
        None => Some(epoch),
    })
}

fn from_seconds(seconds: i64) -> Result<Timestamp> {
    Timestamp::from_second(seconds)
        .map_err(|_| Error::input(format!("a file was changed {seconds} seconds after 1970, which is not a date")))
}
