//! The layers of an image: made in the wanted encoding, or kept as they are.

use std::sync::{Arc, OnceLock};

use longshore_content::{Provider, for_each};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, MediaType, Result};

use super::{BlobProvider, ImageBlob, ImageOptions};
use crate::compression::{Algorithm, Encoding, decoder};
use crate::context::ExportContext;
use crate::layer::{BlobSource, Layer, LayerSource, LayerStream, MadeLayer};
use crate::result::Built;

/// A layer that is ready to be listed and copied.
#[derive(Debug, Clone)]
pub(super) struct PreparedLayer<'a> {
    pub(super) blob: ImageBlob<'a>,
    pub(super) diff_id: Digest,
    /// The newest time of its files; `None` for a layer that was known before it was read.
    pub(super) newest: Option<i64>,
}

/// Takes layers while they are made, instead of the store.
pub(super) trait LayerOutlet: Sync {
    /// A layer that is there already, compressed by this algorithm, so that none has to be made.
    fn present(&self, layer: &Layer, algorithm: Algorithm) -> Result<Option<(Descriptor, Arc<dyn Provider>)>>;

    /// Takes a layer; answers what it was and who has it now. `None` if it takes no such layers.
    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<(MadeLayer, Arc<dyn Provider>)>>;
}

/// The layers of each artifact, in order. Several are made at a time: as many as there are jobs.
pub(super) fn prepare<'a>(
    built: &Built,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<Vec<Vec<PreparedLayer<'a>>>> {
    let artifacts = built.artifacts();
    let layers = artifacts.iter().flat_map(|artifact| &artifact.layers);
    let slots: Vec<(&Arc<Layer>, OnceLock<PreparedLayer<'a>>)> = layers.map(|layer| (layer, OnceLock::new())).collect();
    for_each(slots.iter().collect(), cx.work().jobs().get(), &cx.work().cancel, |(layer, slot)| {
        let prepared = prepare_one(layer, options, cx, outlet)?;
        let _ = slot.set(prepared);
        Ok(())
    })?;
    let mut prepared = slots.into_iter().filter_map(|(_, slot)| slot.into_inner());
    let take = |count| prepared.by_ref().take(count).collect();
    Ok(artifacts.iter().map(|artifact| artifact.layers.len()).map(take).collect())
}

fn prepare_one<'a>(
    layer: &Arc<Layer>,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<PreparedLayer<'a>> {
    cx.work().check()?;
    if let Some(diff_id) = layer.diff_id()
        && let Some((descriptor, provider)) = present(layer, options, cx, outlet)?
    {
        let blob = ImageBlob { descriptor, references: Vec::new(), provider: BlobProvider::Image(provider) };
        return Ok(PreparedLayer { blob, diff_id: diff_id.clone(), newest: None });
    }
    let encoding = options.encoding()?;
    let (made, provider) = make(layer, encoding, cx, outlet)?;
    let missing = || Error::new(ErrorKind::Other, format!("layer {} was not made in {encoding:?}", layer.name()));
    let descriptor = made.blob(encoding).cloned().ok_or_else(missing)?;
    let newest = made.newest.filter(|_| layer.diff_id().is_none());
    Ok(PreparedLayer {
        blob: ImageBlob { descriptor, references: Vec::new(), provider },
        diff_id: made.diff_id,
        newest,
    })
}

/// A layer that is a blob already, as it is wanted, and who has it.
fn present(
    layer: &Layer,
    options: &ImageOptions,
    cx: &ExportContext<'_>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
    let blob = match &layer.source {
        LayerSource::Blob(source) => Some(source),
        LayerSource::Dir(_) | LayerSource::Tar(_) => None,
    };
    if let Some(source) = blob.filter(|_| !options.recompresses()) {
        let descriptor = Descriptor { media_type: media_type(source)?, ..source.descriptor.clone() };
        return Ok(Some((descriptor, source.provider.clone())));
    }
    let algorithm = options.encoding()?.algorithm();
    if let Some(outlet) = outlet
        && let Some(found) = outlet.present(layer, algorithm)?
    {
        return Ok(Some(found));
    }
    // Several outputs read a source once, from the store.
    let is_read_once = cx.is_for_one_output() || blob.is_some();
    Ok(layer.plain().filter(|_| algorithm == Algorithm::Uncompressed && is_read_once))
}

/// Makes a layer, straight into `outlet` where that is possible; else into the store.
fn make<'a>(
    layer: &Arc<Layer>,
    encoding: Encoding,
    cx: &'a ExportContext<'a>,
    outlet: Option<&dyn LayerOutlet>,
) -> Result<(MadeLayer, BlobProvider<'a>)> {
    if let Some(outlet) = outlet
        && let Some(stream) = cx.layer_stream(layer, encoding)?
        && let Some((made, provider)) = outlet.take(&stream)?
    {
        return Ok((made, BlobProvider::Image(provider)));
    }
    Ok((cx.layer(layer, encoding)?, BlobProvider::Store(cx.store())))
}

/// The media type of a layer that is kept. Docker says `tar.gzip` of layers that are not, so there the
/// bytes decide.
fn media_type(source: &BlobSource) -> Result<MediaType> {
    let Descriptor { media_type, digest, .. } = &source.descriptor;
    let twin = media_type.to_oci();
    if twin == *media_type {
        return Ok(twin);
    }
    let blob = source.provider.open(digest, 0);
    let (algorithm, _) = blob.and_then(decoder).attempt(|| format!("cannot read layer {digest}"))?;
    Ok(MediaType::layer(algorithm))
}
