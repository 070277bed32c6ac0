//! Routes: the single decision about how a layer is handled.

use std::fmt;
use std::sync::Arc;

use longshore_oci::Result;

use super::ImageOptions;
use crate::context::{Needs, Run};
use crate::epoch::Epoch;
use crate::layer::{Layer, LayerSource, Variant, is_rewritten};
use crate::result::{Artifact, BuildResult, ImageContent};

/// How a layer gets into an image. `needs`, `plan` and `export` all follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// The blob is listed unchanged.
    Keep,
    /// The tar stream, of known diffID and size, is the blob: it is read when the output is written.
    Pass,
    /// The destination is checked for a blob that the source has seen there; otherwise, the layer takes its
    /// usual route.
    Reuse(Variant),
    /// The layer is built while it is uploaded; if the destination does not accept streams, it is built in the store.
    Stream(Variant),
    /// The layer is built in the store, unless it is there from an earlier run.
    Make(Variant),
}

impl Route {
    /// Decides the route of `layer` with `options` in `run`, its files getting no later time than `rewrite`. It does
    /// no I/O.
    ///
    /// # Errors
    /// Options that do not fit together, as [`ImageOptions::encoding`].
    pub fn of(layer: &Layer, options: &ImageOptions, rewrite: Option<Epoch>, run: Run) -> Result<Self> {
        let is_blob = matches!(layer.source, LayerSource::Blob(_));
        let is_foreign =
            matches!(&layer.source, LayerSource::Blob(blob) if blob.descriptor.media_type.is_not_distributable());
        let is_changed = rewrite.is_some() || options.recompresses();
        if is_blob && !is_changed || is_foreign && options.keeps_foreign() {
            return Ok(Self::Keep);
        }
        let variant = Variant::new(options.encoding()?).with_rewrite(rewrite);
        if rewrite.is_some() {
            return Ok(Self::made(variant, run));
        }
        let may_be_seen = matches!(layer.source, LayerSource::Tar(_)) && layer.diff_id().is_some();
        if run.reuses && may_be_seen && !variant.is_plain() {
            return Ok(Self::Reuse(variant));
        }
        // Several outputs share one reading of the source, by way of the store.
        let is_read_once = run.is_alone || is_blob;
        if variant.is_plain() && is_read_once && layer.plain().is_some() {
            return Ok(Self::Pass);
        }
        Ok(Self::made(variant, run))
    }

    fn made(variant: Variant, run: Run) -> Self {
        if run.streams && run.is_alone { Self::Stream(variant) } else { Self::Make(variant) }
    }

    /// Returns the variant that has to be built, or may have to be.
    pub fn variant(self) -> Option<Variant> {
        match self {
            Self::Keep | Self::Pass => None,
            Self::Reuse(variant) | Self::Stream(variant) | Self::Make(variant) => Some(variant),
        }
    }
}

impl fmt::Display for Route {
    /// Formats the route for `--dry-run`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("unchanged"),
            Self::Pass => f.write_str("uncompressed"),
            Self::Reuse(variant) => write!(f, "{variant}, or the registry's"),
            Self::Stream(variant) => write!(f, "{variant}, streamed"),
            Self::Make(variant) => variant.fmt(f),
        }
    }
}

impl ImageOptions {
    /// Returns the layers that assembling `result` with these options in `run` will request.
    ///
    /// For built images it is exactly the layers whose [`Route`] has a variant. The layers of an existing
    /// image are not known before it is taken apart: all of them are named in the wanted variant, if they
    /// are recompressed.
    ///
    /// # Errors
    /// As [`encoding`](Self::encoding) and [`names`](Self::names); options that do not fit `result`: annotations of a
    /// platform or an index that it does not have, and `rewrite-timestamp` without an epoch.
    pub fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.names(result)?;
        self.check_result(result)?;
        let mut needs = Needs::default();
        for image in &result.images {
            match &image.content {
                ImageContent::Existing(_) if self.recompresses() => {
                    needs = needs.with_existing(Variant::new(self.encoding()?));
                }
                ImageContent::Existing(_) => {}
                ImageContent::Built(built) => {
                    for artifact in built.artifacts() {
                        for (layer, route) in routes(artifact, self, result.epoch_of(image, artifact)?, run) {
                            if let Some(variant) = route?.variant() {
                                needs = needs.with_layer(layer, variant);
                            }
                        }
                    }
                }
            }
        }
        Ok(needs)
    }
}

/// Returns the route of each layer of `artifact`, the base first. `epoch` is that of its build, as
/// [`BuildResult::epoch_of`] returns it.
pub fn routes<'r>(
    artifact: &'r Artifact,
    options: &'r ImageOptions,
    epoch: Option<Epoch>,
    run: Run,
) -> impl Iterator<Item = (&'r Arc<Layer>, Result<Route>)> {
    let of_base = artifact.layers_of_base();
    let layers = artifact.layers.iter().enumerate();
    layers.map(move |(at, layer)| {
        let rewrite = options.rewrite(epoch).filter(|epoch| at >= of_base && !says_rewritten(layer, *epoch));
        (layer, Route::of(layer, options, rewrite, run))
    })
}

fn says_rewritten(layer: &Layer, epoch: Epoch) -> bool {
    matches!(&layer.source, LayerSource::Blob(source) if is_rewritten(&source.descriptor, epoch))
}
