//! Layers that bypass the store: already in the registry, or uploaded while they are built.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use indexmap::IndexMap;
use longshore_content::{Origin, Provider, Work};
use longshore_oci::{Context, Descriptor, Digest, Error, ErrorKind, MediaType, Result};
use parking_lot::Mutex;

use super::{Push, Repository};
use crate::compression::{Algorithm, detect};
use crate::context::Run;
use crate::image::LayerOutlet;
use crate::layer::{Layer, LayerSource, LayerStream, MadeLayer, SeenBlob, Variant};

/// Sends layers to the first repository; others in the same registry can mount them from there.
pub(super) struct Outlet<'p> {
    repository: &'p Repository,
    work: &'p Work,
    run: Run,
    /// Uploaded layers, by diffID if known: images share layers.
    sent: Mutex<HashMap<Digest, Arc<Mutex<Option<Sent>>>>>,
}

/// An uploaded layer, and its provider.
type Sent = (MadeLayer, Arc<dyn Provider>);

/// Bytes needed to detect the compression of a blob.
const MAGIC: u64 = 6;
/// How many blobs are looked for: each costs some requests.
const CANDIDATES: usize = 5;

impl<'p> Outlet<'p> {
    /// Returns `None` if layers have to be stored, and warns if the options ask for something else.
    pub(super) fn new(push: &'p Push<'_>) -> Option<Self> {
        let Run { streams, reuses, is_alone, .. } = push.run;
        let progress = &push.cx.work().progress;
        let wants_streams = push.options.is_streaming();
        if (wants_streams && is_alone && !streams) || (push.options.reuses_blobs() && !reuses) {
            let option = push.options.first_set().unwrap_or_default();
            progress.warn(format!("{option}: layers for several registries or repositories are kept in the store"));
        } else if wants_streams && !is_alone {
            progress.warn("push-streaming: another output needs the layers, so they are stored");
        }
        let (_, repository) = push.repositories.first()?;
        let outlet = Self { repository, work: push.cx.work(), run: push.run, sent: Mutex::default() };
        (streams || reuses).then_some(outlet)
    }

    /// Returns a seen blob that the registry still has; `None` if none can be reused.
    fn seen(
        &self,
        layer: &Layer,
        wanted: Algorithm,
        seen: Vec<SeenBlob>,
    ) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let own = self.repository.session.origin().registry;
        let mut candidates: IndexMap<Digest, Vec<Origin>> = IndexMap::new();
        for SeenBlob { digest, origin } in seen.into_iter().filter(|seen| seen.origin.registry == own) {
            candidates.entry(digest).or_default().push(origin);
        }
        for (digest, origins) in candidates.into_iter().take(CANDIDATES) {
            match self.reuse(wanted, digest.clone(), &origins) {
                Err(error) if error.kind() != ErrorKind::Cancelled => {
                    let why = error.with_causes();
                    self.work.progress.warn(format!("layer {}: {digest} is not reused: {why}", layer.name()));
                }
                Ok(None) => {}
                found => return found,
            }
        }
        Ok(None)
    }

    fn reuse(
        &self,
        wanted: Algorithm,
        digest: Digest,
        origins: &[Origin],
    ) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let session = &self.repository.session;
        let Some(size) = session.reuse(&digest, origins, self.work)? else { return Ok(None) };
        let provider = session.provider(self.work);
        let mut start = Vec::new();
        let blob = provider.open(&digest, 0)?;
        blob.take(MAGIC).read_to_end(&mut start).attempt(|| format!("cannot read blob {digest}"))?;
        let algorithm = detect(&start)?;
        if algorithm != wanted {
            return Err(Error::new(ErrorKind::Unsupported, format!("it is {algorithm}, not {wanted}")));
        }
        Ok(Some((Descriptor::new(MediaType::layer(algorithm), digest, size), provider)))
    }

    fn send(&self, layer: &LayerStream<'_>) -> Result<Option<Sent>> {
        let latest: Mutex<Option<MadeLayer>> = Mutex::default();
        let missing = || Error::new(ErrorKind::Other, format!("layer {} was not made", layer.name()));
        let make = |out: &mut (dyn std::io::Write + Send)| {
            let new = layer.write_to(out)?;
            let descriptor = new.descriptor.clone();
            *latest.lock() = Some(new);
            Ok(descriptor)
        };
        let sent = self.repository.session.stream(&layer.name(), &make, self.work);
        match self.repository.attempt(sent)? {
            Some(_) => {
                Ok(Some((latest.into_inner().ok_or_else(missing)?, self.repository.session.provider(self.work))))
            }
            None => Ok(None),
        }
    }
}

impl LayerOutlet for Outlet<'_> {
    fn abilities(&self, _: Run) -> Run {
        self.run
    }

    fn find(&self, layer: &Layer, variant: Variant) -> Result<Option<(Descriptor, Arc<dyn Provider>)>> {
        let LayerSource::Tar(source) = &layer.source else { return Ok(None) };
        let seen = source.stream.seen().unwrap_or_else(|error| {
            let why = error.with_causes();
            self.work.progress.warn(format!("layer {}: cannot tell which repositories have it: {why}", layer.name()));
            Vec::new()
        });
        let found = self.repository.attempt(self.seen(layer, variant.algorithm(), seen))?;
        if let Some((descriptor, _)) = &found {
            let task = self.work.progress.task(format!("layer {}", layer.name()), None);
            task.skipped(format!("the registry has it as {}, according to its source", descriptor.digest));
        }
        Ok(found)
    }

    fn take(&self, layer: &LayerStream<'_>) -> Result<Option<Sent>> {
        let Some(diff_id) = layer.diff_id() else { return self.send(layer) };
        let place = {
            let mut sent = self.sent.lock();
            sent.entry(diff_id.clone()).or_default().clone()
        };
        // Other users of the same layer wait for its upload.
        let mut place = place.lock();
        if place.is_none() {
            *place = self.send(layer)?;
        }
        Ok(place.clone())
    }
}
