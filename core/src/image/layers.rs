//! The layers of an image, each handled according to its route.

use std::sync::{Arc, OnceLock};

use longshore_content::{Provider, for_each};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, MediaType, Result};

use super::{BlobProvider, ImageBlob, ImageOptions, LayerOutlet, Route, foreign, routes};
use crate::compression::decoder;
use crate::context::{ExportContext, Run};
use crate::epoch::Epoch;
use crate::layer::{BlobSource, Layer, LayerSource, MadeLayer, Variant};
use crate::result::Artifact;

/// A layer that is ready to be listed and copied.
#[derive(Debug, Clone)]
pub(super) struct PreparedLayer<'a> {
    pub(super) blob: ImageBlob<'a>,
    pub(super) diff_id: Digest,
    /// The newest time of its files; `None` for a layer that was not read.
    pub(super) newest: Option<i64>,
}

/// Returns the layers of each artifact, given with the epoch of its build, in order. Builds as many concurrently
/// as there are jobs.
pub(super) fn prepare<'a>(
    artifacts: &[(&Artifact, Option<Epoch>)],
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<Vec<Vec<PreparedLayer<'a>>>> {
    let run = outlet.map_or(cx.run(), |outlet| outlet.abilities(cx.run()));
    let routed = artifacts.iter().flat_map(|(artifact, epoch)| routes(artifact, options, *epoch, run));
    let slots = routed.map(|(layer, route)| Ok((layer, route?, OnceLock::new())));
    let slots: Vec<(&Arc<Layer>, Route, OnceLock<PreparedLayer<'a>>)> = slots.collect::<Result<_>>()?;
    let traveller = Traveller { options, cx, outlet };
    for_each(slots.iter().collect(), cx.work().jobs().get(), &cx.work().cancel, |(layer, route, slot)| {
        cx.work().check()?;
        let _ = slot.set(traveller.follow(layer, *route, run)?);
        Ok(())
    })?;
    let mut prepared = slots.into_iter().filter_map(|(_, _, slot)| slot.into_inner());
    let take = |count| prepared.by_ref().take(count).collect();
    Ok(artifacts.iter().map(|(artifact, _)| artifact.layers.len()).map(take).collect())
}

/// Handles layers according to their routes.
struct Traveller<'a, 'o> {
    options: &'o ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&'o dyn LayerOutlet>,
}

impl<'a> Traveller<'a, '_> {
    fn follow(&self, layer: &Arc<Layer>, route: Route, run: Run) -> Result<PreparedLayer<'a>> {
        if let LayerSource::Blob(source) = &layer.source
            && self.options.distributes_all()
        {
            foreign::check_present(&source.descriptor, source.provider.as_ref())?;
        }
        match route {
            Route::Keep => known(layer, kept(layer)?),
            Route::Pass => known(layer, layer.plain()),
            Route::Reuse(variant) => {
                let found = self.outlet.map(|outlet| outlet.find(layer, variant)).transpose()?.flatten();
                match found {
                    Some(found) => known(layer, Some(found)),
                    None => {
                        let run = run.with_reuse(false);
                        self.follow(layer, Route::of(layer, self.options, variant.rewrite, run)?, run)
                    }
                }
            }
            Route::Stream(variant) => match self.stream(layer, variant)? {
                Some((made, provider)) => Ok(prepared(layer, made, BlobProvider::Image(provider))),
                None => self.make(layer, variant),
            },
            Route::Make(variant) => self.make(layer, variant),
        }
    }

    fn stream(&self, layer: &Layer, variant: Variant) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>> {
        let Some(outlet) = self.outlet else { return Ok(None) };
        let Some(stream) = self.cx.layer_stream(layer, variant)? else { return Ok(None) };
        outlet.take(&stream)
    }

    fn make(&self, layer: &Arc<Layer>, variant: Variant) -> Result<PreparedLayer<'a>> {
        let made = self.cx.layer(layer, variant)?;
        Ok(prepared(layer, made, BlobProvider::Store(self.cx.store())))
    }
}

/// Returns a layer whose diffID was known without reading it.
fn known<'a>(layer: &Layer, blob: Option<(Descriptor, Arc<dyn Provider>)>) -> Result<PreparedLayer<'a>> {
    let unknown = || Error::new(ErrorKind::Other, format!("layer {} has no blob or no diffID", layer.name()));
    let (descriptor, provider) = blob.ok_or_else(unknown)?;
    let diff_id = layer.diff_id().ok_or_else(unknown)?.clone();
    let blob = ImageBlob { descriptor, references: Vec::new(), provider: BlobProvider::Image(provider) };
    Ok(PreparedLayer { blob, diff_id, newest: None })
}

fn prepared<'a>(layer: &Layer, made: MadeLayer, provider: BlobProvider<'a>) -> PreparedLayer<'a> {
    let MadeLayer { diff_id, descriptor, newest, .. } = made;
    let newest = newest.filter(|_| layer.diff_id().is_none());
    PreparedLayer { blob: ImageBlob { descriptor, references: Vec::new(), provider }, diff_id, newest }
}

/// Returns the blob of a layer, and its provider.
fn kept(layer: &Layer) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
    let LayerSource::Blob(source) = &layer.source else { return Ok(None) };
    let descriptor = Descriptor { media_type: media_type(source)?, ..source.descriptor.clone() };
    Ok(Some((descriptor, source.provider.clone())))
}

/// Returns the media type of a layer that is kept. Docker says `tar.gzip` even of layers that are not gzip, so there
/// the bytes decide.
fn media_type(source: &BlobSource) -> Result<MediaType> {
    let Descriptor { media_type, digest, .. } = &source.descriptor;
    let twin = media_type.to_oci();
    // A nondistributable layer may be missing.
    if twin == *media_type || media_type.is_not_distributable() {
        return Ok(twin);
    }
    let blob = source.provider.open(digest, 0);
    let (algorithm, _) = blob.and_then(decoder).attempt(|| format!("cannot read layer {digest}"))?;
    Ok(MediaType::layer(algorithm))
}
