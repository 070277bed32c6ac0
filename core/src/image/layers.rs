//! The layers of an image: made in the wanted encoding, or kept as they are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::{ImageBlob, ImageOptions, Source};
use crate::compression::decoder;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::exporter::ExportContext;
use crate::layer::{BlobSource, Layer, LayerSource};
use crate::oci::{Descriptor, Digest, MediaType};
use crate::result::Built;

/// A layer that is ready to be listed and copied.
#[derive(Debug, Clone)]
pub(super) struct PreparedLayer<'a> {
    pub(super) blob: ImageBlob<'a>,
    pub(super) diff_id: Digest,
    /// The newest time of its files; `None` for a layer that existed before.
    pub(super) newest: Option<i64>,
}

/// The layers of each artifact, in order. Several are made at a time: as many as there are jobs.
pub(super) fn prepare<'a>(
    built: &Built,
    options: &ImageOptions,
    cx: &'a ExportContext<'a>,
) -> Result<Vec<Vec<PreparedLayer<'a>>>> {
    let artifacts = built.artifacts();
    let layers: Vec<&Arc<Layer>> = artifacts.iter().flat_map(|artifact| &artifact.layers).collect();
    let slots: Vec<OnceLock<Result<PreparedLayer<'a>>>> = layers.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some((layer, slot)) = layers.get(at).zip(slots.get(at)) else { break };
            let prepared = prepare_one(layer, options, cx);
            let failed = prepared.is_err();
            let _ = slot.set(prepared);
            if failed {
                // The others would only work for nothing.
                next.store(usize::MAX / 2, Ordering::SeqCst);
                cx.cancel().cancel();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..cx.budget().jobs().get().min(layers.len()) {
            scope.spawn(work);
        }
        work();
    });
    let slots = slots.into_iter().map(OnceLock::into_inner).collect::<Vec<_>>();
    let mut errors: Vec<_> = slots.iter().flatten().filter_map(|prepared| prepared.as_ref().err()).collect();
    // A layer that was cancelled because of another one's error says nothing new.
    errors.sort_by_key(|error| error.kind() == ErrorKind::Cancelled);
    if let Some(error) = errors.first() {
        return Err((*error).clone());
    }
    let mut prepared = slots.into_iter().flatten().flatten();
    let take = |count| prepared.by_ref().take(count).collect();
    Ok(artifacts.iter().map(|artifact| artifact.layers.len()).map(take).collect())
}

fn prepare_one<'a>(layer: &Arc<Layer>, options: &ImageOptions, cx: &'a ExportContext<'a>) -> Result<PreparedLayer<'a>> {
    cx.cancel().check()?;
    if let LayerSource::Blob(source) = &layer.source
        && !options.recompresses()
    {
        let descriptor = Descriptor { media_type: media_type(source)?, ..source.descriptor.clone() };
        let blob = ImageBlob { descriptor, references: Vec::new(), provider: Source::Image(source.provider.clone()) };
        return Ok(PreparedLayer { blob, diff_id: source.diff_id.clone(), newest: None });
    }
    let encoding = options.encoding()?;
    let made = cx.layer(layer, encoding)?;
    let missing = || Error::new(ErrorKind::Other, format!("layer {} was not made in {encoding:?}", layer.name()));
    let descriptor = made.blob(encoding).cloned().ok_or_else(missing)?;
    let newest = made.newest.filter(|_| !matches!(layer.source, LayerSource::Blob(_)));
    let blob = ImageBlob { descriptor, references: Vec::new(), provider: Source::Store(cx.store()) };
    Ok(PreparedLayer { blob, diff_id: made.diff_id, newest })
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
